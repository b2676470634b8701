"""The gate: each reason it gives by day, and what it records."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policy.facts import ConsentFact, Facts, Plan, PlannedItem, SentFact, Suppression
from policy.gate import decide
from policy.limits import Limits
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Withhold
from tests.support.builders.gate import CHAIR, DAY, HOUR, LAMP, NOW

LAST = datetime.max.replace(tzinfo=UTC)

LAMP_BLUE = PlannedItem("lamp", "lamp-blue")

DESK = PlannedItem(None, "desk-1")

SMS = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", (LAMP, CHAIR), NOW + 3 * DAY, "cart-abandonment")

EMAIL = replace(SMS, channel=Channel.EMAIL)

CART = replace(SMS, cart_id="c-1")

RECEIPT = Plan(Channel.SMS, MessageClass.TRANSACTIONAL, "transactional", None, NOW + 3 * DAY)

CONSENTING = Facts(consents=(ConsentFact("all", "all", granted=True),))


def bought(*keys: str) -> tuple[Suppression, ...]:
    return tuple(Suppression(key, None, None) for key in keys)


def facts(**changes: object) -> Facts:
    return replace(CONSENTING, **changes)  # type: ignore[arg-type]


WITHHELD = [
    pytest.param(SMS, facts(), Limits(kill_switches=("all",)), Reason.KILL_SWITCH, id="everything stopped"),
    pytest.param(SMS, facts(), Limits(kill_switches=("sms",)), Reason.KILL_SWITCH, id="channel stopped"),
    pytest.param(
        SMS, facts(), Limits(kill_switches=("cart-abandonment",)), Reason.KILL_SWITCH, id="journey stopped"
    ),
    pytest.param(SMS, facts(erased=True), Limits(), Reason.ERASED, id="erased"),
    pytest.param(RECEIPT, facts(erased=True), Limits(), Reason.ERASED, id="erased, transactional too"),
    pytest.param(
        replace(RECEIPT, promoting=(LAMP,)),
        facts(),
        Limits(),
        Reason.CONTENT,
        id="transactional that promotes",
    ),
    pytest.param(
        replace(RECEIPT, channel=Channel.ADS), facts(), Limits(), Reason.CONTENT, id="transactional ad"
    ),
    pytest.param(
        replace(SMS, topic="transactional"), facts(), Limits(), Reason.CONTENT, id="marketing in disguise"
    ),
    pytest.param(SMS, facts(has_address=False), Limits(), Reason.NO_ADDRESS, id="no address"),
    pytest.param(
        SMS, facts(address_problem="landline"), Limits(), Reason.NO_ADDRESS, id="unheard-of problem"
    ),
    pytest.param(EMAIL, facts(address_problem="bounced"), Limits(), Reason.BOUNCED, id="bounced"),
    pytest.param(EMAIL, facts(address_problem="complained"), Limits(), Reason.COMPLAINED, id="complained"),
    pytest.param(EMAIL, facts(opted_out=("all",)), Limits(), Reason.OPTED_OUT, id="opted out"),
    pytest.param(RECEIPT, facts(opted_out=("all",)), Limits(), Reason.OPTED_OUT, id="STOP stops receipts"),
    pytest.param(SMS, Facts(), Limits(), Reason.NO_CONSENT, id="nobody asked"),
    pytest.param(SMS, facts(run_state="ended"), Limits(), Reason.RUN_ENDED, id="run ended"),
    pytest.param(SMS, facts(run_state="stuck"), Limits(), Reason.RUN_ENDED, id="run that may miss events"),
    pytest.param(replace(SMS, expires_at=NOW), facts(), Limits(), Reason.EXPIRED, id="expires now"),
    pytest.param(
        SMS, facts(suppressions=bought("lamp", "chair")), Limits(), Reason.PURCHASED, id="all bought"
    ),
    pytest.param(
        CART,
        facts(cart=(LAMP,), suppressions=bought("lamp")),
        Limits(),
        Reason.PURCHASED,
        id="one bought, one no longer in the cart",
    ),
    pytest.param(CART, facts(cart=(DESK,)), Limits(), Reason.RUN_ENDED, id="none in the cart any more"),
    pytest.param(CART, facts(cart=()), Limits(), Reason.RUN_ENDED, id="cart emptied"),
    pytest.param(CART, facts(cart=None), Limits(), Reason.RUN_ENDED, id="cart not on file"),
    pytest.param(replace(SMS, promoting=()), facts(), Limits(), Reason.RUN_ENDED, id="nothing to promote"),
    pytest.param(
        replace(SMS, promoting=(PlannedItem(None, ""),)),
        facts(),
        Limits(),
        Reason.RUN_ENDED,
        id="nameless item",
    ),
    pytest.param(
        SMS, facts(out_of_stock=frozenset({"lamp", "chair"})), Limits(), Reason.OUT_OF_STOCK, id="sold out"
    ),
    pytest.param(
        SMS,
        facts(out_of_stock=frozenset({"lamp"}), suppressions=bought("chair")),
        Limits(),
        Reason.PURCHASED,
        id="one bought, one sold out",
    ),
    pytest.param(
        CART,
        facts(cart=(DESK,), out_of_stock=frozenset({"lamp"})),
        Limits(),
        Reason.RUN_ENDED,
        id="sold out, and not in the cart any more",
    ),
    pytest.param(replace(SMS, holdout=100), facts(), Limits(), Reason.HOLDOUT, id="the journey's holdout"),
    pytest.param(SMS, facts(), Limits(holdout=100), Reason.HOLDOUT, id="the shop's holdout"),
    pytest.param(SMS, facts(sent=(SentFact(Channel.SMS, NOW - HOUR),)), Limits(), Reason.CAPPED, id="capped"),
    pytest.param(
        replace(SMS, expires_at=datetime(2027, 1, 1)),  # noqa: DTZ001 - the fault under test
        facts(),
        Limits(),
        Reason.ERROR,
        id="an expiry without offset",
    ),
]


@pytest.mark.parametrize(("plan", "known", "limits", "expected"), WITHHELD)
def test_a_message_is_withheld_with_its_reason(
    plan: Plan, known: Facts, limits: Limits, expected: Reason
) -> None:
    verdict = decide(plan, known, limits, NOW)

    assert isinstance(verdict, Withhold)
    assert expected is verdict.reason
    assert verdict.detail


ALLOWED = [
    pytest.param(SMS, facts(), ("lamp", "chair"), (), id="as planned"),
    pytest.param(replace(SMS, promoting=None), facts(), (), (), id="promotes nothing"),
    pytest.param(SMS, facts(suppressions=bought("lamp")), ("chair",), ("lamp",), id="shrunk by a purchase"),
    pytest.param(CART, facts(cart=(CHAIR,)), ("chair",), ("lamp",), id="shrunk with the cart"),
    pytest.param(
        SMS, facts(out_of_stock=frozenset({"lamp"})), ("chair",), ("lamp",), id="without what is sold out"
    ),
    pytest.param(
        CART, facts(cart=(LAMP_BLUE, CHAIR)), ("lamp", "chair"), (), id="another variant in the cart"
    ),
    pytest.param(
        replace(SMS, promoting=(LAMP, LAMP_BLUE, CHAIR)),
        facts(suppressions=bought("lamp-red")),
        ("chair",),
        ("lamp",),
        id="a unit takes every variant with it",
    ),
    pytest.param(
        replace(CART, promoting=(PlannedItem("lamp", None), CHAIR)),
        facts(cart=(LAMP, CHAIR), suppressions=bought("lamp-red")),
        ("chair",),
        ("lamp",),
        id="the cart knows that the bought unit is the product",
    ),
    pytest.param(
        SMS,
        facts(suppressions=(Suppression("lamp", None, NOW),)),
        ("lamp", "chair"),
        (),
        id="suppression over",
    ),
    pytest.param(
        replace(CART, promoting=(DESK,)),
        facts(cart=(PlannedItem("desk", "desk-1"),)),
        ("desk-1",),
        (),
        id="planned by unit, in the cart as a product",
    ),
    pytest.param(RECEIPT, Facts(sent=(SentFact(Channel.SMS, NOW),) * 9), (), (), id="transactional: no caps"),
    pytest.param(
        replace(RECEIPT, holdout=100), facts(held=("a return",)), (), (), id="transactional: nothing holds it"
    ),
    pytest.param(
        replace(SMS, channel=Channel.ADS),
        facts(sent=(SentFact(Channel.SMS, NOW),) * 9, address_problem="bounced"),
        ("lamp", "chair"),
        (),
        id="ads: no caps, no bounces",
    ),
    pytest.param(EMAIL, Facts(address_from_order=True), ("lamp", "chair"), (), id="email to a customer"),
]


@pytest.mark.parametrize(("plan", "known", "items", "removed"), ALLOWED)
def test_a_message_is_allowed_for_what_is_left(
    plan: Plan, known: Facts, items: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    assert Allow(items, removed) == decide(plan, known, Limits(), NOW)


def test_a_passing_verdict_says_what_it_stood_on() -> None:
    verdict = decide(CART, facts(cart=(CHAIR,), suppressions=bought("lamp")), Limits(), NOW)

    assert {check.name: check.detail for check in verdict.checks} == {
        "kill_switch": "no kill switch",
        "erased": "the profile is on file",
        "class": "marketing",
        "address": "sms address on file",
        "opt_out": "no opt-out from all, marketing",
        "consent": "granted: all on all",
        "run": "the run is running",
        "expiry": "expires at 2026-11-24T12:00:00+00:00",
        "items": "1 of 2 item(s) left: lamp suppressed",
        "holdout": "not held out",
        "duplicate": "not said by another run in 1 day",
        "caps": "0 of 1 on sms in 1 day; 0 of 5 on all channels in 7 days",
        "priority": "nothing more important needs the slot",
        "hold": "nothing holds it",
        "quiet_hours": "12:00 in UTC (from default), open 08:00 to 21:00",
        "provider": "no budget on sms",
    }


def test_an_error_does_not_repeat_what_a_person_typed() -> None:
    verdict = decide(SMS, facts(zone="Ada's flat"), Limits(), NOW)

    assert isinstance(verdict, Defer)
    assert verdict.reason is Reason.ERROR
    assert "Ada" not in repr(verdict)


def test_the_edge_of_the_calendar_is_an_error_and_no_licence_to_send() -> None:
    verdict = decide(EMAIL, facts(sent=(SentFact(EMAIL.channel, LAST),)), Limits(), NOW)

    assert isinstance(verdict, Defer)
    assert (verdict.reason, verdict.until) == (Reason.ERROR, NOW + timedelta(minutes=1))
    assert [check.name for check in verdict.checks if not check.passed] == ["caps", "priority"]
