"""Priority: who gets the last slots of a cap when several journeys want them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from policy.checks.frequency_caps import SLOT_RESERVATION, YIELD_RETRY_DELAY, has_priority, outranks
from policy.checks.result import CheckResult
from policy.facts import Facts, Plan, SentFact, WaitingFact
from policy.limits import CalendarPeriod, Cap, CapReachedAction, Limits
from policy.verdict import Channel, MessageClass, Reason
from tests.support.builders.gate import DAY, HOUR

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

TICK = timedelta(microseconds=1)

PLAN = Plan(Channel.EMAIL, MessageClass.MARKETING, "marketing", None, NOW + 9 * DAY, journey="win-back")

CART = WaitingFact(
    Channel.EMAIL, "carts", "marketing", NOW + 2 * HOUR, NOW + 2 * DAY, NOW - HOUR, message_id="m-1"
)

ONE_A_DAY = Limits(caps=(Cap(1, DAY, Channel.EMAIL),), priorities={"carts": 10})


def found(
    *waiting: WaitingFact, plan: Plan = PLAN, limits: Limits = ONE_A_DAY, sent: tuple[SentFact, ...] = ()
) -> CheckResult:
    return has_priority(plan, Facts(waiting=waiting, sent=sent), limits, NOW)


@pytest.mark.parametrize(
    ("waiting", "yields"),
    [
        pytest.param(CART, True, id="one that waits for the slot"),
        pytest.param(replace(CART, until=NOW + DAY - TICK), True, id="due while this one would still count"),
        pytest.param(replace(CART, until=NOW + DAY), False, id="due when this one no longer counts"),
        pytest.param(replace(CART, until=NOW - SLOT_RESERVATION + TICK), True, id="due, and about to ask"),
        pytest.param(replace(CART, until=NOW - SLOT_RESERVATION), False, id="let its turn pass"),
        pytest.param(replace(CART, expires_at=NOW), False, id="expired"),
        pytest.param(replace(CART, channel=Channel.SMS), False, id="on another channel"),
        pytest.param(replace(CART, journey="post-purchase"), True, id="an equal that came first"),
    ],
)
def test_a_message_leaves_the_slot_to_one_that_goes_first(waiting: WaitingFact, yields: bool) -> None:
    assert (Reason.LOWER_PRIORITY if yields else None) == found(waiting).reason


def test_a_message_yields_only_where_those_before_it_need_all_that_is_left() -> None:
    three_a_week = replace(ONE_A_DAY, caps=(Cap(3, per=CalendarPeriod.WEEK),))
    one_sent = (SentFact(Channel.SMS, NOW),)

    assert found(CART, limits=three_a_week, sent=one_sent).reason is None
    assert found(CART, CART, limits=three_a_week, sent=one_sent).reason is Reason.LOWER_PRIORITY
    assert found(CART, CART, limits=three_a_week).reason is None


def test_a_cap_of_one_journey_is_no_concern_of_another() -> None:
    carts_only = replace(ONE_A_DAY, caps=(Cap(1, DAY, journey="carts"),))

    assert found(CART, limits=carts_only).reason is None


@pytest.mark.parametrize(
    ("plan", "yields"),
    [
        pytest.param(replace(PLAN, value=50.0), True, id="a higher value does not lift a lower priority"),
        pytest.param(replace(PLAN, journey="carts"), True, id="equal, and later"),
        pytest.param(replace(PLAN, journey="carts", value=0.01), False, id="equal priority, worth more"),
        pytest.param(replace(PLAN, journey="carts", since=NOW - 2 * HOUR), False, id="equal, and came first"),
        pytest.param(
            replace(PLAN, journey="carts", since=CART.since, message_id="m-2"), True, id="at once, by its id"
        ),
        pytest.param(replace(PLAN, message_class=MessageClass.TRANSACTIONAL), False, id="transactional"),
        pytest.param(replace(PLAN, channel=Channel.ADS), False, id="an ad"),
    ],
)
def test_priority_decides_then_value_then_who_came_first(plan: Plan, yields: bool) -> None:
    everywhere = replace(ONE_A_DAY, caps=(Cap(1, DAY),))

    assert (Reason.LOWER_PRIORITY if yields else None) == found(CART, plan=plan, limits=everywhere).reason


def test_of_messages_that_all_wait_exactly_one_yields_to_nobody() -> None:
    limits = Limits(caps=(Cap(1, DAY),), priorities={"carts": 1})
    several = [
        replace(CART, message_id=f"m-{number}", journey=journey, value=value, since=since)
        for number, (journey, value, since) in enumerate(
            (journey, value, since)
            for journey in ("carts", "win-back")
            for value in (0.0, 5.0)
            for since in (NOW - HOUR, NOW - 2 * HOUR, NOW - 2 * HOUR)
        )
    ]
    for one, other in permutations(several, 2):
        assert outranks(one, _asks(other), limits) != outranks(other, _asks(one), limits)
    first = [
        one
        for one in several
        if found(*(other for other in several if other is not one), plan=_asks(one), limits=limits).reason
        is None
    ]

    assert [(one.journey, one.value, one.since, one.message_id) for one in first] == [
        ("carts", 5.0, NOW - 2 * HOUR, "m-4")
    ]


def _asks(one: WaitingFact) -> Plan:
    return replace(PLAN, journey=one.journey, value=one.value, since=one.since, message_id=one.message_id)


def test_the_refusal_names_the_journey_and_the_slot() -> None:
    assert found(CART).detail == (
        "the slot left of 1 on email in 1 day: 1 of carts waiting go first; "
        "fits at 2026-11-22T14:05:00+00:00 at the earliest"
    )
    assert found(CART).until is None


@pytest.mark.parametrize(
    ("untils", "expected"),
    [
        pytest.param([2], 2, id="after the one before it has asked"),
        pytest.param([0], 0, id="due now"),
        pytest.param([2, 6], 6, id="after both, for one slot"),
    ],
)
def test_one_that_waits_asks_again_when_those_before_it_have_had_their_turn(
    untils: list[int], expected: int
) -> None:
    waiting = [replace(CART, until=NOW + hours * HOUR) for hours in untils]
    finding = found(*waiting, plan=replace(PLAN, when_capped=CapReachedAction.WAIT))

    assert NOW + expected * HOUR + YIELD_RETRY_DELAY == finding.until


def test_with_two_slots_one_of_those_before_it_may_still_be_withheld() -> None:
    waiting = [replace(CART, until=NOW + hours * HOUR) for hours in (6, 2)]
    two = replace(ONE_A_DAY, caps=(Cap(2, DAY),))
    finding = found(*waiting, plan=replace(PLAN, when_capped=CapReachedAction.WAIT), limits=two)

    assert finding.until == NOW + 2 * HOUR + YIELD_RETRY_DELAY
