"""Holds: marketing waits while something more important is going on with the person."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from policy.checks.exclusions import HOLD_RECHECK_INTERVAL, no_open_hold
from policy.facts import ConsentFact, Facts, Plan, SentFact
from policy.gate import decide
from policy.limits import Limits
from policy.verdict import Channel, Defer, MessageClass, Reason, Withhold
from tests.support.builders.gate import DAY, HOUR, NOW

PLAN = Plan(Channel.EMAIL, MessageClass.MARKETING, "marketing", None, NOW + 10 * DAY)

YES = (ConsentFact("all", "all", granted=True),)

HELD = Facts(held=("a support ticket 7", "a return o-1"), address_from_order=True)


def test_it_says_all_that_is_open_and_looks_again_within_a_day() -> None:
    finding = no_open_hold(PLAN, HELD, Limits(), NOW)

    assert (finding.reason, finding.until) == (Reason.LOWER_PRIORITY, NOW + HOLD_RECHECK_INTERVAL)
    assert finding.detail == "held while a support ticket 7 and a return o-1 is open"
    assert timedelta() < HOLD_RECHECK_INTERVAL <= DAY


@pytest.mark.parametrize(
    ("expires_in", "until"),
    [
        pytest.param(3 * DAY, NOW + DAY, id="long before it expires: in a day"),
        pytest.param(5 * HOUR, NOW + 5 * HOUR, id="soon to expire: when it does"),
        pytest.param(-HOUR, NOW, id="expired already: now, never in the past"),
    ],
)
def test_it_waits_no_longer_than_the_message_lives(expires_in: timedelta, until: datetime) -> None:
    assert no_open_hold(replace(PLAN, expires_at=NOW + expires_in), HELD, Limits(), NOW).until == until


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(HELD, (Defer, Reason.LOWER_PRIORITY), id="nothing else: it waits"),
        pytest.param(
            replace(HELD, sent=(SentFact(Channel.EMAIL, NOW - HOUR),) * 2),
            (Withhold, Reason.CAPPED),
            id="over a cap: not at all",
        ),
    ],
)
def test_a_denial_outranks_the_wait(facts: Facts, expected: tuple[type, Reason]) -> None:
    verdict = decide(PLAN, facts, Limits(), NOW)

    assert isinstance(verdict, Withhold | Defer)
    assert (type(verdict), verdict.reason) == expected


def test_a_held_message_that_would_fall_into_the_night_is_held_first() -> None:
    night = NOW + 10 * HOUR
    plan = replace(PLAN, channel=Channel.SMS, message_class=MessageClass.MARKETING)
    consenting = replace(HELD, address_from_order=False, consents=YES)

    verdict = decide(plan, consenting, Limits(), night)

    assert isinstance(verdict, Defer)
    assert (verdict.reason, verdict.until) == (Reason.LOWER_PRIORITY, night + HOLD_RECHECK_INTERVAL)
