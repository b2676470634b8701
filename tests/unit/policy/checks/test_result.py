"""What nobody can decide on is not sent, is on record, and is asked again until it expires."""

from datetime import UTC, datetime, timedelta

import pytest

from policy import gate
from policy.checks.result import CheckResult, error_verdict
from policy.facts import ConsentFact, Facts, Plan
from policy.limits import Limits
from policy.verdict import Channel, Defer, MessageClass, Reason, Withhold
from tests.support.builders.gate import MINUTE, NOW

YES = Facts(consents=(ConsentFact("all", "all", granted=True),))

PLAN = Plan(Channel.EMAIL, MessageClass.MARKETING, "marketing", None, NOW + timedelta(seconds=90))


@pytest.mark.parametrize(
    "fault", [KeyError("ada@example.com"), ZeroDivisionError(), RuntimeError(), TypeError()]
)
def test_a_check_that_fails_in_any_way_defers_for_a_minute_and_says_nothing_personal(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def broken(*_: object) -> CheckResult:
        raise fault

    monkeypatch.setattr(gate, "CHECKS", (*gate.CHECKS, ("broken", broken)))
    verdict = gate.decide(PLAN, YES, Limits(), NOW)

    assert isinstance(verdict, Defer)
    assert (verdict.reason, verdict.until) == (Reason.ERROR, NOW + MINUTE)
    assert type(fault).__name__ in verdict.detail
    assert "ada" not in repr(verdict)


def test_it_is_deferred_no_longer_than_its_expiry_and_withheld_from_then_on() -> None:
    verdicts = [
        error_verdict(PLAN.expires_at, NOW + wait, ValueError("fax")) for wait in (MINUTE, 1.5 * MINUTE)
    ]

    assert isinstance(verdicts[0], Defer)
    assert verdicts[0].until == PLAN.expires_at
    assert isinstance(verdicts[1], Withhold)
    assert {Reason.ERROR} == {verdict.reason for verdict in verdicts if not hasattr(verdict, "items")}
    assert [[(check.name, check.passed) for check in verdict.checks] for verdict in verdicts] == [
        [("facts", False)],
        [("facts", False)],
    ]


def test_it_is_withheld_where_nobody_can_tell_whether_it_has_expired() -> None:
    naive = datetime(2027, 1, 1)  # noqa: DTZ001 - the fault under test
    verdicts = [
        error_verdict(naive, NOW, ValueError()),
        error_verdict(
            datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC) - MINUTE / 2, ValueError()
        ),
    ]

    assert [Withhold, Withhold] == [type(verdict) for verdict in verdicts]
