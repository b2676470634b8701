"""The result of a preview as one self-contained HTML page: the timeline, and each message as rendered."""

from pathlib import Path

from liquid import Environment, StrictUndefined

from authoring.preview.runner import PreviewResult
from authoring.testing.observations import Received
from authoring.testing.timeline import SHOPPER, TimelineEntry
from policy.verdict import Channel

_TEMPLATE_FOLDER = Path(__file__).parent

_ENTRY_SYMBOLS = {
    "event": "●",
    "enters": "▶",
    "waits": "◷",
    "does": "⚙",
    "sent": "✉",
    "unknown": "?",
    "withheld": "✕",
    "deferred": "◷",
    "ads": "◎",
    "ends": "■",
    "now": "◷",
}


def render_page(result: PreviewResult) -> str:
    """Return the page's text. It loads nothing but the pictures that mails name."""
    messages = {each.message_id: each for each in result.received}
    entries: list[dict[str, object]] = []
    day = 0
    for entry in result.timeline:
        new_day = result.timeline.day_number(entry.at)
        message = messages.get(entry.message_id) if entry.message_id else None
        entries.append(
            _entry(result, entry)
            | {
                "new_day": new_day if new_day != day else None,
                "message": None if message is None else _message(message),
            }
        )
        day = new_day
    # Liquid escapes every value; strict, so that a misspelt name is an error.
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        (_TEMPLATE_FOLDER / "page.html").read_text("utf-8")
    )
    return template.render(
        journey=result.journey,
        scenario=result.scenario,
        summary=_format_summary(result),
        fault=result.error or None,
        style=(_TEMPLATE_FOLDER / "page.css").read_text("utf-8"),
        entries=entries,
    )


def _format_summary(result: PreviewResult) -> str:
    sent, kept = len(result.received), len(result.withheld)
    return (
        f"{result.timeline.name}, by the clock of {result.timeline.zone} · {result.ending} · "
        f"{sent} received, {kept} withheld · {result.scenario}"
    )


def _entry(result: PreviewResult, entry: TimelineEntry) -> dict[str, object]:
    return {
        "side": "shopper" if entry.actor == SHOPPER else "journey",
        "kind": entry.kind,
        "clock": result.timeline.when(entry.at).split()[-1],
        "mark": _ENTRY_SYMBOLS.get(entry.kind, "·"),
        "other_journey": entry.actor if entry.actor not in (SHOPPER, result.journey) else None,
        "text": result.timeline.entry_text(entry),
    }


def _message(message: Received) -> dict[str, object]:
    # No scripts run in a mail's frame; the page may only measure how tall it is.
    return {
        "template": str(message),
        "to": message.to,
        "subject": message.subject,
        "text": message.text,
        "html": message.html if message.channel is Channel.EMAIL and message.html else None,
    }
