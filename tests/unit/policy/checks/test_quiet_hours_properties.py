"""Hours of places against a plain model: openings, closings, and how long a provider may hold a message."""

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from policy.checks.quiet_hours import allowed_until, applicable_hours
from policy.facts import ConsentFact, Facts, Plan
from policy.gate import decide
from policy.hours.jurisdictions import JURISDICTIONS, Jurisdiction
from policy.hours.opening_hours import closing_time, next_opening
from policy.hours.places import Place
from policy.hours.time_zones import zones_by_country
from policy.hours.us_states import US_STATES
from policy.hours.windows import QuietHours, Window
from policy.limits import Limits
from policy.verdict import Allow, Channel, Defer, MessageClass
from tests.support.models.hours import MINUTE, changes, open_by_model, starts_around

FULL = os.environ.get("WAYPOST_PROOF") == "full"

STEP = 15 * MINUTE
"""Every window begins and ends on a quarter of an hour, and so does every change of the clocks."""

TICK = timedelta(microseconds=1)

START = datetime(2026, 1, 1, tzinfo=UTC)

FRENCH_CALLS = Jurisdiction(
    (Window(time(10), time(13)), Window(time(14), time(20))),
    saturday=(),
    sunday=(),
    holidays=(),
    calendar="FR",
)

TO_MIDNIGHT = Jurisdiction(
    (Window(time(0), time(2, 30)), Window(time(22), time(0))),
    sunday=(Window(time(1), time(3)),),
    name="nights",
)


def walked(hours: Jurisdiction, zone: str, at: datetime, step: timedelta, *, wanted: bool) -> datetime:
    """The first instant from ``at`` on that is open or closed, by looking at the clock again and again."""
    grid = at
    while open_by_model(hours, zone, grid) is not wanted:
        since = timedelta(minutes=grid.minute, seconds=grid.second, microseconds=grid.microsecond)
        grid += step - since % step
    return grid


def agree(hours: Jurisdiction, zone: str, starts: Iterable[datetime], step: timedelta = STEP) -> int:
    compared = 0
    for at in starts:
        opening = next_opening(hours, zone, at)
        assert opening == walked(hours, zone, at, step, wanted=True), (zone, at)
        assert opening is not None
        closing = closing_time(hours, zone, opening)
        assert closing == walked(hours, zone, opening, step, wanted=False), (zone, opening)
        compared += 1
    return compared


def zones_of(code: str) -> tuple[str, ...]:
    country, _, state = code.partition("-")
    return US_STATES[state].zones if state else tuple(sorted(zones_by_country()[country]))[:3]


@pytest.mark.parametrize("code", sorted(JURISDICTIONS))
def test_every_place_opens_and_closes_when_the_clock_on_its_wall_says_so(code: str) -> None:
    hours, compared = JURISDICTIONS[code], 0
    for zone in zones_of(code) if FULL else zones_of(code)[:1]:
        turns = changes(zone) or (datetime(2026, 3, 29, 1, tzinfo=UTC),)
        around = [
            at
            for turn in (turns if FULL else turns[:2])
            for at in list(starts_around(turn))[:: 1 if FULL else 3]
        ]
        end_of_year = [datetime(2026, 12, day, 23, 59, 30, tzinfo=UTC) for day in (24, 31)]
        compared += agree(hours, zone, [*around, *end_of_year], MINUTE if FULL else STEP)

    assert compared >= 6


@pytest.mark.proof
def test_several_windows_a_day_are_right_around_any_change_of_any_zone() -> None:
    every = sorted(available_timezones() - {"localtime", "Factory"})
    zones = every if FULL else every[3::60]
    compared = 0
    for zone in zones:
        turns = changes(zone) or (datetime(2027, 1, 1, tzinfo=UTC),)
        for turn in turns if FULL else turns[:2]:
            for hours in (FRENCH_CALLS, TO_MIDNIGHT):
                compared += agree(hours, zone, list(starts_around(turn))[:: 1 if FULL else 3])

    assert compared >= len(zones) * 4


INSTANTS = st.integers(0, 3 * 365 * 24 * 12 - 1).map(lambda steps: START + timedelta(minutes=5 * steps))

PLACES = st.sampled_from([(), *(((code),) for code in JURISDICTIONS), ("US-FL", "FR"), ("US-TX", "US-LA")])

CHANGING = ("America/New_York", "Europe/Paris", "Australia/Lord_Howe", "America/Denver", "Africa/Casablanca")

ZONES = st.lists(st.sampled_from([*CHANGING, "Asia/Kathmandu", "UTC"]), min_size=1, max_size=3, unique=True)

OWN = st.sampled_from(
    [None, QuietHours(time(8), time(21)), QuietHours(time(12), time(12, 45)), QuietHours(time(18), time(9))]
)


@settings(max_examples=1_500 if FULL else 250, deadline=None)
@given(
    INSTANTS,
    ZONES,
    PLACES,
    OWN,
    st.integers(1, 60).map(lambda hours: timedelta(hours=hours)),
    st.text(max_size=3),
)
def test_what_is_allowed_may_arrive_at_any_time_until_its_validity_ends(
    at: datetime, zones: list[str], codes: tuple[str, ...], own: QuietHours | None, ttl: timedelta, key: str
) -> None:
    plan = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", None, at + ttl, key=key)
    who = Facts(
        consents=(ConsentFact("all", "all", granted=True),),
        zone=zones[0],
        zone_source="phone",
        zones=tuple(zones),
        places=tuple(Place(code[:2], code if "-" in code else "", "the phone number") for code in codes),
    )
    limits = Limits(quiet_hours={} if own is None else {Channel.SMS: own})
    governing = applicable_hours(plan, who, limits)

    def open_everywhere(instant: datetime) -> bool:
        rules = governing.hours.hours if governing else ()
        return all(open_by_model(rule, zone, instant) for rule in rules for zone in zones)

    verdict = decide(plan, who, limits, at)
    event(type(verdict).__name__)
    assert isinstance(verdict, Allow) == open_everywhere(at)
    begins = at if isinstance(verdict, Allow) else verdict.until if isinstance(verdict, Defer) else None
    if begins is None:
        return
    assert isinstance(decide(plan, who, limits, begins), Allow)
    ends = allowed_until(plan, who, limits, begins)
    assert begins < ends <= plan.expires_at
    instant = begins
    while instant < ends:
        assert open_everywhere(instant), (instant, ends)
        instant += 15 * MINUTE
    assert open_everywhere(ends - TICK)
    assert ends == plan.expires_at or not open_everywhere(ends)


def test_a_message_of_an_unknown_state_is_decided_on_in_all_its_zones() -> None:
    american = Facts(
        consents=(ConsentFact("all", "all", granted=True),),
        zone="America/Adak",
        zone_source="phone",
        zones=("America/Adak", "America/New_York"),
        places=(Place("US", "", "the phone number"),),
    )
    plan = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", None, START + timedelta(days=2_000))
    verdict = decide(plan, american, Limits(), datetime(2026, 9, 4, 21, tzinfo=UTC))

    # Ten in the morning on Adak is three in the afternoon in New York; Monday is Labor Day.
    assert isinstance(verdict, Defer)
    assert verdict.until == datetime(2026, 9, 8, 19, tzinfo=UTC)
    assert allowed_until(plan, american, Limits(), verdict.until) == datetime(2026, 9, 8, 21, tzinfo=UTC)
    assert isinstance(decide(replace(plan, topic="offers"), american, Limits(), verdict.until), Allow)
