"""Messages that waited for the morning: each wakes at its own instant, the same at every attempt."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from policy.checks.quiet_hours import jittered_resume_at
from policy.facts import ConsentFact, Facts, Plan
from policy.gate import decide
from policy.hours.places import Place
from policy.hours.windows import QuietHours
from policy.limits import Limits
from policy.verdict import Allow, Channel, Defer, MessageClass
from tests.support.builders.gate import HOUR, MINUTE

NIGHT = datetime(2026, 11, 21, 22, tzinfo=UTC)

MORNING = datetime(2026, 11, 22, 8, tzinfo=UTC)

SECOND = timedelta(seconds=1)

SMS = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", None, MORNING + 72 * HOUR, key="run-1/offer")

SOMEBODY = Facts(person="p-1", consents=(ConsentFact("all", "all", granted=True),))


def wakings(count: int, *, until: datetime, limits: Limits | None = None) -> list[datetime]:
    return [
        jittered_resume_at(replace(SMS, key=f"run-{n}/offer"), SOMEBODY, limits or Limits(), MORNING, until)
        for n in range(count)
    ]


def test_a_thousand_messages_wake_all_over_a_quarter_of_an_hour() -> None:
    woken = wakings(1_000, until=MORNING + 13 * HOUR)
    each_minute = Counter((at - MORNING) // MINUTE for at in woken)

    assert set(range(15)) == set(each_minute)
    assert min(woken) >= MORNING
    assert max(each_minute.values()) <= 110


def test_it_wakes_at_the_same_instant_whenever_it_is_asked() -> None:
    first, later = (decide(SMS, SOMEBODY, Limits(), NIGHT + n * HOUR) for n in (0, 9))

    assert isinstance(first, Defer)
    assert isinstance(later, Defer)
    assert first.until == later.until
    assert MORNING < first.until < MORNING + 15 * MINUTE
    assert f"next 08:00 on Sunday, spread out to {first.until:%H:%M:%S}" in first.detail
    assert isinstance(decide(SMS, SOMEBODY, Limits(), first.until), Allow)


def test_person_and_key_both_count() -> None:
    def offset(person: str, key: str) -> timedelta:
        waking = jittered_resume_at(
            replace(SMS, key=key), replace(SOMEBODY, person=person), Limits(), MORNING, None
        )
        return waking - MORNING

    assert len({offset("p-1", "a/1"), offset("p-2", "a/1"), offset("p-1", "a/2"), offset("1", "a/1p-")}) == 4


def test_a_short_window_has_a_short_spread() -> None:
    woken = wakings(500, until=MORNING + 20 * MINUTE)

    assert MORNING + 4 * MINUTE < max(woken) < MORNING + 5 * MINUTE
    assert wakings(5, until=MORNING + SECOND) == [MORNING] * 5


def test_nothing_sleeps_past_its_expiry() -> None:
    short = replace(SMS, expires_at=MORNING + 4 * MINUTE)
    woken = [
        jittered_resume_at(replace(short, key=f"{n}"), SOMEBODY, Limits(), MORNING, None) for n in range(500)
    ]

    assert MORNING + 50 * SECOND < max(woken) < MORNING + MINUTE


def test_the_window_is_the_one_that_all_rules_leave() -> None:
    limits = Limits(
        quiet_hours={Channel.SMS: QuietHours(time(19, 56), time(23))}, spread={Channel.SMS: 9 * HOUR}
    )
    floridian = replace(
        SOMEBODY,
        zone="America/New_York",
        zone_source="phone",
        places=(Place("US", "US-FL", "the phone number"),),
    )
    opening = datetime(2026, 11, 22, 0, 56, tzinfo=UTC)
    verdicts = [decide(replace(SMS, key=f"{n}"), floridian, limits, NIGHT) for n in range(200)]
    woken = [verdict.until for verdict in verdicts if isinstance(verdict, Defer)]

    assert len(woken) == 200
    assert opening <= min(woken) < max(woken) < opening + MINUTE


def test_a_channel_without_a_spread_and_a_plan_without_a_key_wake_at_the_opening() -> None:
    assert wakings(3, until=MORNING + HOUR, limits=Limits(spread={})) == [MORNING] * 3
    assert jittered_resume_at(replace(SMS, key=""), SOMEBODY, Limits(), MORNING, None) == MORNING
