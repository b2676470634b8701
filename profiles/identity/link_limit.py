"""The limit of unverified links: how far events of a public write key may extend one component."""

import time
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from profiles.identity.identifiers import email_hash_key, keys_digest, split_key

if TYPE_CHECKING:
    from profiles.identity.component import Component

MAX_COMPONENT_IDENTIFIERS = 1_000
"""Identifiers of a component beyond which no unverified link extends it."""

MAX_COMPONENT_LINKS = 1_000
"""Links of a component beyond which no unverified link is added to it. So one identifier has no more."""

MIN_CHARGED_IDENTIFIERS = 100
"""Identifiers of a component that an event may have read at no cost; those of a larger one are charged."""

FULL_COMPONENT_TTL_S = 30.0
"""Seconds for which a component counts as full. An operator may have cut it meanwhile."""

MAX_CACHED_KEYS = 20_000
"""Keys of full components that one process keeps. The oldest go first."""

LINK_PROBLEM = (
    "unverified events have named too many identifiers together with one of these: this event joins none of "
    "them, and counts for the strongest; name fewer identifiers, or send it with a server key"
)

# One statement, only for events that name an identifier of a full component.
_SELECT_STORED = """
SELECT i.type || ':' || i.value AS key, NULL AS digest FROM identifier i
JOIN unnest($1::text[], $2::text[]) AS asked(type, value) USING (type, value)
UNION ALL SELECT NULL, encode(digest, 'hex') FROM identity_link
WHERE NOT verified AND digest = ANY($3::bytea[])
"""


class LinkLimitReached(Exception):
    """New unverified links extend full components. The transaction has to be run again without them."""

    def __init__(self, keys: Collection[str], cost_by_event: dict[UUID, int]) -> None:
        super().__init__(f"unverified links extend full components of {len(keys)} identifiers")
        self.keys = keys
        """The identifiers of these components, new ones included."""
        self.cost_by_event = cost_by_event
        """Event → identifiers that were read for it."""


class FullComponents:
    """In-process cache (30 s) of the identifiers of full components.

    An unverified event that names one adds no link, so that the component is not read for it.
    """

    def __init__(self) -> None:
        self._expiry_by_key: dict[str, float] = {}

    def add(self, keys: Iterable[str]) -> None:
        """Cache keys for ``FULL_COMPONENT_TTL_S``."""
        until = time.monotonic() + FULL_COMPONENT_TTL_S
        for key in keys:
            self._expiry_by_key.pop(key, None)
            self._expiry_by_key[key] = until

    def trim(self) -> None:
        """Forget the oldest keys beyond ``MAX_CACHED_KEYS``."""
        while len(self._expiry_by_key) > MAX_CACHED_KEYS:
            del self._expiry_by_key[next(iter(self._expiry_by_key))]

    def concerns(self, keys: Sequence[str]) -> bool:
        """Whether a link of these keys would extend a full component. An address and its hash never do."""
        if not self._expiry_by_key or is_one_address(keys):
            return False
        now = time.monotonic()
        return any(self._expiry_by_key.get(key, 0.0) > now for key in keys)


def is_one_address(keys: Sequence[str]) -> bool:
    """Whether the keys, strongest first, are a single one, or an address and its hash."""
    if len(keys) == 2 and split_key(keys[0])[0] == "email":
        return keys[1] == email_hash_key(keys[0])
    return len(keys) < 2


def parts_of(component: "Component") -> dict[str, list[str]]:
    """Return key → the identifiers that links connect it with, itself included. Pure."""
    parts = {key: [key] for key in component.identifiers}
    for link in component.links.values():
        stored = [key for key in link.keys if key in parts]
        for key in stored[1:]:
            one, other = parts[stored[0]], parts[key]
            if one is other:
                continue
            few, many = sorted((one, other), key=len)
            many += few
            parts |= dict.fromkeys(few, many)
    return parts


def large_parts_of(component: "Component") -> dict[str, list[str]]:
    """Return ``parts_of`` for the parts that are read at the sender's cost. Pure."""
    if len(component.identifiers) <= MIN_CHARGED_IDENTIFIERS:
        return {}
    return {key: part for key, part in parts_of(component).items() if len(part) > MIN_CHARGED_IDENTIFIERS}


def check_link_limit(component: "Component", new_links: Collection[tuple[str, bool]]) -> None:
    """Raise ``LinkLimitReached`` if new unverified links extend a component beyond the limit.

    ``new_links``: (digest, verified) of the links that this transaction adds. Verified links are never
    refused, whatever unverified ones were added before.
    """
    if (
        len(component.identifiers) <= MAX_COMPONENT_IDENTIFIERS
        and len(component.links) <= MAX_COMPONENT_LINKS
    ):
        return
    new = [
        link
        for link in component.links.values()
        if not link.verified
        and not is_one_address(link.keys)
        and (keys_digest(link.keys), False) in new_links
    ]
    if not new:
        return
    parts = parts_of(component)
    links_of_part: dict[int, int] = {}
    for link in component.links.values():
        if (part := next((parts[key] for key in link.keys if key in parts), None)) is not None:
            links_of_part[id(part)] = links_of_part.get(id(part), 0) + 1
    keys: dict[str, None] = {}
    cost_by_event: dict[UUID, int] = {}
    charged: set[int] = set()
    for link in new:
        part = next(parts[key] for key in link.keys if key in parts)
        if len(part) <= MAX_COMPONENT_IDENTIFIERS and links_of_part[id(part)] <= MAX_COMPONENT_LINKS:
            continue
        keys |= dict.fromkeys((*link.keys, *(part if id(part) not in charged else ())))
        if id(part) not in charged and link.event_id is not None:
            charged.add(id(part))
            cost_by_event[link.event_id] = len(part)
    if keys:
        raise LinkLimitReached(keys, cost_by_event)


async def load_stored_keys(
    connection: Any, links: Sequence[Sequence[str]]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return which keys of these links are stored, and the digests of the unverified links that are."""
    pairs = [split_key(key) for key in dict.fromkeys(key for keys in links for key in keys)]
    digests = [bytes.fromhex(keys_digest(keys)) for keys in links]
    kinds, values = [kind for kind, _ in pairs], [value for _, value in pairs]
    rows = await connection.fetch(_SELECT_STORED, kinds, values, digests)
    return (
        frozenset(row["key"] for row in rows if row["key"] is not None),
        frozenset(row["digest"] for row in rows if row["digest"] is not None),
    )
