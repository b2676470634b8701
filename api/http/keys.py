"""Who may come in, and whose word counts: write, server and admin keys. Only hashes are kept in memory."""

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
"""Characters; longer ones are refused unhashed."""

_HASHED_KEY_PATTERN = re.compile(r"sha256:([0-9a-fA-F]{64})")

_LABELLED_KEY_PATTERN = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63}):(.+)")

_AUTHENTICATE_CHALLENGE = 'Basic realm="Waypost", charset="UTF-8"'


class Role(IntEnum):
    """What a key may do; a higher role includes the lower."""

    WRITE = 1
    """Sends events. It may be public, in a browser or an app, so nothing it says of a person is verified."""
    SERVER = 2
    """Sends verified events, and issues identity tokens; for a shop's backend and its tills."""
    ADMIN = 3
    """Does everything."""

    @property
    def is_trusted(self) -> bool:
        """Whether its word on who is who is verified."""
        return self >= Role.SERVER


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One configured key."""

    label: str
    """Part of the source of Segment events; keys that follow each other in a rotation share it."""
    digest: bytes
    role: Role

    @classmethod
    def parse(cls, text: str, role: Role) -> "ApiKey":
        """Read ``key`` or ``sha256:<hex>``, each with or without ``label:``. Raises ValueError when empty."""
        label = "default"
        if not _HASHED_KEY_PATTERN.fullmatch(text) and (named := _LABELLED_KEY_PATTERN.fullmatch(text)):
            label, text = named.groups()
        if not text or len(text) > MAX_KEY_LENGTH:
            raise ValueError(f"a key has 1 to {MAX_KEY_LENGTH} characters; got {len(text)}")
        if found := _HASHED_KEY_PATTERN.fullmatch(text):
            return cls(label, bytes.fromhex(found[1]), role)
        return cls(label, hashlib.sha256(text.encode()).digest(), role)


_ROLE_LIMITATIONS = {
    Role.WRITE: "a write key may only send events",
    Role.SERVER: "a server key may only send events and issue identity tokens",
}

_REQUIRED_KEY_HINTS = {Role.SERVER: "use a server or an admin key here", Role.ADMIN: "use an admin key here"}


class ApiKeys:
    """All keys that are live; more than one of each kind at a time, for rotation.

    Raises ValueError for one that is empty or too long.
    """

    def __init__(self, *, write: Iterable[str], server: Iterable[str], admin: Iterable[str]) -> None:
        self._keys = (
            *(ApiKey.parse(text, Role.WRITE) for text in write),
            *(ApiKey.parse(text, Role.SERVER) for text in server),
            *(ApiKey.parse(text, Role.ADMIN) for text in admin),
        )

    def find(self, secret: str) -> ApiKey | None:
        """The key this is, or None. Compares with every key, each in constant time."""
        if not secret or len(secret) > MAX_KEY_LENGTH:
            return None
        digest = hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
        found: ApiKey | None = None
        for key in self._keys:
            # No early exit, and of two roles for one secret the higher.
            if hmac.compare_digest(key.digest, digest) and (found is None or key.role > found.role):
                found = key
        return found

    def authorize(self, secret: str | None, role: Role) -> ApiKey:
        """The key, if it may act in ``role``. Raises ``Problem``: 401 for no good key, 403 for a weak one."""
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
            raise Problem(403, "Forbidden", f"{_ROLE_LIMITATIONS[key.role]}; {_REQUIRED_KEY_HINTS[role]}")
        return key


def unauthorized(detail: str) -> Problem:
    """401, asking for a key."""
    return Problem(401, "Unauthorized", detail, headers={"WWW-Authenticate": _AUTHENTICATE_CHALLENGE})


def key_from_header(request: Request) -> str | None:
    """The key in the Authorization header, None without one. Raises ``Problem`` 401 when malformed."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer" and rest:
        return rest
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise unauthorized("the Basic credentials are not base64 of `key:`") from None
        # Some clients can only fill in the password.
        return name or password
    raise unauthorized("the Authorization header must be `Bearer <key>`, or Basic with the key as user name")


def key_from_browser_login(request: Request) -> str | None:
    """The key as a person types it into a browser's own form: as the password, else as the user name.

    None without one. Raises ``Problem`` 401 when malformed.
    """
    scheme, _, rest = request.headers.get("authorization", "").strip().partition(" ")
    key = key_from_header(request)
    if scheme.lower() != "basic":
        return key
    _, _, password = base64.b64decode(rest.strip()).decode().partition(":")
    return password or key
