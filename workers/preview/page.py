"""One self-contained HTML page: the timeline, and each message as the customer sees it."""

from html import escape
from pathlib import Path
from string import Template

from policy.verdict import Channel
from workers.preview.telling import Told
from workers.testing.ledger import Received
from workers.testing.timeline import SHOPPER, Entry

_FOLDER = Path(__file__).parent
_MARKS = {
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


def page(told: Told) -> str:
    """The page's text. Nothing in it is loaded from elsewhere but the pictures that mails name."""
    messages = {each.message_id: each for each in told.received}
    rows: list[str] = []
    day = 0
    for entry in told.timeline:
        if told.timeline.day(entry.at) != day:
            day = told.timeline.day(entry.at)
            rows.append(f'<li class="day"><h2>Day {day}</h2></li>')
        message = messages.get(entry.message_id) if entry.message_id else None
        rows.append(_row(told, entry, message))
    fault = f'<p class="fault">{escape(told.fault)}</p>' if told.fault else ""
    return Template((_FOLDER / "page.html").read_text("utf-8")).substitute(
        title=escape(f"{told.journey}: {told.scenario}"),
        journey=escape(told.journey),
        summary=escape(_summary(told)),
        fault=fault,
        style=(_FOLDER / "page.css").read_text("utf-8"),
        rows="\n".join(rows),
    )


def _summary(told: Told) -> str:
    ended = f"ended as {told.outcome}" if told.outcome else "has not ended"
    sent, kept = len(told.received), len(told.withheld)
    return (
        f"{told.timeline.name}, by the clock of {told.timeline.zone} · {ended} · "
        f"{sent} received, {kept} withheld · {told.scenario}"
    )


def _row(told: Told, entry: Entry, message: Received | None) -> str:
    who = "shopper" if entry.who == SHOPPER else "journey"
    clock = told.timeline.when(entry.at).split()[-1]
    words = escape(told.timeline.sentence(entry))
    shown = "" if message is None else _shown(message)
    other = entry.who not in (SHOPPER, told.journey)
    name = f"<small>{escape(entry.who)}</small> " if other else ""
    return (
        f'<li class="{who} {entry.kind}"><time>{clock}</time>'
        f'<span class="mark" aria-hidden="true">{_MARKS.get(entry.kind, "·")}</span>'
        f"<div><p>{name}{words}</p>{shown}</div></li>"
    )


def _shown(message: Received) -> str:
    if message.channel is Channel.EMAIL and message.html:
        # No scripts run in there; the page may only measure how tall it is.
        return (
            f'<figure class="mail"><figcaption><b>{escape(message.subject)}</b> to {escape(message.to)}'
            f'</figcaption><iframe title="{escape(message)}" sandbox="allow-same-origin" '
            f'srcdoc="{escape(message.html)}"></iframe></figure>'
        )
    text = escape(message.text)
    return f'<figure class="sms"><figcaption>to {escape(message.to)}</figcaption><p>{text}</p></figure>'
