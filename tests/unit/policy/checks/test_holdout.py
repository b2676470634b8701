"""Holdouts: who is kept out of marketing, so that its worth can be measured against them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policy.checks.exclusions import is_held_out, not_held_out
from policy.experiments import assign_arm
from policy.facts import Facts, Plan
from policy.limits import Limits
from policy.verdict import Channel, MessageClass, Reason
from tests.support.builders.gate import NOW

PEOPLE = [f"person-{number}" for number in range(4_000)]

PLAN = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", None, NOW + timedelta(1), "win-back")


def test_a_person_is_held_out_from_one_release_to_the_next() -> None:
    # Those of whom sha256 of "19:holdout of the shop:person-…" is in the last tenth of its range.
    assert [person for person in PEOPLE[:40] if is_held_out(person, "the shop", 10)] == [
        *("person-8", "person-14", "person-17", "person-28", "person-31", "person-33"),
    ]


@pytest.mark.parametrize(("percent", "least", "most"), [(5, 150, 250), (0.5, 8, 36), (50, 1_900, 2_100)])
def test_so_many_of_a_hundred_are_held_out(percent: float, least: int, most: int) -> None:
    assert least < sum(is_held_out(person, "the shop", percent) for person in PEOPLE) < most


def test_all_or_nobody_can_be_held_out() -> None:
    assert {is_held_out(person, "the shop", 0) for person in PEOPLE} == {False}
    assert {is_held_out(person, "the shop", 100) for person in PEOPLE} == {True}


def test_a_larger_holdout_keeps_those_who_were_held_out_before() -> None:
    few, many = ({p for p in PEOPLE if is_held_out(p, "the shop", percent)} for percent in (5, 10))

    assert few < many


def test_holdouts_are_independent_of_each_other_and_of_experiments() -> None:
    arms = {"in": 50, "out": 50}
    splits = [
        [is_held_out(person, "the shop", 50) for person in PEOPLE],
        [is_held_out(person, "journey win-back", 50) for person in PEOPLE],
        [is_held_out(person, "journey cart-abandonment", 50) for person in PEOPLE],
        [assign_arm(person, "the shop", arms) == "out" for person in PEOPLE],
    ]
    agreeing = [
        sum(a is b for a, b in zip(one, other, strict=True))
        for number, one in enumerate(splits)
        for other in splits[number + 1 :]
    ]

    assert all(1_850 < count < 2_150 for count in agreeing), agreeing


@pytest.mark.parametrize("percent", [-1, 100.1, 150])
def test_a_share_that_is_none_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="expected arms with weights of 0 or more"):
        is_held_out("person-1", "the shop", percent)


@pytest.mark.parametrize(
    ("plan", "limits", "detail"),
    [
        pytest.param(PLAN, Limits(holdout=100), "among the 100 % held out of the shop", id="of the shop"),
        pytest.param(
            replace(PLAN, holdout=100),
            Limits(),
            "among the 100 % held out of journey win-back",
            id="of the journey",
        ),
        pytest.param(
            replace(PLAN, holdout=100),
            Limits(holdout=100),
            "among the 100 % held out of the shop",
            id="of both: the shop's word is the first",
        ),
    ],
)
def test_marketing_to_somebody_held_out_is_denied_and_says_of_what(
    plan: Plan, limits: Limits, detail: str
) -> None:
    finding = not_held_out(plan, Facts(person="person-1"), limits, NOW)

    assert (finding.reason, finding.until, finding.detail) == (Reason.HOLDOUT, None, detail)


def test_it_goes_by_the_person_and_nothing_else() -> None:
    plan = replace(PLAN, holdout=10)
    denied = [p for p in PEOPLE[:400] if not_held_out(plan, Facts(person=p), Limits(), NOW).reason]

    assert denied == [p for p in PEOPLE[:400] if is_held_out(p, "journey win-back", 10)]
    assert 20 < len(denied) < 60


def test_transactional_messages_reach_everybody() -> None:
    receipt = replace(PLAN, message_class=MessageClass.TRANSACTIONAL, topic="transactional", holdout=100)
    finding = not_held_out(receipt, Facts(person="person-1"), Limits(holdout=100), NOW)

    assert (finding.reason, finding.detail) == (None, "transactional messages reach everybody")
