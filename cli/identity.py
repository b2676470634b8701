"""``waypost identity``: show identities, split profiles, undo splits, list and release from quarantine."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from rich.console import RenderableType
from rich.table import Table

from api.d2 import DrawingError
from api.identity_diagram.mermaid import render_mermaid
from api.identity_diagram.svg import svg
from cli.database import current_actor, open_database, parse_identifier
from cli.tables import build_table, render_text, to_json
from profiles.db.database import Database
from profiles.errors import NotFound
from profiles.identity.component import find_profile_id
from profiles.identity.identifiers import split_key
from profiles.identity.quarantine import QuarantinedIdentifier, load_quarantined
from profiles.identity.views import (
    HeldIdentifier,
    IdentityEdge,
    IdentityView,
    LogEntry,
    load_identifiers,
    load_identity,
)
from profiles.merging import unmerge
from profiles.merging.cut_preview import CutPreview, SentMessage, load_messages_by_id, preview_cut
from profiles.merging.unmerge import check_cut, check_mend, check_release
from workers.errors import UserError

_MAX_LOG_ROWS = 20

_HASH_PATTERN = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class CutPlan:
    """A cut that is not applied yet, with its preview."""

    key: str
    other_key: str
    preview: CutPreview


@dataclass(frozen=True, slots=True)
class CutResult:
    """Result of a change: the profiles afterwards, and a sentence about the change."""

    summary: str
    people: dict[UUID, list[HeldIdentifier]]
    cut_id: int | None = None
    messages: list[SentMessage] = field(default_factory=list)

    def to_json(self) -> str:
        """Return the result as JSON, with the fields of the HTTP API."""
        profiles = [
            {"profile_id": profile_id, "identifiers": identifiers}
            for profile_id, identifiers in self.people.items()
        ]
        result: dict[str, Any] = {"profiles": profiles}
        if self.cut_id is not None:
            result |= {"cut_id": self.cut_id, "messages_while_merged": self.messages}
        return to_json(result)


async def plan_cut(one: tuple[str, str], other: tuple[str, str]) -> CutPlan:
    """Return what a cut would split. Changes nothing. Raises ``UserError``."""
    keys = parse_identifier(*one), parse_identifier(*other)

    async def read(connection: Any) -> CutPreview:
        profile_id = await check_cut(connection, *keys)
        return await preview_cut(connection, profile_id, *keys)

    async with open_database() as database:
        return CutPlan(*keys, await database.run(read))


async def apply_cut(ahead: CutPlan, *, reason: str) -> CutResult:
    """Apply the cut. Raises ``UserError``."""
    async with open_database() as database:
        cut = await unmerge.cut_identifiers(
            database, ahead.key, ahead.other_key, actor=current_actor(), reason=reason
        )
        sent = await database.run(lambda connection: load_messages_by_id(connection, cut.sent_message_ids))
        summary = f"Cut {cut.cut_id}; `waypost identity mend {cut.cut_id}` undoes it."
        return CutResult(summary, await _load_people(database, cut.profile_ids), cut.cut_id, sent)


async def lift_cut(cut_id: int, *, reason: str) -> CutResult:
    """Lift a cut. Raises ``UserError``."""
    async with open_database() as database:
        await database.run(lambda connection: check_mend(connection, cut_id))
        profile_ids = await unmerge.mend_cut(database, cut_id, actor=current_actor(), reason=reason)
        return CutResult(f"Cut {cut_id} is lifted.", await _load_people(database, profile_ids))


async def release_identifier(named: tuple[str, str], *, reason: str) -> CutResult:
    """Release an identifier from quarantine. Raises ``UserError``."""
    key = parse_identifier(*named)
    async with open_database() as database:
        await database.run(lambda connection: check_release(connection, key))
        profile_ids = await unmerge.release_identifier(database, key, actor=current_actor(), reason=reason)
        return CutResult(f"{key} is no longer quarantined.", await _load_people(database, profile_ids))


def format_result(parted: CutResult) -> str:
    """Return the result as tables: the identifiers of each profile; after a cut, the messages sent before."""
    parts: list[RenderableType] = [
        _identifiers_table(f"Profile {profile_id}", held) for profile_id, held in parted.people.items()
    ]
    if parted.cut_id is not None:
        parts.append(_sent_messages(parted.messages))
    return render_text(*parts) + parted.summary


async def _load_people(database: Database, profiles: Sequence[UUID]) -> dict[UUID, list[HeldIdentifier]]:
    async with database.transaction() as connection:
        return {profile_id: await load_identifiers(connection, profile_id) for profile_id in profiles}


async def show_identity(kind: str, value: str, *, format: str, full: bool) -> str:
    """Return the identity of the profile with an identifier, in the given format. Raises ``UserError``."""
    key = parse_identifier(kind, value)

    async def read(connection: Any) -> IdentityView:
        profile_id = await find_profile_id(connection, *split_key(key))
        if profile_id is None:
            raise NotFound(f"no profile has {key}; check its spelling, or send an event that names it")
        return await load_identity(connection, profile_id)

    async with open_database() as database:
        return _format_view(format, await database.run(read), full)


def write_file(text: str, to: Path) -> None:
    """Write a file, replacing an existing one. Raises ``UserError``."""
    try:
        to.write_text(text, "utf-8")
    except OSError as error:
        message = f"{to} cannot be written: {error.strerror}; name a file in a folder that exists"
        raise UserError(message) from error


async def list_quarantined(*, limit: int, as_json: bool) -> str:
    """Return the quarantined identifiers, as a table or as JSON. Raises ``UserError``."""
    async with open_database() as database:
        found = await database.run(lambda connection: load_quarantined(connection, limit=limit))
    if as_json:
        return to_json({"quarantined": found})
    return format_quarantined(found)


def _format_view(format: str, view: IdentityView, full: bool) -> str:
    match format:
        case "json":
            return to_json(TypeAdapter(IdentityView).dump_python(view)) + "\n"
        case "mermaid":
            return render_mermaid(view, full=full)
        case "svg":
            try:
                return svg(view, full=full)
            except DrawingError as error:
                raise UserError(str(error)) from error
    return format_identity(view)


def format_identity(view: IdentityView) -> str:
    """Return the identity of a profile: identifiers, links, cuts, and the 20 newest log entries."""
    parts: list[RenderableType] = [f"Profile {view.profile_id}"]
    if view.merged:
        parts.append("Merged into it: " + ", ".join(map(str, view.merged)))
    parts.append(_identifiers_table("Identifiers", view.identifiers))
    joined = [edge for edge in view.edges if edge.joined]
    refused = [edge for edge in view.edges if not edge.joined]
    if joined:
        columns: Sequence[str] = ("one", "other", "event", "time", "verified")
        parts.append(_compact_table("Joined by", columns, map(_link_row, joined)))
    if refused:
        parts.append(_compact_table("Not joined", ("why",), ((edge.reason,) for edge in refused)))
    if view.cuts:
        columns = ("cut", "one", "other", "by", "reason", "at", "lifted")
        cuts = ((c.cut_id, c.one, c.other, c.actor, c.reason, c.at, c.lifted_at or "no") for c in view.cuts)
        parts.append(_compact_table("Cut apart", columns, cuts))
    if view.log:
        columns = ("at", "what", "identifier", "and", "by", "event time", "detail")
        parts.append(_compact_table("Log", columns, islice(_log_rows(view), _MAX_LOG_ROWS)))
    return render_text(*parts)


def _log_rows(view: IdentityView) -> Iterator[tuple[object, ...]]:
    """Return the rows of the log, newest first; what joined one pair at one time is one row.

    Several events may have named a pair before its profiles were merged. Each has an entry in the log, and
    the first of these entries is of the event that joined the pair.
    """
    groups: dict[object, list[LogEntry]] = {}
    for entry in view.log:
        pair = frozenset((entry.key, entry.other_key))
        groups.setdefault((entry.at, pair) if entry.kind == "joined" else entry.seq, []).append(entry)
    causes = {edge.cause.event_id: edge.cause for edge in view.edges}
    for entries in groups.values():
        entry = min(entries, key=lambda each: each.seq)
        detail = f"named together by {len(entries)} events" if len(entries) > 1 else entry.detail
        first, second = entry.key, entry.other_key
        if entry.kind in ("merged", "split"):
            first = f"profile {entry.other_profile_id}"
            preposition = "into" if entry.kind == "merged" else "from"
            second = "" if entry.profile_id == view.profile_id else f"{preposition} {entry.profile_id}"
        cause = causes.get(entry.cause) if entry.cause else None
        by = f"{cause.event_type or 'an event'} {cause.id}" if cause else entry.actor
        yield entry.at, entry.kind, first, second, by, cause.time if cause else None, detail


def format_cut_preview(apart: CutPreview) -> str:
    """Return what a cut would split: the parts, their running runs, and the messages sent."""
    title = f"Profile {apart.profile_id} comes apart into"
    rows = ((number, ", ".join(keys)) for number, keys in enumerate(apart.parts, 1))
    parts: list[RenderableType] = [build_table(title, ("person", "identifiers"), rows)]
    if apart.runs:
        runs = ((run.journey, run.key, run.run_id) for run in apart.runs)
        parts.append(
            build_table("Running for them; each goes to its own person", ("journey", "key", "run"), runs)
        )
    return render_text(*parts, _sent_messages(apart.messages)).rstrip("\n")


def format_quarantined(found: Sequence[QuarantinedIdentifier]) -> str:
    """Return the quarantined identifiers as a table."""
    if not found:
        return "No identifier is quarantined."
    rows = ((each.type, each.value, each.people, each.since) for each in found)
    return render_text(build_table("Quarantined", ("type", "value", "people", "since"), rows)).rstrip("\n")


def _identifiers_table(title: str, held: Iterable[HeldIdentifier]) -> Table:
    columns = ("type", "value", "seen since", "this person's since", "vouched", "status")
    rows = ((each.type, each.value, each.since, each.linked_at, each.vouched, each.status) for each in held)
    return _compact_table(title, columns, rows)


def _compact_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Return a table with shortened hashes and without empty columns, for a terminal of 80 characters."""
    short = ([_shorten_hashes(cell) for cell in row] for row in rows)
    return build_table(title, columns, short, drop_empty=True)


def _shorten_hashes(cell: object) -> object:
    return _HASH_PATTERN.sub(lambda found: f"{found[0][:12]}…", cell) if isinstance(cell, str) else cell


def _link_row(edge: IdentityEdge) -> tuple[object, ...]:
    event = f"{edge.cause.event_type or 'an event'} {edge.cause.id} from {edge.cause.source}"
    return edge.one, edge.other, event, edge.cause.time, edge.cause.verified


def _sent_messages(messages: Sequence[SentMessage]) -> RenderableType:
    if not messages:
        return "No message went out while they were one."
    columns = ("at", "channel", "template", "journey", "message")
    rows = ((each.sent_at, each.channel, each.template, each.journey, each.message_id) for each in messages)
    return build_table("Sent while they were one", columns, rows)
