"""Bounds of what an event may say: lengths of texts, ranges of numbers, lines of a cart. Pure, linear time.

The row of an event keeps what its channel sent. What is derived from it (carts, purchases, consents, traits,
what a journey sees) is read from the values that these functions return: first ``profiles.reading`` brings
them into the form that Waypost reads, then the bounds apply. They are idempotent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import orjson

from profiles.reading.ids import MAX_ID_LENGTH
from profiles.reading.properties import read_context, read_properties, read_stored_line, read_traits
from profiles.state.event_records import IncomingEvent

Problem = dict[str, str]
"""What was changed: code, pointer, detail."""

MAX_QUANTITY = 1_000_000
"""Pieces of one line of a cart or an order."""

MAX_AMOUNT = 1e12

MAX_WORD_LENGTH = MAX_ID_LENGTH
"""Characters of an id or a word."""

MAX_TOPIC_LENGTH = 100
"""Characters of a topic of consent, which is a key together with an address."""

MAX_UNVERIFIED_TOPICS = 50
"""Topics of consent of one profile, beyond which an unverified event adds none."""

MAX_TOPICS = 500
"""The same for a verified event."""

MAX_CART_LINES = 200
"""Lines of a cart. The oldest lines go."""

MAX_OPEN_CARTS = 50
"""Open carts of one profile. Of more, the one that changed least recently is closed."""

MAX_REPLAYED_EVENTS = 500
"""The newest events of carts and orders of a profile that a late event has applied again."""

MAX_SCANNED_EVENTS = 3_000
"""The newest events of any type of a profile among which those are found."""

MAX_REPLAYED_SIZE = 500_000
"""Characters of the properties of those events. It bounds their lines, in any spelling."""

MAX_UNVERIFIED_REFUND_SIZE = 100_000
"""Characters of the properties of the unverified refunds and cancellations of a profile that are read."""

MAX_UNVERIFIED_LINES = 500
"""Products of an unverified event. Those of a verified event all count: nothing bought is promoted."""

MAX_KEPT_UNVERIFIED_LINES = 50
"""Lines of one unverified order that are kept as purchases and suppress. A cart loses all that it names."""

MAX_KEPT_UNVERIFIED_LINES_OF_PROFILE = 500
"""The same of all unverified orders of a profile that arrived within a year."""

MAX_BUNDLE_PARTS = 100

MAX_TRAITS = 200
"""Traits of one event, and of one profile, where the weakest go first."""

MAX_TRAIT_NAME_LENGTH = 100

MAX_TRAIT_TEXT_LENGTH = 2_000

MAX_TRAIT_BYTES = 4_096
"""Bytes of a list or an object, as JSON."""

MAX_PROBLEMS = 50
"""Problems that one event lists."""

MAX_PROBLEM_LENGTH = 500

_MAX_NUMERAL_LENGTH = 40
"""Characters of a number that is sent as a text."""


@dataclass(frozen=True, slots=True)
class TextBound:
    """The most characters of a text."""

    length: int
    cut: bool = True
    """A longer text is cut; else it is left out, as half of it would mislead."""

    def fault(self, value: object) -> bool:
        """Return whether a value is out of bounds. A number as an id, and a wrong type, are not judged."""
        return isinstance(value, str) and len(value) > self.length


@dataclass(frozen=True, slots=True)
class NumberBound:
    """The range of a number."""

    low: float
    high: float
    clamped: bool = False
    """A greater number counts as the greatest one; else it is left out."""

    def fault(self, value: object) -> bool:
        """Return whether a value is a number, or a text of one, that is out of range."""
        number = _to_number(value)
        return number is not None and not self.low <= number <= self.high


_ID, _WORD, _URL = TextBound(MAX_WORD_LENGTH), TextBound(MAX_WORD_LENGTH), TextBound(2_048, cut=False)

_AMOUNT = NumberBound(-MAX_AMOUNT, MAX_AMOUNT)

LINE_BOUNDS: dict[str, TextBound | NumberBound] = {
    **dict.fromkeys(("product_id", "sku"), _ID),
    "name": TextBound(500),
    **dict.fromkeys(("variant", "category", "group", "item_group_id", "brand"), _WORD),
    **dict.fromkeys(("url", "image_url"), _URL),
    "price": _AMOUNT,
    "quantity": NumberBound(0, MAX_QUANTITY, clamped=True),
}
"""Field of a product, in the properties themselves or in a line of ``products`` → its bound."""

PROPERTY_BOUNDS: dict[str, TextBound | NumberBound] = {
    **LINE_BOUNDS,
    **dict.fromkeys(("order_id", "cart_id", "checkout_id", "checkout_token"), _ID),
    **dict.fromkeys(("ticket_id", "review_id", "message_id", "segment"), _ID),
    **dict.fromkeys(("channel", "state", "source", "currency", "reason"), _WORD),
    "topic": TextBound(MAX_TOPIC_LENGTH),
    **dict.fromkeys(("total", "value", "revenue", "was", "rating"), _AMOUNT),
}
"""Property of an event → its bound. Other properties are only stored, and cut for journeys."""


def bound_event(incoming: IncomingEvent) -> tuple[IncomingEvent, tuple[Problem, ...]]:
    """Return the event within its bounds, and a problem for each value that was changed.

    Returns the same object where nothing has to change.
    """
    problems: list[Problem] = []
    properties = bound_properties(
        incoming.properties, problems, verified=incoming.verified, event_type=incoming.type
    )
    traits, context = incoming.traits, incoming.context
    if traits:
        traits = bound_traits(read_traits(traits, problems), problems)
    if context:
        context = read_context(context, problems)
    if properties is incoming.properties and traits is incoming.traits and context is incoming.context:
        return incoming, tuple(problems[:MAX_PROBLEMS])
    bounded = replace(incoming, properties=properties, traits=traits, context=context)
    return bounded, tuple(problems[:MAX_PROBLEMS])


def bound_properties(
    properties: dict[str, Any], problems: list[Problem], *, verified: bool, event_type: str
) -> dict[str, Any]:
    """Return the properties as they are read, within ``PROPERTY_BOUNDS``.

    Returns the same object where nothing has to change. ``event_type`` decides what a sign and a list mean.
    """
    read = read_properties(event_type, properties, problems)
    bounded: dict[str, Any] = _bound_fields(read, PROPERTY_BOUNDS, "/properties", problems)
    products = bounded.get("products")
    if isinstance(products, list):
        lines = _bound_lines(products, problems, verified=verified)
        if lines is not products:
            bounded = {**bounded, "products": lines}
    bundle = bounded.get("bundle")
    if isinstance(bundle, list):
        parts = [part[: _ID.length] if isinstance(part, str) else part for part in bundle[:MAX_BUNDLE_PARTS]]
        if parts != bundle:
            detail = (
                f"holds over {MAX_BUNDLE_PARTS} ids, or one over {_ID.length} characters; the rest is cut"
            )
            problems.append(_problem("too_long", "/properties/bundle", detail))
            bounded = {**bounded, "bundle": parts}
    return bounded


def bound_line(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return one line of a cart or an order within ``LINE_BOUNDS``, for rows that are stored already.

    Rows of older versions have ids as they were sent, so that they are brought into their normal form.
    """
    bounded: Mapping[str, Any] = _bound_fields(read_stored_line(dict(row)), LINE_BOUNDS, "", None)
    return bounded


