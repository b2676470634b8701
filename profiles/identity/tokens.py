"""Identity tokens: signed, expiring proofs of an identifier, issued by a backend, without personal data."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from profiles.db.sql import encode_base64url
from profiles.identity.identifiers import STRONG_TYPES, identifier_key, implied_identifiers

VERSION = "1"

MAX_IDENTITY_TOKEN_LIFETIME = timedelta(days=30)

MIN_SECRET_BYTES = 32
"""Bytes; the length of HMAC-SHA256's output, the recommended minimum of a key (RFC 2104 section 3)."""

LONGEST_TOKEN = 256
"""Characters; longer tokens are refused unread."""

_IDENTITY_SIGNING_CONTEXT = b"waypost identity token"

_IDENTITY_DIGEST_CONTEXT = b"waypost identity token: identifier"


class TokenFault(StrEnum):
    """Why a token proves nothing."""

    UNKNOWN = "unknown"
    """Not issued by Waypost, changed, or signed with a secret that is no longer accepted."""
    EXPIRED = "expired"
    """Past its expiry."""


@dataclass(frozen=True, slots=True)
class IdentityProof:
    """The content of a valid token: a keyed digest of an identifier, to compare identifiers with."""

    digest: str
    digest_key: bytes
    """Key of the digest."""


@dataclass(frozen=True, slots=True)
class IdentifierVerification:
    """Types of an event's identifiers that its tokens prove, and of those that they do not."""

    proved_types: tuple[str, ...]
    unproved_types: tuple[str, ...]

    @property
    def is_verified(self) -> bool:
        """Whether the event is verified: it names a proved identifier, and no unproved one."""
        return bool(self.proved_types) and not self.unproved_types


class IdentityTokens:
    """Issues and reads tokens. The first secret signs; the others are accepted too, for rotation."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Derive the keys. ``secrets``: newest first. Raises ValueError for none, or one under 32 bytes."""
        if not secrets or any(len(secret.encode()) < MIN_SECRET_BYTES for secret in secrets):
            raise ValueError(
                f"identity tokens need at least one secret, and {MIN_SECRET_BYTES} bytes in each; make one "
                "with `openssl rand -hex 32`"
            )
        contexts = (_IDENTITY_SIGNING_CONTEXT, _IDENTITY_DIGEST_CONTEXT)
        self._keys = [[_hmac(secret.encode(), context) for context in contexts] for secret in secrets]

    def issue(self, kind: str, value: str, *, expires_at: datetime) -> str:
        """Return a token that its bearer is ``kind:value`` (normalized) until ``expires_at`` (whole seconds).

        URL-safe, and the same for the same values and secret. It holds the identifier as a keyed digest, so
        that an address cannot be found by trials without the secret. Raises ``ValueError`` for a type that
        is not strong.
        """
        if kind not in STRONG_TYPES:
            raise ValueError(f"no token can prove {kind!r}; it can prove {', '.join(STRONG_TYPES)}")
        signing_key, digest_key = self._keys[0]
        signed = f"{VERSION}.{int(expires_at.timestamp())}.{_identifier_digest(digest_key, kind, value)}"
        return f"{signed}.{_signature(signing_key, signed)}"

    def verify(self, token: str, *, at: datetime) -> IdentityProof | TokenFault:
        """Return what a token proves at an instant, or why nothing. Constant time. Never raises."""
        signed, _, signature = token.rpartition(".")
        if len(token) > LONGEST_TOKEN or not token.isascii():
            return TokenFault.UNKNOWN
        # No early exit: the time taken must not disclose which secret it was.
        matches = [hmac.compare_digest(_signature(key, signed), signature) for key, _ in self._keys]
        if not any(matches):
            return TokenFault.UNKNOWN
        # The signature is valid, so these parts exist.
        _, expiry, digest = signed.split(".")
        if at.timestamp() >= int(expiry):
            return TokenFault.EXPIRED
        return IdentityProof(digest, self._keys[matches.index(True)][1])


def verify_identifiers(
    identifiers: Iterable[tuple[str, str]], proofs: Sequence[IdentityProof]
) -> IdentifierVerification:
    """Return which identifiers (type, normalized value) of one event are proved by ``proofs``.

    A hashed address is unproved, unless the event names the address as well. Device types need no proof.
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
    # One digest for each secret, not for each token, so that long lists of tokens do not make ingest slow.
    for digest_key, proved in digests.items():
        digest = _identifier_digest(digest_key, kind, value)
        if any([hmac.compare_digest(digest, each) for each in proved]):  # noqa: C419 - no early exit
            return True
    return False


def _identifier_digest(digest_key: bytes, kind: str, value: str) -> str:
    return encode_base64url(_hmac(digest_key, identifier_key(kind, value).encode(errors="surrogatepass")))


def _signature(signing_key: bytes, signed: str) -> str:
    return encode_base64url(_hmac(signing_key, signed.encode()))


def _hmac(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, hashlib.sha256)
