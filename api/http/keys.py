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

LONGEST_KEY = 512
"""Characters; longer ones are refused unhashed."""

_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")

_LABEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63}):(.+)")

_ASK = 'Basic realm="Waypost", charset="UTF-8"'


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
class Key:
    """One configured key."""

    label: str
    """Part of the source of Segment events; keys that follow each other in a rotation share it."""
    digest: bytes
    role: Role

    @classmethod
    def parse(cls, text: str, role: Role) -> "Key":
        """Read ``key`` or ``sha256:<hex>``, each with or without ``label:``. Raises ValueError when empty."""
        label = "default"
        if not _HASH.fullmatch(text) and (named := _LABEL.fullmatch(text)):
            label, text = named.groups()
        if not text or len(text) > LONGEST_KEY:
            raise ValueError(f"a key has 1 to {LONGEST_KEY} characters; got {len(text)}")
        if found := _HASH.fullmatch(text):
            return cls(label, bytes.fromhex(found[1]), role)
        return cls(label, hashlib.sha256(text.encode()).digest(), role)


_MAY_ONLY = {
    Role.WRITE: "a write key may only send events",
    Role.SERVER: "a server key may only send events and issue identity tokens",
}

_INSTEAD = {Role.SERVER: "use a server or an admin key here", Role.ADMIN: "use an admin key here"}


class Keys:
    """All keys that are live; more than one of each kind at a time, for rotation.

    Raises ValueError for one that is empty or too long.
    """

    def __init__(self, *, write: Iterable[str], server: Iterable[str], admin: Iterable[str]) -> None:
        self._keys = (
            *(Key.parse(text, Role.WRITE) for text in write),
            *(Key.parse(text, Role.SERVER) for text in server),
            *(Key.parse(text, Role.ADMIN) for text in admin),
        )

    def find(self, secret: str) -> Key | None:
        """The key this is, or None. Compares with every key, each in constant time."""
        if not secret or len(secret) > LONGEST_KEY:
            return None
        digest = hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
        found: Key | None = None
        for key in self._keys:
            # No early exit, and of two roles for one secret the higher.
            if hmac.compare_digest(key.digest, digest) and (found is None or key.role > found.role):
                found = key
        return found

    def admit(self, secret: str | None, role: Role) -> Key:
        """The key, if it may act in ``role``. Raises ``Problem``: 401 for no good key, 403 for a weak one."""
        if secret is None:
            raise refused(
                "no key came with this request; send Authorization: Bearer <key>, or Basic with the key as "
                "user name and an empty password"
            )
        key = self.find(secret)
        if key is None:
            raise refused(
                "this key is not known here; use one of WAYPOST_WRITE_KEYS, WAYPOST_SERVER_KEYS or "
                "WAYPOST_ADMIN_KEYS"
            )
        if key.role < role:
            raise Problem(403, "Forbidden", f"{_MAY_ONLY[key.role]}; {_INSTEAD[role]}")
        return key


def refused(detail: str) -> Problem:
    """401, asking for a key."""
    return Problem(401, "Unauthorized", detail, headers={"WWW-Authenticate": _ASK})


def header_key(request: Request) -> str | None:
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
            raise refused("the Basic credentials are not base64 of `key:`") from None
        # Some clients can only fill in the password.
        return name or password
    raise refused("the Authorization header must be `Bearer <key>`, or Basic with the key as user name")


def browser_key(request: Request) -> str | None:
    """The key as a person types it into a browser's own form: as the password, else as the user name.

    None without one. Raises ``Problem`` 401 when malformed.
    """
    scheme, _, rest = request.headers.get("authorization", "").strip().partition(" ")
    key = header_key(request)
    if scheme.lower() != "basic":
        return key
    _, _, password = base64.b64decode(rest.strip()).decode().partition(":")
    return password or key
