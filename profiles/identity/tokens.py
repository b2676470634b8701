"""Identity tokens: who their bearer is, by the word of a server; signed, expiring, without personal data."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from profiles.identity.identifiers import STRONG_TYPES, identifier_key, implied_identifiers

VERSION = "1"

MAX_IDENTITY_TOKEN_LIFETIME = timedelta(days=30)

LONGEST_TOKEN = 256
"""Characters; longer ones are refused unread."""

_IDENTITY_SIGNING_CONTEXT = b"waypost identity token"

_IDENTITY_DIGEST_CONTEXT = b"waypost identity token: identifier"


class TokenFault(StrEnum):
    """Why a token proves nothing."""

    UNKNOWN = "unknown"
    """Not of our making, changed since, or signed by a secret that is no longer live."""
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class IdentityProof:
    """What a good token says: an identifier, which only shows when it is asked for."""

    digest: str
    digest_key: bytes
    """What the digest was made with."""


@dataclass(frozen=True, slots=True)
class IdentifierVerification:
    """Which of the identifiers of an event its tokens prove, as types."""

    proved_types: tuple[str, ...]
    unproved_types: tuple[str, ...]

    @property
    def is_verified(self) -> bool:
        """Whether the event is verified: it names a person, and nobody else beside them."""
        return bool(self.proved_types) and not self.unproved_types


class IdentityTokens:
    """Issues and reads tokens. The first secret signs; the others are still accepted, for rotation."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """``secrets``: newest first, each of at least 32 bytes; raises ``ValueError`` otherwise."""
        if not secrets or any(len(secret.encode()) < MIN_SECRET_BYTES for secret in secrets):
            raise ValueError(
                f"identity tokens need at least one secret, and {MIN_SECRET_BYTES} bytes in each; make one "
                "with `openssl rand -hex 32`"
            )
        self._keys = tuple(
            (
                _hmac(secret.encode(), _IDENTITY_SIGNING_CONTEXT),
                _hmac(secret.encode(), _IDENTITY_DIGEST_CONTEXT),
            )
            for secret in secrets
        )

    def issue(self, kind: str, value: str, *, expires_at: datetime) -> str:
        """A token that its bearer is ``kind:value`` (normalised) until ``expires_at`` (whole seconds of it).

        URL-safe, the same for the same values and secret. It holds the identifier as a keyed digest, so that
        nobody without the secret can find the address by trying. Raises ``ValueError`` for another type.
        """
        if kind not in STRONG_TYPES:
            raise ValueError(f"no token can prove {kind!r}; it can prove {', '.join(STRONG_TYPES)}")
        signing, naming = self._keys[0]
        signed = f"{VERSION}.{int(expires_at.timestamp())}.{_identifier_digest(naming, kind, value)}"
        return f"{signed}.{_signature(signing, signed)}"

    def verify(self, token: str, *, at: datetime) -> IdentityProof | TokenFault:
        """What a token proves at an instant, or why nothing; compares in constant time and never raises."""
        signed, _, signature = token.rpartition(".")
        if len(token) > LONGEST_TOKEN or not token.isascii():
            return TokenFault.UNKNOWN
        # No early exit: the time taken must not tell which secret it was.
        matches = [hmac.compare_digest(_signature(signing, signed), signature) for signing, _ in self._keys]
        if not any(matches):
            return TokenFault.UNKNOWN
        # Signed by us, so these parts are there.
        _, expiry, digest = signed.split(".")
        if at.timestamp() >= int(expiry):
            return TokenFault.EXPIRED
        return IdentityProof(digest, self._keys[matches.index(True)][1])


def verify_identifiers(
    identifiers: Iterable[tuple[str, str]], proofs: Sequence[IdentityProof]
) -> IdentifierVerification:
    """What ``proofs`` prove of the identifiers (type, normalised value) of one event.

    A hashed address counts as an address of its own, unless the event names the address as well. Types that
    stand for a device need no proof.
    """
    named = list(identifiers)
    hashes = implied_identifiers(named)
    digests: dict[bytes, list[str]] = {}
    for proof in proofs:
        digests.setdefault(proof.digest_key, []).append(proof.digest)
    proved: dict[str, None] = {}
    unproved: dict[str, None] = {}
    for kind, value in named:
        if kind in STRONG_TYPES:
            (proved if _is_proved(digests, kind, value) else unproved)[kind] = None
        elif kind == "email_sha256" and (kind, value) not in hashes:
            unproved[kind] = None
    return IdentifierVerification(tuple(proved), tuple(unproved))


def _is_proved(digests: Mapping[bytes, Sequence[str]], kind: str, value: str) -> bool:
    # One digest a secret, however many tokens came: a list of both must not cost the door its time.
    for naming, given in digests.items():
        digest = _identifier_digest(naming, kind, value)
        if any([hmac.compare_digest(digest, one) for one in given]):  # noqa: C419 - no early exit
            return True
    return False


def _identifier_digest(naming: bytes, kind: str, value: str) -> str:
    return _base64url(_hmac(naming, identifier_key(kind, value).encode(errors="surrogatepass")))


def _signature(signing: bytes, signed: str) -> str:
    return _base64url(_hmac(signing, signed.encode()))


def _hmac(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, hashlib.sha256)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


MIN_SECRET_BYTES = 32
"""Bytes; what HMAC-SHA256 can use (RFC 2104 section 3)."""
