"""Shared parts of the event parsers: rejections, warnings, identifiers, and checks of times."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from api.http.problems import Problem
from profiles.events import ProductAdded, ProductRemoved, ProductUpdated
from profiles.identity.identifiers import (
    IDENTIFIER_TYPES,
    identifier_key,
    normalize_identifier,
    read_identifier,
    sort_identifiers,
)
from profiles.identity.normalization import BlockedIdentifier
from profiles.reading.amounts import read_pieces
from profiles.reading.event_names import canonical_name, name_problem
from profiles.state.event_records import IncomingEvent

MIN_EVENT_TIME = datetime(1970, 1, 1, tzinfo=UTC)

MAX_EVENT_TIME = datetime(2100, 1, 1, tzinfo=UTC)
"""Times outside of these bounds are faults of the sender, and would overflow later time arithmetic."""

MAX_VALUES_PER_TYPE = 20
"""Identifiers of one type in an event. A longer list names many people, not one."""

MAX_ADDRESSES_PER_EVENT = {"email": 10, "phone": 5}
"""Fewer of the types of which a value is slow to read. By default a profile has no more of them either."""

MAX_EXACT_INTEGER = 2**53
"""Below it a float represents every whole number exactly."""

EventWarning = dict[str, str]
"""A problem of an accepted event: code, pointer, detail."""


def event_warning(code: str, pointer: str, detail: str) -> EventWarning:
    """Return a warning about the value at ``pointer``; ``detail`` continues its sentence."""
    return {"code": code, "pointer": pointer, "detail": f"{pointer} {detail}"}


MAX_WARNINGS_PER_EVENT = 20
"""Warnings of one event that are kept and answered."""

_MAX_POINTER_LENGTH = 200

_MAX_WARNING_LENGTH = 500


def shorten_warnings(warnings: Sequence[EventWarning]) -> tuple[EventWarning, ...]:
    """Return the first warnings, each cut to a few lines, and one that counts the others.

    An answer would otherwise be larger than the body that caused it, since a warning repeats names of fields.
    """
    kept = tuple(
        {
            "code": warning["code"],
            "pointer": _cut(warning["pointer"], _MAX_POINTER_LENGTH),
            "detail": _cut(warning["detail"], _MAX_WARNING_LENGTH),
        }
        for warning in warnings[:MAX_WARNINGS_PER_EVENT]
    )
    others = len(warnings) - len(kept)
    if not others:
        return kept
    detail = f"the event has {others} more problems; mend the ones that are listed first"
    return (*kept, {"code": "more_problems", "pointer": "", "detail": detail})


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


@dataclass(frozen=True, slots=True)
class Rejection:
    """The reason that an event is not ingested."""

    code: str
    detail: str
    """The fault, its place and the fix."""
    pointer: str = ""
    """JSON pointer into the event."""
    id: str | None = None
    """The event's own id, if it is readable."""
    errors: tuple[tuple[str, str], ...] = ()
    """All faults as (pointer, detail), if there are several."""
    status: int = 422
    """HTTP status if the request has only this event."""

    def to_problem(self) -> Problem:
        """Return the error response of a request that has only this event."""
        errors = self.errors or ((self.pointer, self.detail),)
        return Problem(self.status, self.detail, errors=errors, code=self.code)


@dataclass(frozen=True, slots=True)
class EventWithDerivedTime(IncomingEvent):
    """An event with a ``time`` set by Waypost: the sender gave none, or it was corrected by ``sentAt``.

    Such a time differs between retries, so duplicates are recognised by the time that the sender stated.
    """

    stated_time: datetime | None = None
    """The time as the sender stated it; None if it gave none."""

    def content_hash(self) -> bytes:
        """Return the digest of the content as sent, the same for every retry."""
        # Not super(): with slots, dataclass replaces the class that super() would refer to.
        if self.stated_time == self.time:
            return IncomingEvent.content_hash(self)
        return IncomingEvent.content_hash(replace(self, time=self.stated_time or MIN_EVENT_TIME))


