"""What another run has just said to a person is not said again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policy.checks.relevance import is_not_duplicate
from policy.facts import Facts, Plan, PlannedItem, SentFact, Suppression
from policy.gate import decide
from policy.limits import Limits
from policy.verdict import Allow, Channel, MessageClass, Reason, Withhold
from tests.support.builders.gate import DAY, LAMP, NOW

SECOND = timedelta(seconds=1)

CHAIR = PlannedItem(None, "chair-1")

PLAN = Plan(
    Channel.EMAIL,
    MessageClass.MARKETING,
    "marketing",
    (LAMP, CHAIR),
    NOW + 3 * DAY,
    "cart-abandonment",
    template="cart_reminder",
    key="run-2/reminder",
)

TOLD = SentFact(
    Channel.SMS,
    NOW - 2 * timedelta(hours=1),
    "cart-abandonment",
    run="run-1",
    template="cart_reminder",
    items=("chair-1", "lamp", "desk"),
)


def is_new(plan: Plan = PLAN, told: SentFact = TOLD, limits: Limits = Limits(), **more: object) -> bool:  # noqa: B008
    finding = is_not_duplicate(plan, Facts(sent=(told,), **more), limits, NOW)  # type: ignore[arg-type]
    return finding.reason is None


def test_the_same_about_no_other_items_is_a_repetition_on_whatever_channel() -> None:
    finding = is_not_duplicate(PLAN, Facts(sent=(TOLD,)), Limits(), NOW)

    assert finding.reason is Reason.DUPLICATE
    assert finding.until is None
    assert finding.detail == (
        "cart_reminder about the same items went by sms from another run of cart-abandonment, "
        "on 2026-11-21T10:00:00+00:00"
    )
    verdict = decide(PLAN, Facts(sent=(TOLD,), address_from_order=True), Limits(), NOW)
    assert isinstance(verdict, Withhold)
    assert verdict.reason is Reason.DUPLICATE


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(replace(TOLD, run="run-2"), id="the same run's story decides that"),
        pytest.param(replace(TOLD, template="back_in_stock"), id="another template"),
        pytest.param(replace(TOLD, items=("lamp",)), id="an item is new"),
        pytest.param(replace(TOLD, items=()), id="it showed nothing"),
        pytest.param(replace(TOLD, template=""), id="of a version that told no template"),
        pytest.param(replace(TOLD, at=NOW - DAY), id="exactly a day ago"),
    ],
)
def test_what_is_not_the_same_is_new(told: SentFact) -> None:
    assert is_new(told=told)


def test_a_run_whose_name_begins_like_anothers_is_another_run() -> None:
    assert not is_new(plan=replace(PLAN, key="run-12/reminder"))


def test_up_to_the_last_second_of_the_window_it_is_a_repetition_and_from_a_clock_ahead_as_well() -> None:
    assert not is_new(told=replace(TOLD, at=NOW - DAY + SECOND))
    assert not is_new(told=replace(TOLD, at=NOW + SECOND))


def test_what_promotes_nothing_and_what_is_transactional_is_not_looked_at() -> None:
    for plan in (
        replace(PLAN, promoting=None),
        replace(PLAN, promoting=()),
        replace(PLAN, message_class=MessageClass.TRANSACTIONAL),
    ):
        finding = is_not_duplicate(plan, Facts(sent=(TOLD,)), Limits(), NOW)
        assert (finding.reason, finding.detail) == (None, "nothing to compare with")


def test_the_shop_sets_how_long_and_zero_is_never() -> None:
    assert is_new(limits=Limits(duplicates_within=timedelta()))
    assert is_new(limits=Limits(duplicates_within=timedelta(hours=2)))
    assert not is_new(limits=Limits(duplicates_within=timedelta(hours=2, seconds=1)))


@pytest.mark.parametrize("wrong", [-SECOND, timedelta(days=367)])
def test_a_window_that_no_shop_can_mean_is_refused(wrong: timedelta) -> None:
    with pytest.raises(ValueError, match=r"duplicates_within: expected from 0 to 366d, got"):
        Limits(duplicates_within=wrong)


def test_only_the_items_that_are_left_count() -> None:
    about_the_chair = replace(TOLD, items=("chair-1",))
    bought = (Suppression("lamp", None, None),)

    assert is_new(told=about_the_chair)
    assert not is_new(told=about_the_chair, suppressions=bought)


def test_with_nothing_of_the_kind_it_is_new() -> None:
    finding = is_not_duplicate(PLAN, Facts(), Limits(), NOW)

    assert (finding.reason, finding.detail) == (None, "not said by another run in 1 day")
    assert isinstance(decide(PLAN, Facts(address_from_order=True), Limits(), NOW), Allow)


def test_with_nothing_left_there_is_nothing_to_say_again() -> None:
    bought = (Suppression("lamp", None, None), Suppression("chair-1", "chair-1", None))

    assert is_new(suppressions=bought)
    verdict = decide(PLAN, Facts(sent=(TOLD,), suppressions=bought, address_from_order=True), Limits(), NOW)
    assert isinstance(verdict, Withhold)
    assert [check.name for check in verdict.checks if not check.passed] == ["items"]
