"""Every reason of the closed list is reached: here by the gate itself, or by the test that is named."""

import ast
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy.facts import (
    ActiveKillSwitch,
    ConsentFact,
    Facts,
    Plan,
    PlannedItem,
    SentFact,
    StopKind,
    Suppression,
)
from policy.gate import decide
from policy.limits import Limits
from policy.verdict import Channel, Defer, MessageClass, Reason, Withhold

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

NIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)

DAY = timedelta(days=1)

LAMP = PlannedItem("lamp", None)

SMS = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", (LAMP,), NOW + 3 * DAY, "win-back")

YES = Facts(consents=(ConsentFact("all", "all", granted=True),))

Case = tuple[Plan, Facts, datetime]

BY_THE_GATE: Mapping[Reason, Case] = {
    Reason.PURCHASED: (SMS, replace(YES, suppressions=(Suppression("lamp", None, None),)), NOW),
    Reason.OPTED_OUT: (SMS, replace(YES, opted_out=("all",)), NOW),
    Reason.NO_CONSENT: (SMS, Facts(), NOW),
    Reason.CAPPED: (SMS, replace(YES, sent=(SentFact(Channel.SMS, NOW),)), NOW),
    Reason.QUIET_HOURS: (SMS, YES, NIGHT),
    Reason.NO_ADDRESS: (SMS, replace(YES, has_address=False), NOW),
    Reason.BOUNCED: (SMS, replace(YES, address_problem="bounced"), NOW),
    Reason.COMPLAINED: (SMS, replace(YES, address_problem="complained"), NOW),
    Reason.EXPIRED: (replace(SMS, expires_at=NOW), YES, NOW),
    Reason.OUT_OF_STOCK: (SMS, replace(YES, out_of_stock=frozenset({"lamp"})), NOW),
    Reason.DUPLICATE: (
        replace(SMS, template="reminder"),
        replace(YES, sent=(SentFact(Channel.EMAIL, NOW, "win-back", template="reminder", items=("lamp",)),)),
        NOW,
    ),
    Reason.LOWER_PRIORITY: (SMS, replace(YES, held=("a support ticket 7",)), NOW),
    Reason.HOLDOUT: (replace(SMS, holdout=100), YES, NOW),
    Reason.RUN_ENDED: (SMS, replace(YES, run_state="ended"), NOW),
    Reason.ERASED: (SMS, replace(YES, erased=True), NOW),
    Reason.KILL_SWITCH: (SMS, replace(YES, stopped=(ActiveKillSwitch(StopKind.ALL, "all", NOW),)), NOW),
    Reason.PROVIDER_BUDGET: (SMS, replace(YES, breaker_open_until=NOW + DAY), NOW),
    Reason.CONTENT: (replace(SMS, topic="transactional"), YES, NOW),
    Reason.ERROR: (SMS, replace(YES, zone="Ada's flat"), NOW),
}

ELSEWHERE: Mapping[Reason, str] = {
    Reason.CONTENT: "test_invariant_4_a_message_that_cannot_be_written_is_given_back_with_the_reason_content",
    Reason.ERROR: "test_invariant_4_what_cannot_be_read_is_deferred_as_error_on_record_and_asked_again",
}
"""Reasons that activities give as well, and the test that reaches each."""


@pytest.mark.parametrize("reason", list(BY_THE_GATE))
def test_the_gate_reaches_the_reason(reason: Reason) -> None:
    plan, facts, at = BY_THE_GATE[reason]
    verdict = decide(plan, facts, Limits(), at)

    assert isinstance(verdict, Withhold | Defer)
    assert reason is verdict.reason


def test_every_reason_is_reached() -> None:
    assert set(Reason) == {*BY_THE_GATE, *ELSEWHERE}


def test_the_tests_that_are_named_exist() -> None:
    written = {
        node.name
        for file in Path(__file__).parents[2].rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert set(ELSEWHERE.values()) - written == set()
