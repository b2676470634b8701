"""Identity tokens: who their bearer is, by the word of a server; signed, expiring, without personal data."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from profiles.identity.identifiers import STRONG, implied, key

VERSION = "1"

LONGEST_LIFE = timedelta(days=30)

LONGEST_TOKEN = 256
"""Characters; longer ones are refused unread."""

_SIGNING = b"waypost identity token"

_NAMING = b"waypost identity token: identifier"


class Fault(StrEnum):
    """Why a token proves nothing."""

    UNKNOWN = "unknown"
    """Not of our making, changed since, or signed by a secret that is no longer live."""
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a good token says: an identifier, which only shows when it is asked for."""

    digest: str
    naming: bytes
    """What the digest was made with."""


@dataclass(frozen=True, slots=True)
class Vouching:
    """Which of the identifiers of an event its tokens prove, as types."""

    proved: tuple[str, ...]
    unproved: tuple[str, ...]

    @property
    def is_full(self) -> bool:
        """Whether the event is verified: it names a person, and nobody else beside them."""
        return bool(self.proved) and not self.unproved


class IdentityTokens:
    """Issues and reads tokens. The first secret signs; the others are still accepted, for rotation."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """``secrets``: newest first, each of at least 32 bytes; raises ``ValueError`` otherwise."""
        if not secrets or any(len(secret.encode()) < SHORTEST_SECRET for secret in secrets):
            raise ValueError(
                f"identity tokens need at least one secret, and {SHORTEST_SECRET} bytes in each; make one "
                "with `openssl rand -hex 32`"
            )
        self._keys = tuple(
            (_hmac(secret.encode(), _SIGNING), _hmac(secret.encode(), _NAMING)) for secret in secrets
        )

    def issue(self, kind: str, value: str, *, expires_at: datetime) -> str:
        """A token that its bearer is ``kind:value`` (normalised) until ``expires_at`` (whole seconds of it).

        URL-safe, the same for the same values and secret. It holds the identifier as a keyed digest, so that
        nobody without the secret can find the address by trying. Raises ``ValueError`` for another type.
        """
        if kind not in STRONG:
            raise ValueError(f"no token can prove {kind!r}; it can prove {', '.join(STRONG)}")
        signing, naming = self._keys[0]
        signed = f"{VERSION}.{int(expires_at.timestamp())}.{_named(naming, kind, value)}"
        return f"{signed}.{_signature(signing, signed)}"

    def read(self, token: str, *, at: datetime) -> Proof | Fault:
        """What a token proves at an instant, or why nothing; compares in constant time and never raises."""
        signed, _, signature = token.rpartition(".")
        if len(token) > LONGEST_TOKEN or not token.isascii():
            return Fault.UNKNOWN
        # No early exit: the time taken must not tell which secret it was.
        matches = [hmac.compare_digest(_signature(signing, signed), signature) for signing, _ in self._keys]
        if not any(matches):
            return Fault.UNKNOWN
        # Signed by us, so these parts are there.
        _, expiry, digest = signed.split(".")
        if at.timestamp() >= int(expiry):
            return Fault.EXPIRED
        return Proof(digest, self._keys[matches.index(True)][1])


def vouching(identifiers: Iterable[tuple[str, str]], proofs: Sequence[Proof]) -> Vouching:
    """What ``proofs`` prove of the identifiers (type, normalised value) of one event.

    A hashed address counts as an address of its own, unless the event names the address as well. Types that
    stand for a device need no proof.
    """
    named = list(identifiers)
    hashes = implied(named)
    digests: dict[bytes, list[str]] = {}
    for proof in proofs:
        digests.setdefault(proof.naming, []).append(proof.digest)
    proved: dict[str, None] = {}
    unproved: dict[str, None] = {}
    for kind, value in named:
        if kind in STRONG:
            (proved if _is_among(digests, kind, value) else unproved)[kind] = None
        elif kind == "email_sha256" and (kind, value) not in hashes:
            unproved[kind] = None
    return Vouching(tuple(proved), tuple(unproved))


def _is_among(digests: Mapping[bytes, Sequence[str]], kind: str, value: str) -> bool:
    # One digest a secret, however many tokens came: a list of both must not cost the door its time.
    for naming, given in digests.items():
        digest = _named(naming, kind, value)
        if any([hmac.compare_digest(digest, one) for one in given]):  # noqa: C419 - no early exit
            return True
    return False


def _named(naming: bytes, kind: str, value: str) -> str:
    return _text(_hmac(naming, key(kind, value).encode(errors="surrogatepass")))


def _signature(signing: bytes, signed: str) -> str:
    return _text(_hmac(signing, signed.encode()))


def _hmac(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


SHORTEST_SECRET = 32
"""Bytes; what HMAC-SHA256 can use (RFC 2104 section 3)."""
