"""Gather a timeline while a story is told: events, entries, waits, decisions, ends, each once."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from authoring.testing.calendar import day_number, format_day_time
from authoring.testing.environment import Row, Waypost
from authoring.testing.observations import Decision, Observations, ObservedRun, Received, describe_reason
from authoring.testing.virtual_time import RunClock
from policy.verdict import Channel

SHOPPER = "shopper"
"""Who an entry is about, where it is no journey."""

_UTC_TIME_PATTERN = re.compile(r"[A-Z][a-z]{2} \d{2} [A-Z][a-z]{2} \d{2}:\d{2} UTC")

_MAX_TIME_IN_PAST = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a timeline."""

    at: datetime
    actor: str
    """SHOPPER, or the journey."""
    kind: str
    """event, enters, waits, does, sent, unknown, withheld, deferred, ads, ends, now."""
    text: str
    until: datetime | None = None
    message_id: UUID | None = None
    sequence: int = 0
    """Which comes first of what happened at the same instant: causes before effects."""


@dataclass
class Timeline:
    """Entries in order; ``str`` writes them for a terminal, in the shopper's own time."""

    name: str
    zone: str
    start: datetime
    entries: list[TimelineEntry] = field(default_factory=list)
    pending_waits: list[TimelineEntry] = field(default_factory=list)
    """What the live runs wait for now."""

    def __iter__(self) -> Iterator[TimelineEntry]:
        return iter([*self.entries, *self.pending_waits])

    def __len__(self) -> int:
        return len(self.entries) + len(self.pending_waits)

    def __str__(self) -> str:
        rows = [(self.when(each.at), each.actor, self.entry_text(each)) for each in self]
        day = max((len(when) for when, _, _ in rows), default=0)
        who = max((len(name) for _, name, _ in rows), default=0)
        lines = [f"{when:<{day}}  {name:<{who}}  {words}" for when, name, words in rows]
        return "\n".join([f"{self.name}, by the clock of {self.zone}", *lines])

    def when(self, at: datetime) -> str:
        """ "day 2 09:00"."""
        return format_day_time(at, self.start, self.zone)

    def entry_text(self, entry: TimelineEntry) -> str:
        """An entry's words, with the end of a wait or deferral."""
        if entry.until is None:
            return entry.text
        until = f"{entry.until.astimezone(ZoneInfo(self.zone)):%H:%M}"
        same_day = self.day_number(entry.until) == self.day_number(entry.at)
        return f"{entry.text}, until {until if same_day else self.when(entry.until)}"

    def localise_times(self, text: str, near: datetime) -> str:
        """What a run says of itself in UTC, by the shopper's clock."""

        def local(found: re.Match[str]) -> str:
            at = datetime.strptime(f"{near.year} {found[0]}", "%Y %a %d %b %H:%M UTC").replace(tzinfo=UTC)
            # A run speaks of no year; what seems long past is in the next one.
            return self.when(at if at > near - _MAX_TIME_IN_PAST else at.replace(year=near.year + 1))

        return _UTC_TIME_PATTERN.sub(local, text)

    def day_number(self, at: datetime) -> int:
        """The day of the story."""
        return day_number(at, self.start, self.zone)

    def as_json(self) -> list[dict[str, Any]]:
        """The entries as plain values."""
        return [
            {
                "day": self.day_number(each.at),
                "at": each.at.astimezone(ZoneInfo(self.zone)).isoformat(timespec="seconds"),
                "who": each.actor,
                "kind": each.kind,
                "words": self.entry_text(each),
                "message_id": str(each.message_id) if each.message_id else None,
            }
            for each in self
        ]

    def add_entries(self, new_entries: list[TimelineEntry]) -> None:
        """Append what is new since the last look: in the order of its instants, causes first."""
        self.entries += sorted(new_entries, key=lambda each: (each.at, each.sequence))


_SELECT_EVENTS = (
    "SELECT event_id, type, channel, at, properties::text AS properties, problems::text AS problems "
    "FROM event WHERE profile_id = $1 ORDER BY recorded_at, at, event_id"
)

_SELECT_EXPOSURES = (
    "SELECT run_id, journey, experiment, arm, at FROM exposure WHERE profile_id = $1 ORDER BY at"
)

_GENERATED_KEY_LENGTH = 30
"""Keys as long as this were made up by Waypost and say nothing to a reader."""


