"""Instants, items, people and events in words, for an operator's eyes; nobody can be reached by them."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

from policy.hours.time_zones import zone_info
from profiles.identity.identifiers import mask_identifier
from profiles.views.decision_evidence import DecisionEvidence, EventRow

LATE_THRESHOLD = timedelta(minutes=1)
"""An event that was taken in later than this after it happened is said to be late."""

_MAX_TEXT_LENGTH = 80

_MAX_LISTED_PARTS = 3

_EMAIL_PATTERN = re.compile(r"[^\s@<>,;:\"'()]+@[^\s@<>,;:\"'()]+\.[^\s@<>,;:\"'().]+")

_PHONE_PATTERN = re.compile(r"(?<!\w)\+\d[\d\s().-]{5,18}\d")

_INSTANT_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)")

CHANNEL_PLACES = {
    "web": "on the web",
    "mobile": "in the app",
    "store": "in the store",
    "email": "by email",
    "sms": "by text message",
    "push": "by an app notification",
    "ads": "by an advertisement",
    "support": "through support",
    "server": "by the shop's server",
}
"""A channel as the place where something was done."""


def to_plain_text(text: object, max_length: int = _MAX_TEXT_LENGTH) -> str:
    """What somebody else wrote, on one line: no control characters, addresses shortened, not too long."""
    seen = "".join(
        " " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter
        for letter in str(text)
        if unicodedata.category(letter) not in ("Cf", "Cs", "Co")
    )
    said = _EMAIL_PATTERN.sub(lambda found: mask_identifier("email", found[0]), " ".join(seen.split()))
    said = _PHONE_PATTERN.sub(lambda found: mask_identifier("phone", found[0]), said)
    return said if len(said) <= max_length else said[: max_length - 1] + "…"


def mask_address(channel: str, value: str) -> str:
    """An address that cannot be written to any more."""
    return mask_identifier("email" if channel == "email" else "phone" if channel == "sms" else "", value)


def mask_key(key: str) -> str:
    """An identifier (type:value), shortened."""
    kind, _, value = key.partition(":")
    return f"{kind} {mask_identifier(kind, value)}"


def person_name(account: DecisionEvidence) -> str:
    """The person: their first name, else their strongest identifier without its middle."""
    who = account.profile
    if who.first_name and (name := to_plain_text(who.first_name, 40)):
        return name
    if who.key is None:
        return f"profile {who.profile_id}"
    kind, value = who.key
    return mask_identifier(kind, value) if kind in ("email", "phone") else mask_key(f"{kind}:{value}")


def format_day(at: datetime, zone: str) -> str:
    """ "Sat 21 Nov 2026"."""
    local = at.astimezone(zone_info(zone))
    return f"{local:%a} {local.day} {local:%b %Y}"


def format_instant(at: datetime, zone: str) -> str:
    """ "Sat 21 Nov 2026 at 20:00", by the clock of the zone; where that hour comes twice, with its offset."""
    local = at.astimezone(zone_info(zone))
    twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    return f"{format_day(at, zone)} at {local:%H:%M}{f' (UTC{local:%z})' if twice else ''}"


def format_near(at: datetime, to: datetime, zone: str) -> str:
    """ "at 14:03" where that is the same day as ``to``, else "on Fri 20 Nov 2026 at 14:03"."""
    same = format_day(at, zone) == format_day(to, zone)
    return (
        format_instant(at, zone).removeprefix(f"{format_day(at, zone)} ")
        if same
        else f"on {format_instant(at, zone)}"
    )


def localise_detail(text: str, zone: str) -> str:
    """A detail of a check with its instants by the person's clock."""

    def local(found: re.Match[str]) -> str:
        try:
            return format_instant(datetime.fromisoformat(found[0]), zone)
        except (ValueError, OverflowError):
            return found[0]

    return to_plain_text(_INSTANT_PATTERN.sub(local, text), 400)


def find_first_instant(text: str) -> datetime | None:
    """The first instant that a detail names."""
    found = _INSTANT_PATTERN.search(text)
    try:
        return datetime.fromisoformat(found[0]) if found else None
    except ValueError:
        return None


def format_item(account: DecisionEvidence, key: str) -> str:
    """ "p-1 (Aria lamp)", with the name where anything on file has one."""
    name = _find_item_name(account, key)
    return f"{to_plain_text(key)} ({to_plain_text(name, 60)})" if name and name != key else to_plain_text(key)


def format_items(account: DecisionEvidence, keys: Iterable[str]) -> str:
    """Items in a list; of many the first ones and how many more."""
    return join_words([format_item(account, key) for key in dict.fromkeys(keys)])


def join_words(parts: list[str], max_parts: int = _MAX_LISTED_PARTS) -> str:
    """ "a", "a and b", "a, b and 4 more"."""
    if len(parts) > max_parts:
        parts = [*parts[: max_parts - 1], f"{len(parts) - max_parts + 1} more"]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def format_event_ref(event: EventRow) -> str:
    """ "Order Completed o-17, event pos/berlin-3 evt-9"."""
    number = next(
        (
            event.scalar_properties[name]
            for name in ("order_id", "ticket_id")
            if name in event.scalar_properties
        ),
        None,
    )
    called = to_plain_text(event.type) + (f" {to_plain_text(number)}" if number is not None else "")
    return f"{called}, event {to_plain_text(event.source)} {to_plain_text(event.id)}"


def format_event_time(event: EventRow, to: datetime, zone: str) -> str:
    """When an event happened, and when it was taken in where that was later."""
    told = format_near(event.time, to, zone)
    late = event.at - event.time > LATE_THRESHOLD
    return f"{told}, taken in {format_near(event.at, to, zone)}" if late else told


def channel_place(channel: str) -> str:
    """The place where something was done."""
    return CHANNEL_PLACES.get(channel, f"through {to_plain_text(channel)}")


def channel_name(channel: str) -> str:
    """A channel as the way a message takes."""
    return {"ads": "ads"}.get(channel, to_plain_text(channel))


def _find_item_name(account: DecisionEvidence, key: str) -> str | None:
    for product in account.products:
        if product.item == key and product.name:
            return product.name
    for bought in account.suppressions:
        if key in (bought.item, bought.sku) and bought.name:
            return bought.name
    for event in reversed(tuple(account.events.values())):
        for line in event.lines:
            if key in (line.product_id, line.sku) and line.name:
                return line.name
    return None