def bound_traits(traits: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return the traits within their bounds. ``consents`` always stays, since it may hold a withdrawal."""
    bounded: dict[str, Any] = {}
    changed = False
    for name, value in traits.items():
        if name == "consents":
            bounded[name] = value
            continue
        kept, fault = _bound_trait(name, value)
        if fault is None and len(bounded) >= MAX_TRAITS:
            kept, fault = False, f"is left out: an event may have {MAX_TRAITS} traits"
        if kept:
            bounded[name] = value if fault is None else value[:MAX_TRAIT_TEXT_LENGTH]
        if fault is not None:
            changed = True
            problems.append(_problem("too_long", f"/traits/{name[:MAX_TRAIT_NAME_LENGTH]}", fault))
    return bounded if changed else traits


def _bound_trait(name: str, value: Any) -> tuple[bool, str | None]:
    """Return whether a trait is kept, perhaps cut, and what is wrong with it."""
    if len(name) > MAX_TRAIT_NAME_LENGTH:
        return False, f"is left out: a name may have {MAX_TRAIT_NAME_LENGTH} characters"
    if isinstance(value, str) and len(value) > MAX_TRAIT_TEXT_LENGTH:
        return True, f"is cut to {MAX_TRAIT_TEXT_LENGTH} characters; it has {len(value)}"
    if isinstance(value, list | dict) and value and len(orjson.dumps(value)) > MAX_TRAIT_BYTES:
        return False, f"is left out: a list or an object may have {MAX_TRAIT_BYTES} bytes"
    return True, None


def _bound_lines(products: list[Any], problems: list[Problem], *, verified: bool) -> list[Any]:
    lines = products
    if not verified and len(products) > MAX_UNVERIFIED_LINES:
        lines = products[:MAX_UNVERIFIED_LINES]
        detail = f"holds {len(products)} lines; the first {MAX_UNVERIFIED_LINES} count; send no more"
        problems.append(_problem("too_many", "/properties/products", detail))
    changed = {
        index: bounded
        for index, line in enumerate(lines)
        if isinstance(line, dict)
        and (bounded := _bound_fields(line, LINE_BOUNDS, f"/properties/products/{index}", problems))
        is not line
    }
    return [changed.get(index, line) for index, line in enumerate(lines)] if changed else lines


def _bound_fields(
    fields: Mapping[str, Any],
    bounds: Mapping[str, TextBound | NumberBound],
    pointer: str,
    problems: list[Problem] | None,
) -> Any:
    """Return the fields within bounds; the same object where nothing has to change."""
    faulty: list[str] = []
    for name, value in fields.items():
        bound = bounds.get(name)
        if bound is None:
            continue
        kind = type(value)
        # The usual cases first, since every event passes here.
        if kind is str and type(bound) is TextBound:
            if len(value) > bound.length:
                faulty.append(name)
        elif (kind is float or kind is int) and type(bound) is NumberBound:
            if not bound.low <= value <= bound.high:
                faulty.append(name)
        elif bound.fault(value):
            faulty.append(name)
    if not faulty:
        return fields
    bounded = dict(fields)
    for name in faulty:
        value, detail, code = _bounded(bounds[name], fields[name])
        if value is None:
            del bounded[name]
        else:
            bounded[name] = value
        if problems is not None:
            problems.append(_problem(code, f"{pointer}/{name}", detail))
    return bounded


def _bounded(bound: TextBound | NumberBound, value: Any) -> tuple[Any, str, str]:
    """Return the value that counts (None: none), what was done, and the code of the problem."""
    if isinstance(bound, TextBound):
        done = f"is {len(value)} characters long and"
        if bound.cut:
            return value[: bound.length].rstrip(), f"{done} cut to {bound.length}; send less", "too_long"
        return None, f"{done} left out; send at most {bound.length}", "too_long"
    number = _to_number(value)
    expected = f"send a number from {bound.low:.15g} to {bound.high:.15g}"
    if bound.clamped and number is not None and number > bound.high:
        return int(bound.high), f"is too great and counts as {bound.high:.15g}; {expected}", "out_of_range"
    return None, f"is out of range and left out; {expected}", "out_of_range"


def _to_number(value: object) -> float | None:
    """Return a number, or the number that a text shows. NaN and an endless text count as infinite."""
    if isinstance(value, str):
        if len(value) > _MAX_NUMERAL_LENGTH:
            return float("inf") if value.strip().replace(".", "", 1).isdecimal() else None
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not isfinite(value):
        return float("-inf") if value < 0 else float("inf")
    return float(value) if abs(value) < 1e300 else float("inf") if value > 0 else float("-inf")


def _problem(code: str, pointer: str, detail: str) -> Problem:
    return {"code": code, "pointer": pointer, "detail": f"{pointer} {detail}"}


def limits_table() -> Iterator[tuple[str, str, str]]:
    """Yield (where, limit, what happens beyond it) of every bound, as docs/reference/events.md shows it."""
    for fields, where in ((PROPERTY_BOUNDS, "`properties`"),):
        by_bound: dict[TextBound | NumberBound, list[str]] = {}
        for name, bound in fields.items():
            by_bound.setdefault(bound, []).append(f"`{name}`")
        for bound, names in by_bound.items():
            if isinstance(bound, TextBound):
                beyond = "cut" if bound.cut else "left out"
                yield f"{where}: {', '.join(names)}", f"{bound.length:,} characters", beyond
            else:
                beyond = "a greater one counts as the greatest, a lower one is left out"
                limit = f"{bound.low:,.0f} to {bound.high:,.0f}"
                yield f"{where}: {', '.join(names)}", limit, beyond if bound.clamped else "left out"
    yield "`products` of an unverified event", f"{MAX_UNVERIFIED_LINES} lines", "the first count"
    kept = (
        f"{MAX_KEPT_UNVERIFIED_LINES} of an order, {MAX_KEPT_UNVERIFIED_LINES_OF_PROFILE} a year of a profile"
    )
    yield "bought lines of unverified orders", kept, "the others empty carts and suppress nothing"
    yield "`bundle`", f"{MAX_BUNDLE_PARTS} ids", "the first count"
    yield "a cart", f"{MAX_CART_LINES} lines", "the oldest go"
    yield "open carts of a profile", f"{MAX_OPEN_CARTS}", "the one that changed least recently is closed"
    newest = f"{MAX_REPLAYED_EVENTS} newest of carts and orders, among the {MAX_SCANNED_EVENTS:,} newest, "
    newest += f"and of at most {MAX_REPLAYED_SIZE:,} characters"
    yield "events of a profile before which a late one counts", newest, "it changes no cart; see below"
    yield "`traits` of an event or a profile", f"{MAX_TRAITS}", "left out; of a profile, the weakest go"
    yield (
        "topics of consent of a profile",
        f"{MAX_UNVERIFIED_TOPICS} from unverified events, {MAX_TOPICS} in all",
        "a grant is left out, a withdrawal counts for `marketing`",
    )
    yield "name of a trait", f"{MAX_TRAIT_NAME_LENGTH} characters", "left out"
    yield "text of a trait", f"{MAX_TRAIT_TEXT_LENGTH:,} characters", "cut"
    yield "list or object of a trait", f"{MAX_TRAIT_BYTES:,} bytes", "left out"
    yield "problems of an event", f"{MAX_PROBLEMS}, of {MAX_PROBLEM_LENGTH} characters", "left out"
