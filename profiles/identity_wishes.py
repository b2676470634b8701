"""What an operator may ask of identities; refused here, in words, where there is nothing to do."""

from datetime import UTC
from typing import Any
from uuid import UUID

from profiles.identifiers import split_key
from profiles.identity_rules import hash_of
from profiles.people import find


class Unknown(Exception):
    """What was named is not there."""


class Needless(Exception):
    """It is there, and is as asked for already."""


class Senseless(Exception):
    """It can never be done."""


async def may_cut(connection: Any, one: str, other: str) -> UUID:
    """The canonical profile whom both identifiers (type:value) name.

    Raises ``Senseless`` for one and the same, ``Unknown`` where nobody has one, ``Needless`` for two people.
    """
    if one == other:
        raise Senseless(f"{one} is named twice; name two identifiers, of different people")
    if hash_of(one) == other or hash_of(other) == one:
        raise Senseless(f"{one} and {other} are an address and its own hash; name somebody else's identifier")
    whose = []
    for key in (one, other):
        found = await find(connection, *split_key(key))
        if found is None:
            raise Unknown(f"nobody has {key}; check its spelling against the person's identity")
        whose.append(found)
    if whose[0] != whose[1]:
        raise Needless(f"{one} and {other} are two people already: profiles {whose[0]} and {whose[1]}")
    return whose[0]


async def may_mend(connection: Any, cut_id: int) -> None:
    """Raises ``Unknown`` where there is no such cut, ``Needless`` for one that is lifted already."""
    row = await connection.fetchrow("SELECT lifted_at FROM identity_cut WHERE cut_id = $1", cut_id)
    if row is None:
        raise Unknown(f"there is no cut {cut_id}; a person's identity lists theirs")
    if row["lifted_at"] is not None:
        raise Needless(f"cut {cut_id} was mended on {row['lifted_at'].astimezone(UTC):%Y-%m-%d} already")


async def may_release(connection: Any, key: str) -> None:
    """Raises ``Unknown`` for an identifier never seen, ``Needless`` for one that is not quarantined."""
    status = await connection.fetchval(
        "SELECT status FROM identifier WHERE type = $1 AND value = $2", *split_key(key)
    )
    if status is None:
        raise Unknown(f"{key} has never been seen; check its spelling against the list of quarantined ones")
    if status != "quarantined":
        raise Needless(f"{key} is not quarantined; the list of quarantined ones names those that are")
