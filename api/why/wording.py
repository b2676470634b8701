"""Instants, items, profiles and events in words for operators; addresses are masked."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

from policy.hours.time_zones import zone_info
from profiles.identity.identifiers import mask_identifier
from profiles.views.decision_evidence import DecisionEvidence, EventRow

_YEARS_TO_TRY = 12
"""Most dates fall on every weekday within these years, and a run waits far shorter."""

LATE_THRESHOLD = timedelta(minutes=1)
"""Age at ingest from which an event is described as late."""

_MAX_TEXT_LENGTH = 80

_MAX_SCANNED_LENGTH = 4000
"""Characters of a text that are read. Far more than are shown."""

_PHONE_CHARACTERS = "+0123456789 ().-"

_MAX_LISTED_PARTS = 3

# The lookbehind and the possessive quantifier let each word be tried once only: linear time.
_EMAIL_PATTERN = re.compile(r"(?<![^\s@<>,;:\"'()])[^\s@<>,;:\"'()]++@[^\s@<>,;:\"'()]+\.[^\s@<>,;:\"'().]+")

_PHONE_PATTERN = re.compile(r"(?<!\w)\+\d[\d\s().-]{5,18}\d")

_INSTANT_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)")

_ITEM_COUNT_PATTERN = re.compile(r"\b(\d+ of (\d+)) item\(s\)")

_RUN_INSTANT_PATTERN = re.compile(r"[A-Z][a-z]{2} \d\d [A-Z][a-z]{2} \d\d:\d\d UTC")

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


def to_plain_text(text: object, max_length: int = _MAX_TEXT_LENGTH) -> str:
    """Return foreign text on one line: no control characters, masked addresses, cut to ``max_length``."""
    whole = str(text)
    printable = "".join(
        " " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter
        for letter in whole[:_MAX_SCANNED_LENGTH]
        if unicodedata.category(letter) not in ("Cf", "Cs", "Co")
    )
    masked = _EMAIL_PATTERN.sub(lambda found: mask_identifier("email", found[0]), " ".join(printable.split()))
    masked = _PHONE_PATTERN.sub(lambda found: mask_identifier("phone", found[0]), masked)
    if len(whole) > _MAX_SCANNED_LENGTH:
        # The cut may go through an address, and half of one is not recognised as one.
        masked = masked.rpartition(" ")[0].rstrip(_PHONE_CHARACTERS) + "…"
    return masked if len(masked) <= max_length else masked[: max_length - 1] + "…"


def mask_address(channel: str, value: str) -> str:
    """Return an address with its middle masked."""
    return mask_identifier("email" if channel == "email" else "phone" if channel == "sms" else "", value)


def mask_key(key: str) -> str:
    """Return an identifier (type:value) with its value masked."""
    kind, _, value = key.partition(":")
    return f"{kind} {mask_identifier(kind, value)}"


def person_name(account: DecisionEvidence) -> str:
    """Return the profile's first name, else its strongest identifier, masked."""
    profile = account.profile
    if profile.first_name and (name := to_plain_text(profile.first_name, 40)):
        return name
    if profile.key is None:
        return f"profile {profile.profile_id}"
    kind, value = profile.key
    return mask_identifier(kind, value) if kind in ("email", "phone") else mask_key(f"{kind}:{value}")


def format_day(at: datetime, zone: str) -> str:
    """Format a local date: "Sat 21 Nov 2026"."""
    local = at.astimezone(zone_info(zone))
    return f"{local:%a} {local.day} {local:%b %Y}"


def format_instant(at: datetime, zone: str) -> str:
    """Format a local time: "Sat 21 Nov 2026 at 20:00"; with its offset if that hour occurs twice."""
    local = at.astimezone(zone_info(zone))
    twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    return f"{format_day(at, zone)} at {local:%H:%M}{f' (UTC{local:%z})' if twice else ''}"


def format_near(at: datetime, to: datetime, zone: str) -> str:
    """Format a local time as "at 14:03" on the day of ``to``, else as "on Fri 20 Nov 2026 at 14:03"."""
    day, instant = format_day(at, zone), format_instant(at, zone)
    return instant.removeprefix(f"{day} ") if day == format_day(to, zone) else f"on {instant}"


def localise_detail(text: str, zone: str) -> str:
    """Return a check's detail with its instants as local times, and "item" in the right number."""

    def local(found: re.Match[str]) -> str:
        try:
            return format_instant(datetime.fromisoformat(found[0]), zone)
        except (ValueError, OverflowError):
            return found[0]

    # The stored detail says "item(s)".
    counted = _ITEM_COUNT_PATTERN.sub(
        lambda found: f"{found[1]} item" if found[2] == "1" else f"{found[1]} items",
        text[: _MAX_SCANNED_LENGTH + 1],
    )
    return to_plain_text(_INSTANT_PATTERN.sub(local, counted), 400)


def localise_run_details(text: str, zone: str, *, since: datetime) -> str:
    """Return a run's own words with its instants ("Sat 21 Nov 19:00 UTC") as local times.

    The run names no year: it is the first from ``since`` on in which the date falls on that weekday.
    """

    def local(found: re.Match[str]) -> str:
        for year in range(since.year, since.year + _YEARS_TO_TRY):
            try:
                instant = datetime.strptime(f"{year} {found[0][4:]} +0000", "%Y %d %b %H:%M UTC %z")
            except ValueError:
                continue
            if f"{instant:%a}" == found[0][:3]:
                return format_instant(instant, zone)
        return found[0]

    return _RUN_INSTANT_PATTERN.sub(local, text)


def find_first_instant(text: str) -> datetime | None:
    """Return the first instant that a detail names."""
    match = _INSTANT_PATTERN.search(text)
    try:
        return datetime.fromisoformat(match[0]) if match else None
    except ValueError:
        return None


def format_item(account: DecisionEvidence, key: str) -> str:
    """Format an item: "p-1 (Aria lamp)", with the name if any row has one."""
    name = _find_item_name(account, key)
    return f"{to_plain_text(key)} ({to_plain_text(name, 60)})" if name and name != key else to_plain_text(key)


def format_items(account: DecisionEvidence, keys: Iterable[str]) -> str:
    """Format items as a list; of many the first ones and the number of the others."""
    return join_words([format_item(account, key) for key in dict.fromkeys(keys)])


def join_words(parts: list[str], max_parts: int = _MAX_LISTED_PARTS) -> str:
    """Join words: "a", "a and b", "a, b and 4 more"."""
    if len(parts) > max_parts:
        parts = [*parts[: max_parts - 1], f"{len(parts) - max_parts + 1} more"]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def format_event_ref(event: EventRow) -> str:
    """Format an event: "Order Completed o-17, event pos/berlin-3 evt-9"."""
    said = event.scalar_properties
    number = said.get("order_id", said.get("ticket_id"))
    called = to_plain_text(event.type) + (f" {to_plain_text(number)}" if number is not None else "")
    return f"{called}, event {to_plain_text(event.source)} {to_plain_text(event.id)}"


def format_event_time(event: EventRow, to: datetime, zone: str) -> str:
    """Format when an event happened, and when it was ingested if that was later."""
    happened = format_near(event.time, to, zone)
    late = event.at - event.time > LATE_THRESHOLD
    return f"{happened}, taken in {format_near(event.at, to, zone)}" if late else happened


def channel_place(channel: str) -> str:
    """Return the place where something was done on a channel."""
    return CHANNEL_PLACES.get(channel, f"through {to_plain_text(channel)}")


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
