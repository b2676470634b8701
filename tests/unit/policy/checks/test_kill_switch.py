"""Kill switches as the gate reads them: what each one names, and that what it stops is not lost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policy.facts import ActiveKillSwitch, ConsentFact, Facts, Plan, StopKind
from policy.gate import decide
from policy.limits import Limits
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Withhold
from tests.support.builders.gate import DAY, HOUR, MINUTE, NOW

YES = Facts(consents=(ConsentFact("all", "all", granted=True),))

OFFER = Plan(
    Channel.SMS, MessageClass.MARKETING, "marketing", None, NOW + 3 * DAY, "win-back", template="hello"
)

RECEIPT = replace(OFFER, message_class=MessageClass.TRANSACTIONAL, topic="transactional")

AD = replace(OFFER, channel=Channel.ADS)


def stopped(kind: StopKind, name: str, *, ago: timedelta = MINUTE) -> Facts:
    return replace(YES, stopped=(ActiveKillSwitch(kind, name, NOW - ago),))


@pytest.mark.parametrize("plan", [OFFER, RECEIPT], ids=["marketing", "transactional"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (StopKind.ALL, "all"),
        (StopKind.CHANNEL, "sms"),
        (StopKind.JOURNEY, "win-back"),
        (StopKind.TEMPLATE, "hello"),
    ],
)
def test_what_a_switch_names_waits_five_minutes(plan: Plan, kind: StopKind, name: str) -> None:
    verdict = decide(plan, stopped(kind, name), Limits(), NOW)

    assert isinstance(verdict, Defer)
    assert (verdict.reason, verdict.until) == (Reason.KILL_SWITCH, NOW + 5 * MINUTE)
    assert "stopped since 2026-11-21 11:59+00:00" in verdict.detail


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (StopKind.CHANNEL, "email"),
        (StopKind.JOURNEY, "sms"),
        (StopKind.TEMPLATE, "win-back"),
        (StopKind.TEMPLATE, "all"),
        (StopKind.CHANNEL, "hello"),
    ],
)
def test_a_switch_of_another_name_or_kind_stops_nothing(kind: StopKind, name: str) -> None:
    assert isinstance(decide(OFFER, stopped(kind, name), Limits(), NOW), Allow)


def test_a_plan_without_a_name_is_not_what_a_switch_names() -> None:
    nameless = replace(OFFER, journey="", template="")

    assert isinstance(decide(nameless, stopped(StopKind.TEMPLATE, "hello"), Limits(), NOW), Allow)


def test_an_ad_waits_for_its_channel_too() -> None:
    assert isinstance(decide(AD, stopped(StopKind.CHANNEL, "ads"), Limits(), NOW), Defer)


def test_a_stop_of_days_is_looked_at_by_the_hour() -> None:
    verdicts = [
        decide(OFFER, stopped(StopKind.ALL, "all", ago=ago), Limits(), NOW)
        for ago in (timedelta(0), HOUR, 6 * HOUR, 9 * DAY, -DAY)
    ]

    assert [verdict.until - NOW for verdict in verdicts if isinstance(verdict, Defer)] == [
        5 * MINUTE,
        5 * MINUTE,
        30 * MINUTE,
        HOUR,
        5 * MINUTE,
    ]


def test_it_waits_no_longer_than_its_expiry_and_is_withheld_then() -> None:
    soon = replace(OFFER, expires_at=NOW + MINUTE)
    before = decide(soon, stopped(StopKind.ALL, "all"), Limits(), NOW)
    then = decide(soon, stopped(StopKind.ALL, "all"), Limits(), NOW + MINUTE)

    assert isinstance(before, Defer)
    assert before.until == NOW + MINUTE
    assert isinstance(then, Withhold)
    assert then.reason is Reason.KILL_SWITCH


def test_a_name_in_the_limits_withholds_at_once_whatever_the_database_says() -> None:
    verdict = decide(OFFER, stopped(StopKind.ALL, "all"), Limits(kill_switches=("hello",)), NOW)

    assert isinstance(verdict, Withhold)
    assert verdict.reason is Reason.KILL_SWITCH


def test_a_switch_of_a_kind_that_nobody_knows_lets_nothing_through() -> None:
    odd = replace(YES, stopped=(ActiveKillSwitch("country", "de", NOW),))  # type: ignore[arg-type]
    verdict = decide(OFFER, odd, Limits(), NOW)

    assert isinstance(verdict, Defer)
    assert verdict.reason is Reason.ERROR
