"""Preference tokens: signed permissions to change a consent without logging in, without personal data."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from profiles.db.sql import decode_base64url, encode_base64url
from profiles.identity.tokens import MIN_SECRET_BYTES

VERSION = "1"

LONGEST_TOKEN = 512
"""Characters. Longer tokens are rejected unread."""

_PREFERENCE_SIGNING_CONTEXT = b"waypost preference token"

OPT_IN_SIGNING_CONTEXT = b"waypost opt-in token"
"""Signing context of the links that confirm a consent, so that neither kind of link serves as the other."""

_FIELD_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class PreferenceClaim:
    """The content of a token with a valid signature."""

    profile_id: str
    """The profile at the time of sending. Follow ``merged_into`` before use."""
    message_id: str
    channel: str
    topic: str


class PreferenceTokens:
    """Issues and reads tokens. The first secret signs; the others are still accepted, for rotation."""

    def __init__(self, secrets: Sequence[str], *, context: bytes = _PREFERENCE_SIGNING_CONTEXT) -> None:
        """``secrets``: newest first, each of at least 32 bytes; raises ``ValueError`` otherwise."""
        if not secrets:
            raise ValueError(
                "preference tokens need at least one secret, got none; make one with `openssl rand -hex 32`"
            )
        short = [i for i, secret in enumerate(secrets) if len(secret.encode()) < MIN_SECRET_BYTES]
        if short:
            numbers = ", ".join(str(i + 1) for i in short)
            raise ValueError(
                f"secrets of preference tokens need {MIN_SECRET_BYTES} bytes; too short: number {numbers} of "
                f"{len(secrets)}; make one with `openssl rand -hex 32`"
            )
        encoded = (secret.encode() for secret in secrets)
        self._keys = [hmac.digest(each, context, hashlib.sha256) for each in encoded]

    def issue(self, profile_id: str, message_id: str, channel: str, topic: str) -> str:
        """Return a token for the links of one message: URL-safe, the same for the same values and secret.

        It does not expire: an opt-out must work for 30 days (CAN-SPAM), and a link in an older mail too.
        Raises ValueError for an empty value, a control character, and values that are too long.
        """
        parts = (profile_id, message_id, channel, topic)
        if any(_FIELD_SEPARATOR in part or not part for part in parts):
            raise ValueError(
                "a preference token needs four values, none empty and none with a control character"
            )
        payload = _FIELD_SEPARATOR.join(parts).encode()
        signature = encode_base64url(self._sign(self._keys[0], payload))
        token = f"{VERSION}.{encode_base64url(payload)}.{signature}"
        if len(token) > LONGEST_TOKEN:
            raise ValueError(
                f"a preference token holds {LONGEST_TOKEN} characters at most; the ids are too long"
            )
        return token

    def verify(self, token: str) -> PreferenceClaim | None:
        """Return the token's content, or None where the signature is invalid. Constant time. Never raises."""
        if len(token) > LONGEST_TOKEN or not token.isascii():
            return None
        version, _, rest = token.partition(".")
        body, _, signature = rest.partition(".")
        payload, given = _decode_strictly(body), _decode_strictly(signature)
        if version != VERSION or payload is None or given is None:
            return None
        matches = [hmac.compare_digest(self._sign(key, payload), given) for key in self._keys]
        if not any(matches):
            return None
        parts = payload.decode().split(_FIELD_SEPARATOR)
        return PreferenceClaim(*parts) if len(parts) == 4 else None

    @staticmethod
    def _sign(key: bytes, payload: bytes) -> bytes:
        return hmac.digest(key, VERSION.encode() + b"." + payload, hashlib.sha256)


def _decode_strictly(text: str) -> bytes | None:
    """Decode only the spelling that ``encode_base64url`` returns, so that no two tokens have one content."""
    try:
        data = decode_base64url(text)
    except ValueError:
        return None
    return data if encode_base64url(data) == text else None