@dataclass(slots=True)
class IdentifierCollector:
    """Collects the identifiers of an event. Unusable ones are left out and become warnings."""

    region: str | None = None
    found: set[tuple[str, str]] = field(default_factory=set)
    given_emails: dict[str, str] = field(default_factory=dict)
    """Normal form of an address → as it was first written."""
    problems: list[EventWarning] = field(default_factory=list)
    pointers: dict[str, str] = field(default_factory=dict)
    """Key of each identifier → pointer to where it was named first."""
    has_candidates: bool = False
    """Whether the event has a value of a known identifier type, usable or not."""

    def add(self, kind: str, value: Any, pointer: str) -> bool:
        """Add one identifier. Return whether it is usable. None is ignored without a warning."""
        if value is None:
            return False
        if kind not in IDENTIFIER_TYPES:
            known = ", ".join(IDENTIFIER_TYPES)
            self._add_warning("unknown_identifier_type", pointer, f"is no identifier type; there are {known}")
            return False
        self.has_candidates = True
        try:
            normal, given = read_identifier(kind, whole_float_to_int(value), region=self.region)
        except BlockedIdentifier as error:
            self._add_warning("blocked_identifier", pointer, f"is left out: {error}")
            return False
        except ValueError as error:
            self._add_warning("bad_identifier", pointer, f"is left out: {error}")
            return False
        self.found.add((kind, normal))
        self.pointers.setdefault(identifier_key(kind, normal), pointer)
        if kind == "email":
            self.given_emails.setdefault(normal, given)
        if kind == "user_id" and "@" in normal:
            self._add_address_of_user_id(normal)
        return True

    def _add_address_of_user_id(self, user_id: str) -> None:
        """Add the address that a user id is, so that x@example.org and X@example.org are one person."""
        try:
            self.found.add(("email", normalize_identifier("email", user_id)))
        except ValueError:
            # An id with an @ that is no address.
            return

    def add_all(self, kind: str, values: Any, pointer: str) -> None:
        """Add one identifier, or each of a list."""
        if not isinstance(values, list) or kind not in IDENTIFIER_TYPES:
            self.add(kind, values, pointer)
            return
        most = MAX_ADDRESSES_PER_EVENT.get(kind, MAX_VALUES_PER_TYPE)
        for index, value in enumerate(values[:most]):
            self.add(kind, value, f"{pointer}/{index}")
        if len(values) > most:
            limit = f"the first {most} are read; send one person's only"
            self._add_warning("bad_identifier", pointer, f"holds {len(values)} values; {limit}")

    def add_first(self, kind: str, places: Iterable[tuple[Any, str]]) -> None:
        """Add the first usable value of several places, so that one event does not name two by accident."""
        for value, pointer in places:
            if self.add(kind, value, pointer):
                return

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The identifiers as (type, normalised value), the strongest type first."""
        return sort_identifiers(self.found)

    def _add_warning(self, code: str, pointer: str, detail: str) -> None:
        self.problems.append(event_warning(code, pointer, detail))


EARLIEST_CLOCK = datetime(2000, 1, 2, tzinfo=UTC)
"""Clocks that lost their time start before it: 1970, 1980 and the first day of 2000."""

CLOCK_HINT = "is the time of a clock that was not set, and taken as now; send the time of the event"


def is_set_clock(time: datetime) -> bool:
    """Return whether a time can be of an event, and not of a clock that starts anew."""
    return time >= EARLIEST_CLOCK


def canonical_event_type(
    name: str, properties: Mapping[str, Any], pointer: str
) -> tuple[str, tuple[EventWarning, ...]]:
    """Return the known name that a sender's name of an event stands for, and what is wrong with the name.

    ``Product Added`` with a negative number of pieces is ``Product Removed``.
    """
    event_type = canonical_name(name)
    if event_type == ProductAdded.event_name and (read_pieces(properties.get("quantity")) or 0) < 0:
        return ProductRemoved.event_name, ()
    fault = name_problem(event_type)
    if fault is None:
        return event_type, ()
    return event_type, (event_warning("unknown_event_name", pointer, fault),)


def whole_float_to_int(value: Any) -> Any:
    """Return 42 for 42.0, as some languages serialise whole numbers; any other value unchanged."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT_INTEGER
    return int(value) if whole else value


def reject_without_identifier(
    identifiers: IdentifierCollector, properties: Mapping[str, Any], event_id: str, event_type: str
) -> Rejection | None:
    """Return the rejection of an event with neither an identifier nor the id of a message, or None.

    An event with only placeholders or malformed identifiers is kept, without a profile.
    Events of the product feed need no identifier.
    """
    if identifiers.has_candidates or event_type == ProductUpdated.event_name:
        return None
    message_id = properties.get("message_id")
    if isinstance(message_id, str) and message_id.strip():
        return None
    reasons = "; ".join(problem["detail"] for problem in identifiers.problems) or "no identifier came with it"
    return Rejection(
        "no_identifier",
        f"no profile is named: {reasons}; send one of {', '.join(IDENTIFIER_TYPES)}, "
        "or properties.message_id of a message",
        identifiers.problems[0]["pointer"] if identifiers.problems else "/identifiers",
        event_id,
    )


def is_plausible_time(time: datetime) -> bool:
    """Whether a time is within ``MIN_EVENT_TIME`` and ``MAX_EVENT_TIME``."""
    try:
        return MIN_EVENT_TIME <= time <= MAX_EVENT_TIME
    except OverflowError:
        return False


def shift_time(time: datetime, by: timedelta) -> datetime | None:
    """Return ``time + by``, or None if it is not plausible for an event."""
    try:
        moved = time + by
    except OverflowError:
        return None
    return moved if is_plausible_time(moved) else None
