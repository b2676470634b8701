"""Authentication and authorization by write, server and admin keys. Only hashes are kept in memory."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from fastapi import Request

from api.http.problems import Problem

MAX_KEY_LENGTH = 512
"""Characters. Longer keys are refused without hashing them."""

_MAX_HEADER_LENGTH = 4096
"""Characters of an Authorization header: more than the longest key takes in base64."""

_HASHED_KEY_PATTERN = re.compile(r"sha256:([0-9a-fA-F]{64})")

_LABELLED_KEY_PATTERN = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63}):(.+)")

_AUTHENTICATE_CHALLENGE = 'Basic realm="Waypost", charset="UTF-8"'


class Role(IntEnum):
    """What a key may do. A higher role includes the lower ones."""

    WRITE = 1
    """Sends events. It may be public, in a browser or an app, so its events are unverified."""
    SERVER = 2
    """Sends verified events and issues identity tokens. For a shop's backend and its tills."""
    ADMIN = 3
    """Does everything."""


_ROLE_LIMITATIONS = {
    Role.WRITE: "a write key may only send events",
    Role.SERVER: "a server key may only send events and issue identity tokens",
}

_REQUIRED_KEY_HINTS = {Role.SERVER: "use a server or an admin key here", Role.ADMIN: "use an admin key here"}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One configured key."""

    label: str
    """Part of the source of Segment events. The keys of a rotation share it."""
    digest: bytes
    role: Role
    length: int | None = None
    """Characters of the key; None if only its hash is known."""

    @property
    def actor(self) -> str:
        """The key's owner in logs of operators' actions."""
        return f"api/{self.label}"

    @classmethod
    def parse(cls, text: str, role: Role) -> "ApiKey":
        """Parse ``key`` or ``sha256:<hex>``, perhaps after ``label:``. Raises ``ValueError``: its length."""
        label = "default"
        if not _HASHED_KEY_PATTERN.fullmatch(text) and (named := _LABELLED_KEY_PATTERN.fullmatch(text)):
            label, text = named.groups()
        if not text or len(text) > MAX_KEY_LENGTH:
            raise ValueError(f"a key has 1 to {MAX_KEY_LENGTH} characters; got {len(text)}")
        if hashed := _HASHED_KEY_PATTERN.fullmatch(text):
            return cls(label, bytes.fromhex(hashed[1]), role)
        return cls(label, hashlib.sha256(text.encode()).digest(), role, len(text))


class ApiKeys:
    """All valid keys; several per role, for rotation. Raises ``ValueError`` for an empty or too long one."""

    def __init__(self, *, write: Iterable[str], server: Iterable[str], admin: Iterable[str]) -> None:
        self._keys = (
            *(ApiKey.parse(text, Role.WRITE) for text in write),
            *(ApiKey.parse(text, Role.SERVER) for text in server),
            *(ApiKey.parse(text, Role.ADMIN) for text in admin),
        )

    def find(self, secret: str) -> ApiKey | None:
        """Return the key with this secret, or None. Compares with every key, each in constant time."""
        if not secret or len(secret) > MAX_KEY_LENGTH:
            return None
        digest = hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
        match: ApiKey | None = None
        for key in self._keys:
            # No early exit, for constant time. If one secret has two roles, the higher one counts.
            if hmac.compare_digest(key.digest, digest) and (match is None or key.role > match.role):
                match = key
        return match

    def authorize(self, secret: str | None, role: Role) -> ApiKey:
        """Return the key. Raises ``Problem`` 401 without a valid one, 403 for a lower role."""
        if secret is None:
            raise unauthorized(
                "no key came with this request; send Authorization: Bearer <key>, or Basic with the key as "
                "user name and an empty password"
            )
        key = self.find(secret)
        if key is None:
            raise unauthorized(
                "this key is not known here; use one of WAYPOST_WRITE_KEYS, WAYPOST_SERVER_KEYS or "
                "WAYPOST_ADMIN_KEYS"
            )
        if key.role < role:
            raise Problem(403, f"{_ROLE_LIMITATIONS[key.role]}; {_REQUIRED_KEY_HINTS[role]}")
        return key


def unauthorized(detail: str) -> Problem:
    """Return a 401 that asks for a key."""
    return Problem(401, detail, headers={"WWW-Authenticate": _AUTHENTICATE_CHALLENGE})


def key_from_header(request: Request) -> str | None:
    """Return the key of the Authorization header, or None. Raises ``Problem`` 401 if it is malformed."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    if len(header) > _MAX_HEADER_LENGTH:
        raise unauthorized(f"the Authorization header is longer than the {_MAX_HEADER_LENGTH} that are read")
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer" and rest:
        return rest
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise unauthorized("the Basic credentials are not base64 of `key:`") from None
        # Some clients send only a password.
        return name or password
    raise unauthorized("the Authorization header must be `Bearer <key>`, or Basic with the key as user name")


def key_from_browser_login(request: Request) -> str | None:
    """Return the key of a browser's login dialog: password, else user name. Raises ``Problem`` 401."""
    scheme, _, rest = request.headers.get("authorization", "").strip().partition(" ")
    key = key_from_header(request)
    if scheme.lower() != "basic":
        return key
    _, _, password = base64.b64decode(rest.strip()).decode().partition(":")
    return password or key
