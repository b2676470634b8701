"""Identifiers that verified events name together with a device, also where the device is quarantined."""

from collections.abc import Collection
from typing import Any

from profiles.identity.graph import find_shared_keys
from profiles.identity.identifiers import DEFAULT_IDENTITY_RULES, STRONG_TYPES, split_key

MAX_LINKS_READ = 200
"""Verified links of one device that are read. A device with more is shared by many, and is quarantined."""

_SELECT_LINKS = """
SELECT asked.key, l.keys FROM unnest($1::text[]) AS asked(key) CROSS JOIN LATERAL (
  SELECT keys FROM identity_link WHERE verified AND keys @> ARRAY[asked.key] LIMIT $2) l
"""


async def load_owners_of_devices(connection: Any, devices: Collection[str]) -> dict[str, frozenset[str]]:
    """Return device → the strong identifiers that verified events name together with it.

    Whatever unverified events say: these can have a device quarantined, and cannot take it from its owner.
    None for a device that verified events alone would quarantine.
    """
    links: dict[str, list[list[str]]] = {}
    for key, keys in await connection.fetch(_SELECT_LINKS, list(devices), MAX_LINKS_READ):
        links.setdefault(key, []).append(keys)
    owners: dict[str, frozenset[str]] = {}
    for device, named in links.items():
        strong = frozenset(key for keys in named for key in keys if split_key(key)[0] in STRONG_TYPES)
        shared = find_shared_keys([(keys, True) for keys in named], (), DEFAULT_IDENTITY_RULES)
        if strong and device not in shared and len(named) < MAX_LINKS_READ:
            owners[device] = strong
    return owners
