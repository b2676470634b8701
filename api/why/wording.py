"""Instants, items, people and events in words, for an operator's eyes; nobody can be reached by them."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

from policy.hours.time_zones import zone_info
from profiles.identity.identifiers import shortened
from profiles.views.decision_evidence import Account, EventFact

LATE = timedelta(minutes=1)
"""An event that was taken in later than this after it happened is said to be late."""

_LONGEST = 80

_NAMED_AT_MOST = 3

_EMAIL = re.compile(r"[^\s@<>,;:\"'()]+@[^\s@<>,;:\"'()]+\.[^\s@<>,;:\"'().]+")

_PHONE = re.compile(r"(?<!\w)\+\d[\d\s().-]{5,18}\d")

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)")

WHERE = {
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


def plain(text: object, longest: int = _LONGEST) -> str:
    """What somebody else wrote, on one line: no control characters, addresses shortened, not too long."""
    seen = "".join(
        " " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter
        for letter in str(text)
        if unicodedata.category(letter) not in ("Cf", "Cs", "Co")
    )
    said = _EMAIL.sub(lambda found: shortened("email", found[0]), " ".join(seen.split()))
    said = _PHONE.sub(lambda found: shortened("phone", found[0]), said)
    return said if len(said) <= longest else said[: longest - 1] + "…"


def address(channel: str, value: str) -> str:
    """An address that cannot be written to any more."""
    return shortened("email" if channel == "email" else "phone" if channel == "sms" else "", value)


def key_in_words(key: str) -> str:
    """An identifier (type:value), shortened."""
    kind, _, value = key.partition(":")
    return f"{kind} {shortened(kind, value)}"


def name_of(account: Account) -> str:
    """The person: their first name, else their strongest identifier without its middle."""
    who = account.who
    if who.first_name and (name := plain(who.first_name, 40)):
        return name
    if who.key is None:
        return f"profile {who.profile_id}"
    kind, value = who.key
    return shortened(kind, value) if kind in ("email", "phone") else key_in_words(f"{kind}:{value}")


def day(at: datetime, zone: str) -> str:
    """ "Sat 21 Nov 2026"."""
    local = at.astimezone(zone_info(zone))
    return f"{local:%a} {local.day} {local:%b %Y}"


def when(at: datetime, zone: str) -> str:
    """ "Sat 21 Nov 2026 at 20:00", by the clock of the zone; where that hour comes twice, with its offset."""
    local = at.astimezone(zone_info(zone))
    twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    return f"{day(at, zone)} at {local:%H:%M}{f' (UTC{local:%z})' if twice else ''}"


def near(at: datetime, to: datetime, zone: str) -> str:
    """ "at 14:03" where that is the same day as ``to``, else "on Fri 20 Nov 2026 at 14:03"."""
    same = day(at, zone) == day(to, zone)
    return when(at, zone).removeprefix(f"{day(at, zone)} ") if same else f"on {when(at, zone)}"


def detail(text: str, zone: str) -> str:
    """A detail of a check with its instants by the person's clock."""

    def local(found: re.Match[str]) -> str:
        try:
            return when(datetime.fromisoformat(found[0]), zone)
        except (ValueError, OverflowError):
            return found[0]

    return plain(_INSTANT.sub(local, text), 400)


def first_instant(text: str) -> datetime | None:
    """The first instant that a detail names."""
    found = _INSTANT.search(text)
    try:
        return datetime.fromisoformat(found[0]) if found else None
    except ValueError:
        return None


def item(account: Account, key: str) -> str:
    """ "p-1 (Aria lamp)", with the name where anything on file has one."""
    name = _names(account, key)
    return f"{plain(key)} ({plain(name, 60)})" if name and name != key else plain(key)


def items(account: Account, keys: Iterable[str]) -> str:
    """Items in a list; of many the first ones and how many more."""
    return listed([item(account, key) for key in dict.fromkeys(keys)])


def listed(parts: list[str], most: int = _NAMED_AT_MOST) -> str:
    """ "a", "a and b", "a, b and 4 more"."""
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} more"]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def event_ref(event: EventFact) -> str:
    """ "Order Completed o-17, event pos/berlin-3 evt-9"."""
    number = next((event.said[name] for name in ("order_id", "ticket_id") if name in event.said), None)
    called = plain(event.type) + (f" {plain(number)}" if number is not None else "")
    return f"{called}, event {plain(event.source)} {plain(event.id)}"


def happened(event: EventFact, to: datetime, zone: str) -> str:
    """When an event happened, and when it was taken in where that was later."""
    told = near(event.time, to, zone)
    late = event.at - event.time > LATE
    return f"{told}, taken in {near(event.at, to, zone)}" if late else told


def where(channel: str) -> str:
    """The place where something was done."""
    return WHERE.get(channel, f"through {plain(channel)}")


def channel_word(channel: str) -> str:
    """A channel as the way a message takes."""
    return {"ads": "ads"}.get(channel, plain(channel))


def _names(account: Account, key: str) -> str | None:
    for product in account.products:
        if product.item == key and product.name:
            return product.name
    for bought in account.bought:
        if key in (bought.item, bought.sku) and bought.name:
            return bought.name
    for event in reversed(tuple(account.events.values())):
        for line in event.lines:
            if key in (line.product_id, line.sku) and line.name:
                return line.name
    return None
