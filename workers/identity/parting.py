"""What ``waypost identity unmerge``, ``mend`` and ``release`` do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from profiles import unmerge
from profiles.database import Database
from profiles.identity_apart import ComesApart, comes_apart
from profiles.identity_messages import SentMessage, messages_by_id
from profiles.identity_view import HeldIdentifier, identifiers_of
from profiles.identity_wishes import may_cut, may_mend, may_release
from workers.identity.reaching import actor, facts, spelled
from workers.identity.tables import of_people


@dataclass(frozen=True, slots=True)
class Ahead:
    """A cut that has not been made."""

    one: str
    other: str
    apart: ComesApart


@dataclass(frozen=True, slots=True)
class Parted:
    """The people there are now, and what was done."""

    said: str
    people: dict[UUID, list[HeldIdentifier]]
    cut_id: int | None = None
    messages: list[SentMessage] = field(default_factory=list)

    def json(self) -> str:
        """The same as over HTTP."""
        profiles = [{"profile_id": who, "identifiers": held} for who, held in self.people.items()]
        told: dict[str, Any] = {"profiles": profiles}
        if self.cut_id is not None:
            told |= {"cut_id": self.cut_id, "messages_while_merged": self.messages}
        return orjson.dumps(told, str, orjson.OPT_INDENT_2).decode()


async def look_ahead(one: tuple[str, str], other: tuple[str, str]) -> Ahead:
    """What a cut would part. Changes nothing. Raises ``Fault``."""
    keys = spelled(*one), spelled(*other)

    async def read(connection: Any) -> ComesApart:
        profile_id = await may_cut(connection, *keys)
        return await comes_apart(connection, profile_id, *keys)

    async with facts() as database:
        return Ahead(*keys, await database.run(read))


async def cut_apart(ahead: Ahead, *, reason: str) -> Parted:
    """Make the cut. Raises ``Fault``."""
    async with facts() as database:
        cut = await unmerge.cut(database, ahead.one, ahead.other, actor=actor(), reason=reason)
        sent = await database.run(lambda connection: messages_by_id(connection, cut.sent))
        said = f"Cut {cut.cut_id}; `waypost identity mend {cut.cut_id}` undoes it."
        return Parted(said, await _people(database, cut.profiles), cut.cut_id, sent)


async def mend_cut(cut_id: int, *, reason: str) -> Parted:
    """Lift a cut. Raises ``Fault``."""
    async with facts() as database:
        await database.run(lambda connection: may_mend(connection, cut_id))
        now = await unmerge.mend(database, cut_id, actor=actor(), reason=reason)
        return Parted(f"Cut {cut_id} is lifted.", await _people(database, now))


async def release_identifier(named: tuple[str, str], *, reason: str) -> Parted:
    """Let a quarantined identifier be somebody's. Raises ``Fault``."""
    key = spelled(*named)
    async with facts() as database:
        await database.run(lambda connection: may_release(connection, key))
        now = await unmerge.release(database, key, actor=actor(), reason=reason)
        return Parted(f"{key} is no longer quarantined.", await _people(database, now))


def in_words(parted: Parted) -> str:
    """What to print of it."""
    return f"{of_people(parted.people, parted.messages if parted.cut_id else None)}{parted.said}"


async def _people(database: Database, profiles: Sequence[UUID]) -> dict[UUID, list[HeldIdentifier]]:
    async with database.transaction() as connection:
        return {who: await identifiers_of(connection, who) for who in profiles}
