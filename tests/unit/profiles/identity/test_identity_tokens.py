"""Identity tokens: what a server vouched for is proved, and nothing else is."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from profiles.identity.identifiers import STRONG_TYPES
from profiles.identity.tokens import (
    IdentityProof,
    IdentityTokens,
    TokenFault,
    verify_identifiers,
)

OLD, NEW = "old-secret-" + "o" * 32, "new-secret-" + "n" * 32

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

LATER = NOW + timedelta(hours=1)

ADA = "ada@example.com"

ADA_HASHED = hashlib.sha256(ADA.encode()).hexdigest()

TOKENS = IdentityTokens([NEW])

ME = TOKENS.issue("user_id", "42", expires_at=LATER)

MY_MAIL = TOKENS.issue("email", ADA, expires_at=LATER)


@pytest.mark.parametrize("kind", STRONG_TYPES)
def test_a_token_proves_the_identifier_it_was_issued_for_and_no_other(kind: str) -> None:
    proof = TOKENS.verify(TOKENS.issue(kind, "42", expires_at=LATER), at=NOW)

    assert isinstance(proof, IdentityProof)
    assert {kind} == {
        other for other in STRONG_TYPES if verify_identifiers([(other, "42")], [proof]).is_verified
    }
    assert not verify_identifiers([(kind, "43")], [proof]).is_verified


@pytest.mark.parametrize("kind", ["anonymous_id", "push_token", "email_sha256", "name"])
def test_no_token_is_issued_for_a_device_a_hash_or_a_type_nobody_knows(kind: str) -> None:
    with pytest.raises(ValueError, match="it can prove user_id, loyalty_id, email, phone"):
        TOKENS.issue(kind, "x", expires_at=LATER)


def test_a_token_shows_nobody() -> None:
    # A plain hash of an address could be found by trying addresses.
    assert ADA_HASHED[:16] not in MY_MAIL
    assert IdentityTokens([OLD]).issue("email", ADA, expires_at=LATER).split(".")[2] not in MY_MAIL


def test_a_token_ends_at_its_expiry() -> None:
    assert isinstance(TOKENS.verify(ME, at=LATER - timedelta(microseconds=1)), IdentityProof)
    assert TOKENS.verify(ME, at=LATER) is TokenFault.EXPIRED


def test_a_token_put_together_from_two_is_refused() -> None:
    (_, _, mine, _), (_, expiry, _, signature) = ME.split("."), MY_MAIL.split(".")

    assert TOKENS.verify(f"1.{expiry}.{mine}.{signature}", at=NOW) is TokenFault.UNKNOWN


def test_signature_and_identifier_are_compared_in_constant_time_with_every_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[str] = []

    def listening(one: str, other: str) -> bool:
        compared.append(other)
        return compare(one, other)

    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", listening)
    _, _, digest, signature = ME.split(".")
    proof = IdentityTokens([NEW, OLD]).verify(ME, at=NOW)
    assert isinstance(proof, IdentityProof)
    verify_identifiers([("user_id", "42")], [proof, proof])

    assert compared == [signature, signature, digest, digest]


# What it proves of an event


@pytest.mark.parametrize(
    ("identifiers", "tokens", "full"),
    [
        pytest.param([("user_id", "42")], [ME], True, id="who is proved"),
        pytest.param([("user_id", "42"), ("anonymous_id", "a")], [ME], True, id="and their device"),
        pytest.param([("user_id", "42"), ("push_token", "p")], [ME], True, id="and their phone's app"),
        pytest.param([("user_id", "42"), ("email", ADA)], [ME, MY_MAIL], True, id="both are proved"),
        pytest.param(
            [("email", ADA), ("email_sha256", ADA_HASHED)], [MY_MAIL], True, id="an address and its hash"
        ),
        pytest.param([("user_id", "42")], [], False, id="no token"),
        pytest.param([("user_id", "43")], [ME], False, id="another's user_id"),
        pytest.param([("loyalty_id", "42")], [ME], False, id="the value under another type"),
        pytest.param([("user_id", "42"), ("email", ADA)], [ME], False, id="beside a stranger's address"),
        pytest.param(
            [("user_id", "42"), ("email_sha256", ADA_HASHED)], [ME], False, id="beside a stranger's hash"
        ),
        pytest.param([("user_id", "42"), ("user_id", "43")], [ME], False, id="beside another user_id"),
        pytest.param([("anonymous_id", "a")], [ME], False, id="nobody but a device"),
        pytest.param([], [ME], False, id="nobody"),
    ],
)
def test_an_event_is_proved_when_all_it_says_of_a_person_is(
    identifiers: list[tuple[str, str]], tokens: list[str], full: bool
) -> None:
    read = [TOKENS.verify(token, at=NOW) for token in tokens]
    proofs = [proof for proof in read if isinstance(proof, IdentityProof)]

    assert len(proofs) == len(tokens)
    assert verify_identifiers(identifiers, proofs).is_verified is full
