"""An event as a channel told it, on its way to ingest: what is kept of it, and what is refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from api.http.problems import Problem
from profiles.events import ProductUpdated
from profiles.identity.identifiers import IDENTIFIER_TYPES, normalize_identifier, sort_identifiers
from profiles.identity.normalization import BlockedIdentifier
from profiles.state.event_records import IncomingEvent

MIN_EVENT_TIME = datetime(1970, 1, 1, tzinfo=UTC)

MAX_EVENT_TIME = datetime(2100, 1, 1, tzinfo=UTC)
"""Instants outside are mistakes (and break time arithmetic further on)."""

MAX_VALUES_PER_TYPE = 20
"""Values of one type that an event may name; more are a list of people, not one person's."""

MAX_EXACT_INTEGER = 2**53
"""Below it a float holds every whole number."""

EventWarning = dict[str, str]


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that is not taken in, and why."""

    code: str
    detail: str
    """What was wrong, where, and what to do."""
    pointer: str = ""
    """JSON pointer into the event."""
    id: str | None = None
    """The event's own id, where it could be read."""
    errors: tuple[tuple[str, str], ...] = ()
    """All faults as (pointer, detail), where there is more than one."""
    status: int = 422
    """HTTP status where this was the request's only event."""

    def to_problem(self) -> Problem:
        """The refusal of a request whose only event this is."""
        title = "Content Too Large" if self.status == 413 else "Unprocessable Content"
        errors = self.errors or ((self.pointer, self.detail),)
        return Problem(self.status, title, self.detail, errors=errors, code=self.code)


@dataclass(frozen=True, slots=True)
class EventWithDerivedTime(IncomingEvent):
    """An event whose ``time`` is ours to work out: it was not given, or corrected by the sender's clock.

    Such a time differs from one try to the next, so a replay is judged by what the channel said instead.
    """

    stated_time: datetime | None = None

    def content_hash(self) -> bytes:
        """Digest of what the channel said, the same for every try."""
        # Not super(): a dataclass with slots is not the class the compiler saw.
        if self.stated_time == self.time:
            return IncomingEvent.content_hash(self)
        return IncomingEvent.content_hash(replace(self, time=self.stated_time or MIN_EVENT_TIME))


@dataclass(slots=True)
class IdentifierCollector:
    """Gathers who an event is about; what identifies nobody becomes a problem and is left out."""

    region: str | None = None
    found: set[tuple[str, str]] = field(default_factory=set)
    problems: list[EventWarning] = field(default_factory=list)
    has_candidates: bool = False
    """Something came that was meant to name a person, good or not."""

    def add(self, kind: str, value: Any, pointer: str) -> bool:
        """Take one identifier. Returns whether it is good; null is passed over in silence."""
        if value is None:
            return False
        if kind not in IDENTIFIER_TYPES:
            known = ", ".join(IDENTIFIER_TYPES)
            self._add_warning("unknown_identifier_type", pointer, f"is no identifier type; there are {known}")
            return False
        self.has_candidates = True
        try:
            self.found.add((kind, normalize_identifier(kind, whole_float_to_int(value), region=self.region)))
        except BlockedIdentifier as error:
            self._add_warning("blocked_identifier", pointer, f"is left out: {error}")
            return False
        except ValueError as error:
            self._add_warning("bad_identifier", pointer, f"is left out: {error}")
            return False
        return True

    def add_all(self, kind: str, values: Any, pointer: str) -> None:
        """Take one identifier, or each of a list."""
        if not isinstance(values, list) or kind not in IDENTIFIER_TYPES:
            self.add(kind, values, pointer)
            return
        for index, value in enumerate(values[:MAX_VALUES_PER_TYPE]):
            self.add(kind, value, f"{pointer}/{index}")
        if len(values) > MAX_VALUES_PER_TYPE:
            why = f"holds {len(values)} values; the first {MAX_VALUES_PER_TYPE} are read; send one person's only"
            self._add_warning("bad_identifier", pointer, why)

    def add_first(self, kind: str, places: Iterable[tuple[Any, str]]) -> None:
        """Take the first good one of several places: no event names two addresses by accident."""
        for value, pointer in places:
            if self.add(kind, value, pointer):
                return

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(type, normalised value), the strongest type first."""
        return sort_identifiers(self.found)

    def _add_warning(self, code: str, pointer: str, detail: str) -> None:
        self.problems.append({"code": code, "pointer": pointer, "detail": f"{pointer} {detail}"})


def whole_float_to_int(value: Any) -> Any:
    """A whole number that came as 42.0, as some languages write it, as 42; anything else as it is."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT_INTEGER
    return int(value) if whole else value


def reject_without_identifier(
    identifiers: IdentifierCollector, properties: Mapping[str, Any], event_id: str, event_type: str
) -> Rejection | None:
    """The rejection of an event that does not try to name a person or a message of ours, or None.

    One whose identifiers are all placeholders or malformed is kept, and is nobody's. The product feed is
    about products, and names nobody.
    """
    if identifiers.has_candidates or event_type == ProductUpdated.event_name:
        return None
    message_id = properties.get("message_id")
    if isinstance(message_id, str) and message_id.strip():
        return None
    why = "; ".join(problem["detail"] for problem in identifiers.problems) or "no identifier came with it"
    return Rejection(
        "no_identifier",
        f"nobody is named: {why}; send one of {', '.join(IDENTIFIER_TYPES)}, "
        "or properties.message_id of a message",
        identifiers.problems[0]["pointer"] if identifiers.problems else "/identifiers",
        event_id,
    )


def is_plausible_time(time: datetime) -> bool:
    """Whether an instant lies where events can lie."""
    try:
        return MIN_EVENT_TIME <= time <= MAX_EVENT_TIME
    except OverflowError:
        return False


def shift_time(time: datetime, by: timedelta) -> datetime | None:
    """``time + by``, or None where no event can lie."""
    try:
        moved = time + by
    except OverflowError:
        return None
    return moved if is_plausible_time(moved) else None
