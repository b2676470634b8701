"""Caps by channel, journey and topic, over windows and calendar periods, held against plain counting."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from policy.checks.frequency_caps import (
    count_used_slots,
    counts_until,
    period_bounds,
    required_history,
    under_caps,
)
from policy.facts import Facts, Plan, SentFact
from policy.limits import CalendarPeriod, Cap, CapReachedAction, Limits
from policy.verdict import Channel, MessageClass, Reason
from tests.support.builders.gate import DAY, HOUR
from tests.support.models.caps import model_full, model_period, model_used

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday

TICK = timedelta(microseconds=1)

PLAN = Plan(Channel.EMAIL, MessageClass.MARKETING, "marketing", None, NOW + 90 * DAY, journey="win-back")

# The clocks of all of these change within the days that the instants lie in, and between two months.
CHANGING = ("Europe/Berlin", "America/New_York", "Africa/Cairo", "America/Havana", "America/Nuuk", "UTC")

INSTANTS = st.integers(-40 * 24, 10 * 24).map(lambda hours: datetime(2026, 11, 1, tzinfo=UTC) + hours * HOUR)

ABOUT: dict[str, Any] = {
    "limit": st.integers(0, 3),
    "channel": st.none() | st.sampled_from([Channel.EMAIL, Channel.SMS]),
    "journey": st.sampled_from([None, "win-back", "carts"]),
    "topic": st.sampled_from([None, "marketing", "offers"]),
}

CAPS = st.builds(Cap, per=st.sampled_from(CalendarPeriod), **ABOUT) | st.builds(
    Cap, window=st.integers(1, 40 * 24).map(lambda hours: hours * HOUR), **ABOUT
)

SENT = st.lists(
    st.builds(
        SentFact,
        channel=st.sampled_from(Channel),
        at=INSTANTS,
        journey=st.sampled_from(["win-back", "carts"]),
        topic=st.sampled_from(["marketing", "offers"]),
    ),
    max_size=8,
).map(tuple)


@settings(max_examples=200, deadline=None)
@given(st.lists(CAPS, min_size=1, max_size=3).map(tuple), SENT, st.sampled_from(CHANGING), INSTANTS)
def test_what_counts_is_what_a_plain_loop_over_local_dates_counts(
    caps: tuple[Cap, ...], sent: tuple[SentFact, ...], zone: str, at: datetime
) -> None:
    facts = Facts(sent=sent, zone=zone)
    full = [model_full(cap, PLAN, facts, at) for cap in caps]

    assert [model_used(cap, facts, at) for cap in caps] == [count_used_slots(cap, facts, at) for cap in caps]
    assert any(full) == (under_caps(PLAN, facts, Limits(caps=caps), at).reason is Reason.CAPPED)


@settings(max_examples=200, deadline=None)
@given(st.lists(CAPS, min_size=1, max_size=3).map(tuple), SENT, st.sampled_from(CHANGING), INSTANTS)
def test_a_message_that_waits_fits_at_its_instant_and_not_before(
    caps: tuple[Cap, ...], sent: tuple[SentFact, ...], zone: str, at: datetime
) -> None:
    facts, limits = Facts(sent=sent, zone=zone), Limits(caps=caps)
    plan = replace(PLAN, when_capped=CapReachedAction.WAIT)
    finding = under_caps(plan, facts, limits, at)
    never = any(model_full(cap, plan, facts, at) and cap.limit == 0 for cap in caps)

    event(f"{finding.reason} {finding.until is not None}")
    assert (finding.until is not None) == (finding.reason is not None and not never)
    if finding.until is not None:
        at_once = [model_full(cap, plan, facts, finding.until) for cap in caps]
        just_before = [model_full(cap, plan, facts, finding.until - TICK) for cap in caps]
        assert at < finding.until
        assert not any(at_once)
        assert any(just_before)


def changes_of_2026() -> dict[tuple[Any, ...], tuple[str, datetime]]:
    """Noon of each day of 2026 before whose noon the clocks changed, once for all zones that do alike."""
    noons = [datetime(2026, 1, 1, 12, tzinfo=UTC) + number * DAY for number in range(365)]
    found = {}
    for name in sorted(available_timezones() - {"localtime", "Factory"}):
        offsets = [noon.astimezone(ZoneInfo(name)).utcoffset() for noon in noons]
        for number in range(1, 365):
            if offsets[number] != offsets[number - 1]:
                found[noons[number], offsets[number - 1], offsets[number]] = (name, noons[number])
    return found


def test_a_cap_of_a_calendar_day_is_right_in_every_zone_when_its_clocks_change() -> None:
    changes = changes_of_2026()
    cap = Cap(1, per=CalendarPeriod.DAY)
    for zone, noon in changes.values():
        instants = [noon + number * HOUR / 2 for number in range(-72, 73)]
        facts = Facts(sent=tuple(SentFact(Channel.EMAIL, at) for at in instants), zone=zone)
        for at in (noon - DAY, noon - 12 * HOUR, noon, noon + 12 * HOUR, noon + DAY):
            wanted = [
                then for then in instants if model_period("day", then, zone) >= model_period("day", at, zone)
            ]

            assert len(wanted) == count_used_slots(cap, facts, at), (zone, at)
    assert len(changes) > 20


@pytest.mark.parametrize("per", list(CalendarPeriod))
@pytest.mark.parametrize(
    ("zone", "at"),
    [
        pytest.param("America/St_Johns", datetime(2006, 10, 29, 3, tzinfo=UTC), id="midnight twice"),
        pytest.param("Pacific/Apia", datetime(2011, 12, 30, 12, tzinfo=UTC), id="a day that never was"),
        pytest.param("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC), id="no midnight"),
        pytest.param(
            "Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC), id="25 hours, in a long October"
        ),
    ],
)
def test_periods_follow_one_another_without_gap_or_overlap(
    per: CalendarPeriod, zone: str, at: datetime
) -> None:
    start, end = period_bounds(per, at, zone)

    assert start <= at < end
    assert (start, end) == period_bounds(per, start, zone) == period_bounds(per, end - TICK, zone)
    assert period_bounds(per, start - TICK, zone)[1] == start
    assert period_bounds(per, end, zone)[0] == end


def test_clocks_that_go_back_over_midnight_do_not_open_the_day_again() -> None:
    midnight = datetime(2006, 10, 29, 2, 30, tzinfo=UTC)
    # One minute after midnight it was 23:01 of the day before once more.
    again = midnight + 30 * timedelta(minutes=1)

    assert (midnight, midnight + 25 * HOUR) == period_bounds(CalendarPeriod.DAY, again, "America/St_Johns")


def test_what_is_read_reaches_back_to_the_beginning_of_every_period() -> None:
    for per in CalendarPeriod:
        back = required_history(Limits(caps=(Cap(1, per=per),)))
        longest = max(
            at - period_bounds(per, at, zone)[0]
            for zone in CHANGING
            for at in (datetime(2026, 1, 1, tzinfo=UTC) + n * 5 * HOUR for n in range(365 * 24 // 5))
        )
        assert longest < back, per
    assert timedelta(days=7) == required_history(Limits())
    assert timedelta(days=200) == required_history(
        Limits(caps=(Cap(1, timedelta(days=200)), Cap(1, per=CalendarPeriod.MONTH)))
    )
    assert timedelta(0) == required_history(Limits(caps=(), duplicates_within=timedelta(0)))


@pytest.mark.parametrize(
    ("cap", "expected"),
    [
        pytest.param(Cap(2, DAY, Channel.EMAIL), "2 of 2 on email in 1 day", id="a window"),
        pytest.param(
            Cap(2, per=CalendarPeriod.DAY),
            "2 of 2 on all channels today (since 00:00 Europe/Berlin)",
            id="a day",
        ),
        pytest.param(
            Cap(1, per=CalendarPeriod.WEEK, journey="win-back"),
            "2 of 1 for win-back this week (since Monday 00:00 Europe/Berlin)",
            id="a week, of a journey",
        ),
        pytest.param(
            Cap(1, per=CalendarPeriod.MONTH, channel=Channel.EMAIL, journey="win-back", topic="marketing"),
            "2 of 1 on email for win-back about marketing this month (since 1 November 00:00 Europe/Berlin)",
            id="a month, of all three",
        ),
    ],
)
def test_a_full_cap_says_what_it_is_about_and_since_when(cap: Cap, expected: str) -> None:
    facts = Facts(sent=(SentFact(Channel.EMAIL, NOW, "win-back"),) * 2, zone="Europe/Berlin")
    finding = under_caps(PLAN, facts, Limits(caps=(cap,)), NOW)
    fits = counts_until(cap, NOW, "Europe/Berlin").isoformat()

    assert finding.detail == f"cap reached: {expected}; fits at {fits} at the earliest"


@pytest.mark.parametrize(
    ("expires_in", "rule", "own", "expected"),
    [
        pytest.param(2 * DAY, None, None, (Reason.CAPPED, False), id="nothing said: withheld"),
        pytest.param(2 * DAY, None, "wait", (Reason.CAPPED, True), id="the journey waits"),
        pytest.param(2 * DAY, "wait", None, (Reason.CAPPED, True), id="the shop has it wait"),
        pytest.param(2 * DAY, "withhold", "wait", (Reason.CAPPED, False), id="the shop goes before"),
        pytest.param(DAY, None, "wait", (Reason.EXPIRED, False), id="it would fit only as it expires"),
        pytest.param(DAY + TICK, None, "wait", (Reason.CAPPED, True), id="it would fit just in time"),
    ],
)
def test_whether_a_capped_message_waits(
    expires_in: timedelta, rule: str | None, own: str | None, expected: tuple[Reason, bool]
) -> None:
    facts = Facts(sent=(SentFact(Channel.EMAIL, NOW),))
    rules = {} if rule is None else {"win-back": CapReachedAction(rule), "carts": CapReachedAction.WAIT}
    limits = Limits(caps=(Cap(1, DAY),), when_capped=rules)
    plan = replace(PLAN, expires_at=NOW + expires_in, when_capped=CapReachedAction(own) if own else None)
    finding = under_caps(plan, facts, limits, NOW)

    assert expected == (finding.reason, finding.until is not None)


def test_a_cap_of_none_is_not_waited_for() -> None:
    finding = under_caps(
        replace(PLAN, when_capped=CapReachedAction.WAIT), Facts(), Limits(caps=(Cap(0, DAY),)), NOW
    )

    assert (finding.reason, finding.until) == (Reason.CAPPED, None)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        pytest.param({"limit": -1, "window": DAY}, "limit: expected 0 messages or more, got -1", id="a debt"),
        pytest.param(
            {"limit": 1}, "expected either a window or a calendar period .*, got neither", id="neither"
        ),
        pytest.param({"limit": 1, "window": DAY, "per": "day"}, "got window 1d and per day", id="both"),
        pytest.param({"limit": 1, "window": 0 * DAY}, "window: expected more than no time", id="no window"),
        pytest.param({"limit": 1, "window": 367 * DAY}, "at most 366d, got 367d", id="over a year"),
        pytest.param({"limit": 1, "per": "year"}, "one of day, week, month, got 'year'", id="no such period"),
        pytest.param(
            {"limit": -1, "per": "year"}, "(?s)limit: expected.*per: expected", id="all faults at once"
        ),
    ],
)
def test_a_cap_that_no_shop_can_mean_is_refused(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Cap(**arguments)


def test_a_rule_that_is_none_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"when_capped: expected one of withhold, wait, got \{'carts': 'later'\}"
    ):
        Limits(when_capped={"carts": "later"})  # type: ignore[dict-item]
