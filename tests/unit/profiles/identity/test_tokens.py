"""Signed tokens of both kinds: what we signed is read, and nothing else is."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.identity.tokens import LONGEST_TOKEN, IdentityTokens, TokenFault
from profiles.messaging.preference_tokens import PreferenceClaim, PreferenceTokens

OLD, NEW = "old-secret-" + "o" * 32, "new-secret-" + "n" * 32

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

CLAIM = PreferenceClaim(
    "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac97-7000-8000-000000000000", "email", "marketing"
)


class Signer(NamedTuple):
    """How one kind of token is issued and read with some secrets, and what reading a foreign one gives."""

    issue: Callable[[], str]
    verify: Callable[[str], object]
    refusal: object
    longest: int


def identity(secrets: Sequence[str]) -> Signer:
    tokens = IdentityTokens(secrets)
    issue = partial(tokens.issue, "user_id", "42", expires_at=NOW + timedelta(hours=1))
    return Signer(issue, partial(tokens.verify, at=NOW), TokenFault.UNKNOWN, LONGEST_TOKEN)


def preference(secrets: Sequence[str]) -> Signer:
    tokens = PreferenceTokens(secrets)
    issue = partial(tokens.issue, CLAIM.profile_id, CLAIM.message_id, CLAIM.channel, CLAIM.topic)
    return Signer(issue, tokens.verify, None, 250)


BOTH_KINDS = pytest.mark.parametrize("kind", [identity, preference])

Kind = Callable[[Sequence[str]], Signer]


@BOTH_KINDS
def test_a_token_fits_a_url_and_a_mail_header(kind: Kind) -> None:
    signer = kind([NEW])
    token = signer.issue()

    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(token) < signer.longest


@BOTH_KINDS
def test_a_change_in_any_character_is_refused(kind: Kind) -> None:
    signer = kind([NEW])
    token = signer.issue()

    for index, character in enumerate(token):
        for other in "A_.9":
            if other != character:
                assert signer.verify(token[:index] + other + token[index + 1 :]) is signer.refusal, index


@BOTH_KINDS
def test_a_token_cut_short_or_made_longer_is_refused(kind: Kind) -> None:
    signer = kind([NEW])
    token = signer.issue()
    cut = [token[:length] for length in range(len(token))]

    assert {signer.refusal} == {
        signer.verify(other) for other in [*cut, *(token + tail for tail in ("A", "=", ".", "\n", " "))]
    }


@BOTH_KINDS
@given(
    st.text(max_size=300)
    | st.from_regex(r"1\.[0-9]{0,20}\.[\w-]{0,43}\.[\w-]{0,43}", fullmatch=True)
    | st.from_regex(r"1\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{43}", fullmatch=True)
)
def test_a_made_up_token_is_refused_and_never_raises(kind: Kind, token: str) -> None:
    signer = kind([NEW])

    assert signer.verify(token) is signer.refusal


@BOTH_KINDS
def test_after_rotation_old_tokens_still_read_and_new_ones_are_signed_anew(kind: Kind) -> None:
    before, during, after = kind([OLD]), kind([NEW, OLD]), kind([NEW])
    old = before.issue()

    assert during.verify(old) == before.verify(old) != during.refusal
    assert during.issue() == after.issue() != old
    assert after.verify(old) is after.refusal


@pytest.mark.parametrize(
    ("kind", "secrets", "fault"),
    [
        pytest.param(identity, [], "at least one secret, and 32 bytes in each", id="no identity secret"),
        pytest.param(identity, [NEW, "short", ""], "and 32 bytes in each", id="weak identity secrets"),
        pytest.param(preference, [], "at least one secret", id="no preference secret"),
        pytest.param(preference, [NEW, "short", ""], "number 2, 3 of 3", id="weak preference secrets"),
    ],
)
def test_missing_or_weak_secrets_are_refused_without_showing_them(
    kind: Kind, secrets: list[str], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        kind(secrets)

    assert NEW not in str(caught.value)
    assert "short," not in str(caught.value)


# What is special to tokens of the preference page


def test_a_token_says_what_it_was_issued_for() -> None:
    signer = preference([NEW])

    assert signer.verify(signer.issue()) == CLAIM


def test_values_cannot_be_shifted_from_one_field_into_the_next() -> None:
    tokens = PreferenceTokens([NEW])

    with pytest.raises(ValueError, match="none with a control character"):
        tokens.issue("p\x1fm", "m", "email", "marketing")
    with pytest.raises(ValueError, match="none empty"):
        tokens.issue("p", "", "email", "marketing")
