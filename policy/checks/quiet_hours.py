"""Checks quiet hours: the shop's hours of the channel, and the rules of the places where a profile may be."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from policy.checks.result import CheckResult, deferred, denied, passed
from policy.facts import Facts, Plan
from policy.hours.jurisdictions import JURISDICTIONS, Jurisdiction
from policy.hours.opening_hours import IntersectedHours, common_closing_time, next_common_opening, open_spans
from policy.hours.places import Place, zones_allow_place
from policy.hours.time_zones import EXPLICIT_ZONE_SOURCES, require_offset, zone_info
from policy.hours.windows import format_spans
from policy.limits import Limits
from policy.verdict import Channel, MessageClass, Reason

_SPREAD_DIVISOR = 4
"""The spread is at most this part of the window, so that most of a short window is left for delivery."""


class ApplicableHours(NamedTuple):
    """The hours that apply to a message, and the zones in which they apply."""

    hours: IntersectedHours
    zones: tuple[str, ...]
    places: tuple[str, ...]
    """The places with rules among the hours, in words."""


def applicable_hours(plan: Plan, facts: Facts, limits: Limits) -> ApplicableHours | None:
    """Return all hours that must be open, in every zone in which the profile may live; None where none apply.

    The shop's hours of the channel apply to both classes, those of places in addition to marketing on the
    channels that the limits name. A region's entry replaces its country's. Where the region is unknown, all
    regions of the country apply, except those with other clocks than the profile's known zone.
    """
    own = limits.quiet_hours.get(plan.channel)
    local: dict[str, Jurisdiction] = {}
    names: list[str] = []
    if plan.message_class is MessageClass.MARKETING and plan.channel in limits.jurisdiction_channels:
        table = {**JURISDICTIONS, **limits.jurisdictions}
        for place in facts.places:
            jurisdictions = _hours_for_place(place, table, facts)
            local |= jurisdictions
            names += [_describe_place(place, jurisdictions)] if jurisdictions else []
    if plan.channel is Channel.ADS or (own is None and not local):
        return None
    hours = ((own,) if own else ()) + tuple(local.values())
    return ApplicableHours(IntersectedHours(hours), facts.zones or (facts.zone,), tuple(names))


def _hours_for_place(
    place: Place, table: Mapping[str, Jurisdiction], facts: Facts
) -> dict[str, Jurisdiction]:
    code = place.region if place.region in table else place.country
    jurisdictions = {code: table[code]} if code in table else {}
    if not place.region:
        known = (facts.zone,) if facts.zone_source in EXPLICIT_ZONE_SOURCES else ()
        regions = [Place(place.country, code) for code in table if code.startswith(f"{place.country}-")]
        jurisdictions |= {each.region: table[each.region] for each in regions if _may_live_in(each, known)}
    return jurisdictions


def _may_live_in(region: Place, known: tuple[str, ...]) -> bool:
    # A zone of another country does not restrict the region: both places are plausible.
    at_home = zones_allow_place(Place(region.country), known)
    return not at_home or not region.region.startswith("US-") or zones_allow_place(region, known)


def _describe_place(place: Place, jurisdictions: Mapping[str, Jurisdiction]) -> str:
    code = place.region if place.region in jurisdictions else place.country
    name = jurisdictions[code].name if code in jurisdictions and jurisdictions[code].name else code
    unknown = (
        f"; region unknown, so the strictest of {len(jurisdictions)} rules" if len(jurisdictions) > 1 else ""
    )
    return f"{name} (from {place.source}{unknown})"


def outside_quiet_hours(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Defer to the next opening by the shop's hours of the channel and by the rules of the profile's places.

    See ``applicable_hours`` for the hours that apply, and ``jittered_resume_at`` for the delay after the
    opening. Denies as expired where there is no opening before the plan's expiry, or within nine days.
    """
    governing = applicable_hours(plan, facts, limits)
    if governing is None:
        return passed(f"no quiet hours on {plan.channel.value}")
    current = _describe_now(governing, facts, require_offset(at))
    before = require_offset(plan.expires_at)
    opening = next_common_opening(governing.hours, governing.zones, at, before=before)
    if opening is None:
        return denied(Reason.EXPIRED, f"{current}; does not open before the expiry")
    if opening <= at:
        return passed(current)
    closes = common_closing_time(governing.hours, governing.zones, opening, before=before)
    until = jittered_resume_at(plan, facts, limits, opening, closes)
    return deferred(Reason.QUIET_HOURS, until, f"{current}; {_describe_next_opening(facts, opening, until)}")


def allowed_until(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> datetime:
    """Return until when (UTC, excluded) a message allowed at ``at`` may arrive: at most its expiry.

    All its hours are open until then. Raises ValueError where they are not open at ``at``.
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


def jittered_resume_at(
    plan: Plan, facts: Facts, limits: Limits, opening: datetime, closes: datetime | None
) -> datetime:
    """Return an instant in [opening, opening + spread), in whole seconds after the opening.

    It depends only on the profile and the send key; without a key it is the opening. The spread is the
    channel's, but at most a quarter of the time until ``closes`` (None: never) or the expiry.
    """
    end = min(closes or plan.expires_at, plan.expires_at)
    spread = min(limits.spread.get(plan.channel, timedelta()), (end - opening) / _SPREAD_DIVISOR)
    if not plan.key or spread <= timedelta():
        return opening
    # The length prefix distinguishes ("ab", "c") from ("a", "bc").
    digest = hashlib.sha256(f"{len(plan.key)}:{plan.key}:{facts.person}".encode()).digest()
    return opening + timedelta(seconds=int.from_bytes(digest, "big") * int(spread.total_seconds()) >> 256)
