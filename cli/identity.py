"""What ``waypost identity unmerge``, ``mend`` and ``release`` do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from api.d2 import DrawingError
from api.identity_diagram.mermaid import mermaid
from api.identity_diagram.svg import svg
from cli.database import actor, facts, spelled
from cli.tables import of_people, of_person, of_quarantine
from profiles.db.database import Database
from profiles.errors import Unknown
from profiles.identity.component import find
from profiles.identity.identifiers import split_key
from profiles.identity.quarantine import quarantined
from profiles.identity.views import HeldIdentifier, IdentityView, identifiers_of, identity_of
from profiles.merging import unmerge
from profiles.merging.cut_preview import ComesApart, SentMessage, comes_apart, messages_by_id
from profiles.merging.unmerge import may_cut, may_mend, may_release
from workers.process import Fault


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


async def show_identity(kind: str, value: str, *, format: str, full: bool) -> str:
    """The identity of the person behind an identifier, as text. Raises ``Fault``."""
    key = spelled(kind, value)

    async def read(connection: Any) -> IdentityView:
        profile_id = await find(connection, *split_key(key))
        if profile_id is None:
            raise Unknown(f"nobody has {key}; check its spelling, or send an event that names it")
        return await identity_of(connection, profile_id)

    async with facts() as database:
        return _as(format, await database.run(read), full)


def write(text: str, to: Path) -> None:
    """Into a file; one that is there already is replaced. Raises ``Fault``."""
    try:
        to.write_text(text, "utf-8")
    except OSError as error:
        said = f"{to} cannot be written: {error.strerror}; name a file in a folder that exists"
        raise Fault(said) from error


async def list_quarantined(*, limit: int, as_json: bool) -> str:
    """What to print of the identifiers that are nobody's. Raises ``Fault``."""
    async with facts() as database:
        found = await database.run(lambda connection: quarantined(connection, limit=limit))
    if as_json:
        return orjson.dumps({"quarantined": found}, str, orjson.OPT_INDENT_2).decode()
    return of_quarantine(found)


def _as(format: str, view: IdentityView, full: bool) -> str:
    match format:
        case "json":
            return orjson.dumps(view, str, orjson.OPT_INDENT_2).decode() + "\n"
        case "mermaid":
            return mermaid(view, full=full)
        case "svg":
            try:
                return svg(view, full=full)
            except DrawingError as error:
                raise Fault(str(error)) from error
    return of_person(view)
