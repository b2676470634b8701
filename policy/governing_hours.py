"""Decides which hours govern a message: the shop's own, and those of every place the person may be in."""

from collections.abc import Mapping
from typing import NamedTuple

from policy.facts import Facts, Place, Plan
from policy.jurisdiction import Jurisdiction
from policy.jurisdictions import JURISDICTIONS
from policy.limits import Limits
from policy.open_hours import Together
from policy.places import may_be_in
from policy.verdict import Channel, MessageClass

_SAID = ("traits", "context")


class Governing(NamedTuple):
    """The hours, in the zones in which they are kept."""

    hours: Together
    zones: tuple[str, ...]
    places: tuple[str, ...]
    """The places whose rules are among the hours, in words."""


def governing_hours(plan: Plan, facts: Facts, limits: Limits) -> Governing | None:
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
            found = _of_place(place, table, facts)
            local |= found
            names += [_in_words(place, found)] if found else []
    if plan.channel is Channel.ADS or (own is None and not local):
        return None
    hours = ((own,) if own else ()) + tuple(local.values())
    return Governing(Together(hours), facts.zones or (facts.zone,), tuple(names))


def _of_place(place: Place, table: Mapping[str, Jurisdiction], facts: Facts) -> dict[str, Jurisdiction]:
    code = place.region if place.region in table else place.country
    found = {code: table[code]} if code in table else {}
    if not place.region:
        known = (facts.zone,) if facts.zone_source in _SAID else ()
        regions = [Place(place.country, code) for code in table if code.startswith(f"{place.country}-")]
        found |= {each.region: table[each.region] for each in regions if _plausible(each, known)}
    return found


def _plausible(region: Place, known: tuple[str, ...]) -> bool:
    # A zone of another country says nothing about the region: both places are plausible then.
    at_home = may_be_in(Place(region.country), known)
    return not at_home or not region.region.startswith("US-") or may_be_in(region, known)


def _in_words(place: Place, found: Mapping[str, Jurisdiction]) -> str:
    code = place.region if place.region in found else place.country
    name = found[code].name if code in found and found[code].name else code
    unknown = f"; region unknown, so the strictest of {len(found)} rules" if len(found) > 1 else ""
    return f"{name} (from {place.source}{unknown})"
