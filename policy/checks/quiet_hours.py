"""Decides whether a message may reach its recipient at this hour of their day, and when it may next."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from policy.checks.result import CheckResult, deferred, denied, passed
from policy.facts import Facts, Plan
from policy.hours.jurisdictions import JURISDICTIONS, Jurisdiction
from policy.hours.opening_hours import IntersectedHours, common_closing_time, next_common_opening, open_spans
from policy.hours.places import Place, zones_allow_place
from policy.hours.time_zones import require_offset, zone_info
from policy.hours.windows import format_spans
from policy.limits import Limits
from policy.verdict import Channel, MessageClass, Reason

_EXPLICIT_ZONE_SOURCES = ("traits", "context")


class ApplicableHours(NamedTuple):
    """The hours, in the zones in which they are kept."""

    hours: IntersectedHours
    zones: tuple[str, ...]
    places: tuple[str, ...]
    """The places whose rules are among the hours, in words."""


def applicable_hours(plan: Plan, facts: Facts, limits: Limits) -> ApplicableHours | None:
    """All hours that must be open, in every zone the person may live in; None where there are none.

    The shop's hours of the channel hold for messages of either class. The hours of places hold for
    marketing on the channels that the limits name, whatever the shop's own are: each can only narrow the
    other. A region's entry takes the place of its country's; where the region is unknown, those of all its
    country's regions hold, but for regions whose clocks are not the one the person is known to live by.
    """
    own = limits.quiet_hours.get(plan.channel)
    local: dict[str, Jurisdiction] = {}
    names: list[str] = []
    if plan.message_class is MessageClass.MARKETING and plan.channel in limits.jurisdiction_channels:
        table = {**JURISDICTIONS, **limits.jurisdictions}
        for place in facts.places:
            found = _hours_for_place(place, table, facts)
            local |= found
            names += [_describe_place(place, found)] if found else []
    if plan.channel is Channel.ADS or (own is None and not local):
        return None
    hours = ((own,) if own else ()) + tuple(local.values())
    return ApplicableHours(IntersectedHours(hours), facts.zones or (facts.zone,), tuple(names))


def _hours_for_place(
    place: Place, table: Mapping[str, Jurisdiction], facts: Facts
) -> dict[str, Jurisdiction]:
    code = place.region if place.region in table else place.country
    found = {code: table[code]} if code in table else {}
    if not place.region:
        known = (facts.zone,) if facts.zone_source in _EXPLICIT_ZONE_SOURCES else ()
        regions = [Place(place.country, code) for code in table if code.startswith(f"{place.country}-")]
        found |= {each.region: table[each.region] for each in regions if _may_live_in(each, known)}
    return found


def _may_live_in(region: Place, known: tuple[str, ...]) -> bool:
    # A zone of another country says nothing about the region: both places are plausible then.
    at_home = zones_allow_place(Place(region.country), known)
    return not at_home or not region.region.startswith("US-") or zones_allow_place(region, known)


def _describe_place(place: Place, found: Mapping[str, Jurisdiction]) -> str:
    code = place.region if place.region in found else place.country
    name = found[code].name if code in found and found[code].name else code
    unknown = f"; region unknown, so the strictest of {len(found)} rules" if len(found) > 1 else ""
    return f"{name} (from {place.source}{unknown})"


def outside_quiet_hours(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Defer to the next opening of the channel by the shop's hours and by the rules of the person's place.

    See ``governing_hours`` for whose hours hold, and ``wake_up`` for how long after the opening the message
    wakes. Denies as expired where nothing opens before the plan's expiry, or within nine days.
    """
    governing = applicable_hours(plan, facts, limits)
    if governing is None:
        return passed(f"no quiet hours on {plan.channel.value}")
    now = _describe_now(governing, facts, require_offset(at))
    before = require_offset(plan.expires_at)
    opening = next_common_opening(governing.hours, governing.zones, at, before=before)
    if opening is None:
        return denied(Reason.EXPIRED, f"{now}; does not open before the expiry")
    if opening <= at:
        return passed(now)
    closes = common_closing_time(governing.hours, governing.zones, opening, before=before)
    until = jittered_resume_at(plan, facts, limits, opening, closes)
    return deferred(Reason.QUIET_HOURS, until, f"{now}; {_describe_next_opening(facts, opening, until)}")


def allowed_until(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> datetime:
    """Until when (UTC, excluded) a message that may go at ``at`` may still arrive: never past its expiry.

    Every hour that governs the message is open all the time until then. Raises ValueError where one is
    not open at ``at``.
    """
    governing = applicable_hours(plan, facts, limits)
    if governing is None:
        return plan.expires_at
    closes = common_closing_time(governing.hours, governing.zones, at, before=plan.expires_at)
    return min(closes or plan.expires_at, plan.expires_at)


def _describe_now(governing: ApplicableHours, facts: Facts, at: datetime) -> str:
    local = at.astimezone(zone_info(facts.zone))
    others = len(governing.zones) - 1
    zone = facts.zone
    if others > 0:
        zone += f" and {others} other zone{'s' if others > 1 else ''} of the country"
    where = f"{zone} (from {facts.zone_source})"
    if governing.places:
        where = f"{' and '.join(governing.places)}, {where}"
    today = open_spans(governing.hours, local.date())
    hours = f"open {format_spans(today)}" if today else f"closed on {local:%A}"
    if names := {name for each in governing.hours.hours if (name := _holiday_name(each, local))}:
        hours += f" ({' and '.join(sorted(names))})"
    return f"{local:%H:%M} in {where}, {hours}"


def _holiday_name(hours: object, local: datetime) -> str | None:
    if isinstance(hours, Jurisdiction) and hours.holidays is not None:
        return hours.holiday_name(local.date())
    return None


def _describe_next_opening(facts: Facts, opening: datetime, until: datetime) -> str:
    rules = zone_info(facts.zone)
    local, waking = opening.astimezone(rules), until.astimezone(rules)
    later = f", spread out to {waking:%H:%M:%S}" if until > opening else ""
    return f"next {local:%H:%M} on {local:%A}{later}"


_SPREAD_DIVISOR = 4
"""The spread takes at most this part of the window, so that a short one is not used up by waiting."""


def jittered_resume_at(
    plan: Plan, facts: Facts, limits: Limits, opening: datetime, closes: datetime | None
) -> datetime:
    """An instant in [opening, opening + spread), in whole seconds after the opening.

    The same at every attempt: it depends on the person and the send key alone. The spread is that of the
    channel, but no more than a quarter of the time from the opening until the window closes (None: never)
    or the message expires, so the message neither sleeps past its window nor past its expiry. A plan
    without a key wakes at the opening itself.
    """
    end = min(closes or plan.expires_at, plan.expires_at)
    spread = min(limits.spread.get(plan.channel, timedelta()), (end - opening) / _SPREAD_DIVISOR)
    if not plan.key or spread <= timedelta():
        return opening
    # The length in front keeps ("ab", "c") and ("a", "bc") apart.
    digest = hashlib.sha256(f"{len(plan.key)}:{plan.key}:{facts.person}".encode()).digest()
    return opening + timedelta(seconds=int.from_bytes(digest, "big") * int(spread.total_seconds()) >> 256)
