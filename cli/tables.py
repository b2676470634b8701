"""Identities as tables in a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from uuid import UUID

from rich.console import Console, RenderableType
from rich.table import Table

from profiles.identity.quarantine import QuarantinedIdentifier
from profiles.identity.views import HeldIdentifier, IdentityEdge, IdentityView
from profiles.merging.cut_preview import ComesApart, SentMessage

_LOG_ROWS = 20


def of_person(view: IdentityView) -> str:
    """All of one person's identity; of the log the newest rows."""
    parts: list[RenderableType] = [f"Profile {view.profile_id}"]
    if view.merged:
        parts.append("Merged into it: " + ", ".join(map(str, view.merged)))
    parts.append(_identifiers("Identifiers", view.identifiers))
    joined = [edge for edge in view.edges if edge.joined]
    refused = [edge for edge in view.edges if not edge.joined]
    if joined:
        parts.append(table("Joined by", ("one", "other", "event", "time", "verified"), map(_joined, joined)))
    if refused:
        parts.append(table("Not joined", ("why",), ((edge.reason,) for edge in refused)))
    if view.cuts:
        parts.append(_cuts(view))
    if view.log:
        rows = [
            (instant(row.at), row.kind, row.key or "", row.other_key or "", row.actor or "", row.detail)
            for row in view.log[:_LOG_ROWS]
        ]
        parts.append(table("Log", ("at", "what", "identifier", "and", "by", "detail"), rows))
    return printed(*parts)


def coming_apart(apart: ComesApart) -> str:
    """What a cut would part."""
    parts: list[RenderableType] = [
        table(
            f"Profile {apart.profile_id} comes apart into",
            ("person", "identifiers"),
            ((str(number), ", ".join(keys)) for number, keys in enumerate(apart.parts, 1)),
        )
    ]
    if apart.runs:
        rows = ((run.journey, run.key, str(run.run_id)) for run in apart.runs)
        parts.append(table("Running for them; each goes to its own person", ("journey", "key", "run"), rows))
    parts += _sent(apart.messages)
    return printed(*parts).rstrip("\n")


def of_people(people: Mapping[UUID, Sequence[HeldIdentifier]], messages: Sequence[SentMessage] | None) -> str:
    """The people there are now, and after a cut what was sent to them as one."""
    tables: list[RenderableType] = [_identifiers(f"Profile {who}", held) for who, held in people.items()]
    return printed(*tables, *([] if messages is None else _sent(messages)))


def of_quarantine(found: Sequence[QuarantinedIdentifier]) -> str:
    """The identifiers that are nobody's."""
    if not found:
        return "No identifier is quarantined."
    rows = ((one.type, one.value, str(one.people), instant(one.since)) for one in found)
    return printed(table("Nobody's", ("type", "value", "people", "since"), rows)).rstrip("\n")


def _identifiers(title: str, held: Iterable[HeldIdentifier]) -> Table:
    rows = (
        (
            one.type,
            one.value,
            instant(one.since),
            instant(one.linked_at),
            "yes" if one.vouched else "no",
            one.status,
        )
        for one in held
    )
    return table(title, ("type", "value", "seen since", "this person's since", "vouched", "status"), rows)


def _joined(edge: IdentityEdge) -> tuple[str, ...]:
    event = f"{edge.cause.event_type or 'an event'} {edge.cause.id} from {edge.cause.source}"
    return edge.one, edge.other, event, instant(edge.cause.time), "yes" if edge.cause.verified else "no"


def _cuts(view: IdentityView) -> Table:
    rows = (
        (
            str(cut.cut_id),
            cut.one,
            cut.other,
            cut.actor,
            cut.reason,
            instant(cut.at),
            instant(cut.lifted_at) if cut.lifted_at else "no",
        )
        for cut in view.cuts
    )
    return table("Cut apart", ("cut", "one", "other", "by", "reason", "at", "lifted"), rows)


def _sent(messages: Sequence[SentMessage]) -> list[RenderableType]:
    if not messages:
        return ["No message went out while they were one."]
    rows = (
        (instant(one.sent_at), one.channel, one.template, one.journey, str(one.message_id))
        for one in messages
    )
    return [table("Sent while they were one", ("at", "channel", "template", "journey", "message"), rows)]


def table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """A titled table whose cells wrap."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def instant(time: datetime) -> str:
    """To the minute, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def printed(*parts: RenderableType) -> str:
    """As text, with a line end."""
    # What customers wrote is text: square brackets in it mean nothing.
    console = Console(file=StringIO(), markup=False, emoji=False, highlight=False)
    with console.capture() as told:
        for part in parts:
            console.print(part)
    return told.get()
