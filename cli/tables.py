"""Text output of the identity commands as tables, and the table, time and rendering functions they share."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from uuid import UUID

from rich.console import Console, RenderableType
from rich.table import Table

from profiles.identity.quarantine import QuarantinedIdentifier
from profiles.identity.views import HeldIdentifier, IdentityEdge, IdentityView
from profiles.merging.cut_preview import CutPreview, SentMessage

_MAX_LOG_ROWS = 20


def format_identity(view: IdentityView) -> str:
    """Return the identity of a profile: identifiers, links, cuts, and the 20 newest log entries."""
    parts: list[RenderableType] = [f"Profile {view.profile_id}"]
    if view.merged:
        parts.append("Merged into it: " + ", ".join(map(str, view.merged)))
    parts.append(_identifiers_table("Identifiers", view.identifiers))
    joined = [edge for edge in view.edges if edge.joined]
    refused = [edge for edge in view.edges if not edge.joined]
    if joined:
        parts.append(
            build_table("Joined by", ("one", "other", "event", "time", "verified"), map(_link_row, joined))
        )
    if refused:
        parts.append(build_table("Not joined", ("why",), ((edge.reason,) for edge in refused)))
    if view.cuts:
        parts.append(_cuts_table(view))
    if view.log:
        rows = [
            (
                format_instant(row.at),
                row.kind,
                row.key or "",
                row.other_key or "",
                row.actor or "",
                row.detail,
            )
            for row in view.log[:_MAX_LOG_ROWS]
        ]
        parts.append(build_table("Log", ("at", "what", "identifier", "and", "by", "detail"), rows))
    return render_text(*parts)


def format_cut_preview(apart: CutPreview) -> str:
    """Return what a cut would split: the parts, their running runs, and the messages sent."""
    parts: list[RenderableType] = [
        build_table(
            f"Profile {apart.profile_id} comes apart into",
            ("person", "identifiers"),
            ((str(number), ", ".join(keys)) for number, keys in enumerate(apart.parts, 1)),
        )
    ]
    if apart.runs:
        rows = ((run.journey, run.key, str(run.run_id)) for run in apart.runs)
        parts.append(
            build_table("Running for them; each goes to its own person", ("journey", "key", "run"), rows)
        )
    parts += _sent_messages_parts(apart.messages)
    return render_text(*parts).rstrip("\n")


def format_people(
    people: Mapping[UUID, Sequence[HeldIdentifier]], messages: Sequence[SentMessage] | None
) -> str:
    """Return the identifiers of each profile and, after a cut, the messages sent while they were merged."""
    tables: list[RenderableType] = [
        _identifiers_table(f"Profile {profile_id}", identifiers) for profile_id, identifiers in people.items()
    ]
    return render_text(*tables, *([] if messages is None else _sent_messages_parts(messages)))


def format_quarantined(found: Sequence[QuarantinedIdentifier]) -> str:
    """Return the quarantined identifiers as a table."""
    if not found:
        return "No identifier is quarantined."
    rows = ((each.type, each.value, str(each.people), format_instant(each.since)) for each in found)
    return render_text(build_table("Quarantined", ("type", "value", "people", "since"), rows)).rstrip("\n")


def _identifiers_table(title: str, held: Iterable[HeldIdentifier]) -> Table:
    rows = (
        (
            each.type,
            each.value,
            format_instant(each.since),
            format_instant(each.linked_at),
            "yes" if each.vouched else "no",
            each.status,
        )
        for each in held
    )
    return build_table(
        title, ("type", "value", "seen since", "this person's since", "vouched", "status"), rows
    )


def _link_row(edge: IdentityEdge) -> tuple[str, ...]:
    event = f"{edge.cause.event_type or 'an event'} {edge.cause.id} from {edge.cause.source}"
    return (
        edge.one,
        edge.other,
        event,
        format_instant(edge.cause.time),
        "yes" if edge.cause.verified else "no",
    )


def _cuts_table(view: IdentityView) -> Table:
    rows = (
        (
            str(cut.cut_id),
            cut.one,
            cut.other,
            cut.actor,
            cut.reason,
            format_instant(cut.at),
            format_instant(cut.lifted_at) if cut.lifted_at else "no",
        )
        for cut in view.cuts
    )
    return build_table("Cut apart", ("cut", "one", "other", "by", "reason", "at", "lifted"), rows)


def _sent_messages_parts(messages: Sequence[SentMessage]) -> list[RenderableType]:
    if not messages:
        return ["No message went out while they were one."]
    rows = (
        (format_instant(each.sent_at), each.channel, each.template, each.journey, str(each.message_id))
        for each in messages
    )
    return [
        build_table("Sent while they were one", ("at", "channel", "template", "journey", "message"), rows)
    ]


def build_table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table with a title; its cells wrap."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def format_instant(time: datetime) -> str:
    """Return a time in UTC, to the minute."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def render_text(*parts: RenderableType) -> str:
    """Return the parts as plain text, each with a line end."""
    # Square brackets in texts of customers are text, not markup.
    console = Console(file=StringIO(), markup=False, emoji=False, highlight=False)
    with console.capture() as output:
        for part in parts:
            console.print(part)
    return output.get()
