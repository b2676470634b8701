"""What a provider can take: a minute's budget, and a rest after failures."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policy.checks.operations import provider_available
from policy.facts import ConsentFact, Facts, Plan
from policy.gate import decide
from policy.limits import Budget, Limits
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason
from tests.support.builders.gate import MINUTE, NOW, TEN

YES = Facts(consents=(ConsentFact("all", "all", granted=True),), person="ada")

PLAN = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", None, NOW + timedelta(days=1))


def test_a_budget_that_is_spent_defers_for_one_to_two_minutes() -> None:
    verdict = decide(PLAN, replace(YES, claims_last_minute=10), TEN, NOW)

    assert isinstance(verdict, Defer)
    assert verdict.reason is Reason.PROVIDER_BUDGET
    assert NOW + MINUTE <= verdict.until < NOW + 2 * MINUTE
    assert verdict.detail == "10 of 10 on sms in the last minute"


def test_people_who_wait_come_back_spread_over_a_minute() -> None:
    untils = set()
    for person in range(100):
        verdict = decide(PLAN, replace(YES, claims_last_minute=10, person=f"p-{person}"), TEN, NOW)
        assert isinstance(verdict, Defer)
        untils.add(verdict.until)

    assert len(untils) > 30


@pytest.mark.parametrize(
    ("plan", "counted"),
    [(PLAN, 9), (replace(PLAN, channel=Channel.EMAIL), None), (replace(PLAN, channel=Channel.ADS), 99)],
    ids=["room is left", "another channel", "an ad"],
)
def test_nothing_waits_where_there_is_room_or_no_budget(plan: Plan, counted: int | None) -> None:
    limits = Limits(budgets={Channel.SMS: Budget(10), Channel.ADS: Budget(1)})

    assert isinstance(decide(plan, replace(YES, claims_last_minute=counted), limits, NOW), Allow)


def test_a_budget_without_a_count_lets_nothing_through() -> None:
    verdict = decide(PLAN, YES, TEN, NOW)

    assert isinstance(verdict, Defer)
    assert verdict.reason is Reason.ERROR
    with pytest.raises(ValueError, match="expected the claims of the last minute on sms, got none: count"):
        provider_available(PLAN, YES, TEN, NOW)


def test_a_provider_that_rests_defers_until_it_is_asked_again() -> None:
    until = NOW + 7 * MINUTE
    verdict = decide(PLAN, replace(YES, breaker_open_until=until), Limits(), NOW)
    over = decide(PLAN, replace(YES, breaker_open_until=until), Limits(), until)

    assert isinstance(verdict, Defer)
    assert (verdict.reason, verdict.until) == (Reason.PROVIDER_BUDGET, until)
    assert isinstance(over, Allow)


def test_neither_waits_beyond_the_expiry() -> None:
    soon = replace(PLAN, expires_at=NOW + timedelta(seconds=5))
    verdicts = [
        decide(soon, replace(YES, breaker_open_until=NOW + MINUTE), Limits(), NOW),
        decide(soon, replace(YES, claims_last_minute=10), TEN, NOW),
    ]

    assert [soon.expires_at] * 2 == [one.until for one in verdicts if isinstance(one, Defer)]