class TimelineRecorder:
    """Fills one person's timeline, look by look."""

    def __init__(self, waypost: Waypost, timeline: Timeline) -> None:
        self.timeline = timeline
        self._waypost = waypost
        self._recorded_keys: set[object] = set()
        self._recorded_step_counts: dict[UUID, int] = {}

    async def update(self, profile_id: UUID, ledger: Observations, clocks: dict[UUID, RunClock]) -> None:
        """Add what has happened since the last look."""
        received = {each.message_id: each for each in ledger.received}
        found = [
            _event_entry(row, received)
            for row in await self._waypost.fetch_rows(_SELECT_EVENTS, profile_id)
            if self._record_key(("event", row["event_id"]))
        ]
        found += [
            _decision_entry(decision, received.get(decision.message_id))
            for number, decision in enumerate(ledger.decisions)
            if self._record_key(("decision", number))
        ]
        for message in ledger.received:
            if message.status.startswith("unknown") and self._record_key(("unknown", message.message_id)):
                words = f"{message}: the provider's answer was lost; it is not sent again"
                found.append(TimelineEntry(message.at, message.journey, "unknown", words, sequence=3))
        found += [
            TimelineEntry(
                row["at"], row["journey"], "does", f"experiment {row['experiment']}: {row['arm']}", sequence=2
            )
            for row in await self._waypost.fetch_rows(_SELECT_EXPOSURES, profile_id)
            if self._record_key(("exposure", row["run_id"], row["experiment"]))
        ]
        for run in ledger.runs:
            found += self._run_entries(run, clocks.get(run.run_id))
        self.timeline.add_entries(found)
        self.timeline.pending_waits = [
            TimelineEntry(self._waypost.clock, run.journey, "now", self._format_pending_wait(run.waiting_for))
            for run in ledger.runs
            if run.waiting_for and run.state == "running"
        ]

    def _format_pending_wait(self, line: str) -> str:
        return f"now: {self.timeline.localise_times(line, self._waypost.clock)}"

    def _run_entries(self, run: ObservedRun, clock: RunClock | None) -> list[TimelineEntry]:
        found = []
        if self._record_key(("enters", run.run_id)):
            about = f" ({run.key})" if len(run.key) < _GENERATED_KEY_LENGTH else ""
            found.append(TimelineEntry(run.entered_at, run.journey, "enters", f"begins{about}", sequence=1))
        if clock is not None:
            steps = clock.history.steps
            for step in steps[self._recorded_step_counts.get(run.run_id, 0) :]:
                until = None if step.until is None else step.until + clock.calendar_offset
                words = _format_wait(step.summary) if until else step.summary
                if " deferred: " not in step.summary:  # the decision tells it
                    kind = "waits" if until else "does"
                    found.append(
                        TimelineEntry(
                            step.at + clock.calendar_offset, run.journey, kind, words, until, sequence=4
                        )
                    )
            self._recorded_step_counts[run.run_id] = len(steps)
        if run.state != "running" and self._record_key((run.state, run.run_id)):
            at = run.ended_at or self._waypost.clock
            words = f"ends: {run.outcome} ({run.detail})" if run.state == "ended" else f"stuck: {run.detail}"
            found.append(TimelineEntry(at, run.journey, "ends", words, sequence=5))
        return found

    def _record_key(self, what: object) -> bool:
        if what in self._recorded_keys:
            return False
        self._recorded_keys.add(what)
        return True


def _format_wait(summary: str) -> str:
    """A timer's summary as what the run does."""
    verb, _, rest = summary.partition(" ")
    return {"wait": f"waits {rest}", "sleep": f"sleeps {rest}"}.get(verb, f"waits: {summary}")


def _event_entry(row: Row, received: dict[UUID, Received]) -> TimelineEntry:
    said = orjson.loads(row["properties"])
    of = [each for each in received.values() if str(each.message_id) == said.get("message_id")]
    about = f": {of[0]}" if of else _format_references(said)
    where = "" if row["channel"] == "web" else f" ({row['channel']})"
    problems = "".join(f"; not as meant: {each['detail']}" for each in orjson.loads(row["problems"]))
    return TimelineEntry(row["at"], SHOPPER, "event", f"{row['type']}{about}{where}{problems}")


def _format_references(said: dict[str, Any]) -> str:
    products: Iterable[Any] = said.get("products") or [said]
    items = [str(each.get("product_id") or each.get("sku") or "") for each in products]
    others = [str(said.get(name) or "") for name in ("order_id", "ticket_id", "channel", "state")]
    named = ", ".join(filter(None, [*items, *others]))
    return f": {named}" if named else ""


def _decision_entry(decision: Decision, message: Received | None) -> TimelineEntry:
    # Another channel's turn, after this one's provider refused, is another decision.
    received = message if message is not None and message.channel is decision.channel else None
    name = f"{decision.channel.value} {decision.template}"
    items = f": {', '.join(decision.items)}" if decision.items else ""
    gone = f"; without {', '.join(decision.items_removed)}" if decision.items_removed else ""
    kind, until, words = "sent", None, f"sends {name}{items}{gone}"
    match decision.verdict:
        case "allow" if decision.channel is Channel.ADS:
            kind, words = "ads", f"enters ad audience {decision.template}{items}"
        case "allow" if received is None:
            kind, words = "does", f"tries to send {name}{items}{gone}"
        case "withhold" if decision.channel is Channel.ADS:
            kind = "withheld"
            words = f"enters no ad audience {decision.template}: {describe_reason(decision.reason, decision.detail)}"
        case "withhold":
            kind = "withheld"
            words = f"withholds {name}: {describe_reason(decision.reason, decision.detail)}"
        case "defer":
            kind, until = "deferred", decision.until
            words = f"holds back {name}: {describe_reason(decision.reason, decision.detail)}"
    if kind == "sent" and received is not None and received.subject:
        words += f' "{received.subject}"'
    shown = received.message_id if kind == "sent" and received is not None else None
    return TimelineEntry(decision.at, decision.journey, kind, words, until, shown, sequence=2)
