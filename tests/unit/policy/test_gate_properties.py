"""The gate on generated facts: it never raises, agrees with a model, and never shows what was bought."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import event, given, settings
from hypothesis import strategies as st

from policy.facts import (
    ConsentFact,
    Facts,
    Plan,
    SentFact,
    Suppression,
)
from policy.gate import CHECKS, decide
from policy.limits import Limits
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Verdict, Withhold
from tests.support.generators.gate_inputs import FACTS, INSTANTS, LIMITS, NOW, PLANS
from tests.support.models.gate import model, model_items

# The same, and values that no caller should pass.
WILD_INSTANTS = INSTANTS | st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone.max))

WILD_ZONES = st.text(max_size=5) | st.sampled_from(
    ["Europe", "../etc", "Etc/Unknown", "right/UTC", "Asia/Tokyo"]
)


def reason_of(verdict: Verdict) -> Reason | None:
    return None if isinstance(verdict, Allow) else verdict.reason


@settings(max_examples=1_000, deadline=None)
@given(PLANS, FACTS, LIMITS)
def test_the_gate_agrees_with_a_plain_model_on_every_check(plan: Plan, facts: Facts, limits: Limits) -> None:
    expected = model(plan, facts, limits, NOW)

    verdict = decide(plan, facts, limits, NOW)

    for _, reason in expected:
        event(reason)
    assert [name for name, _ in expected] == [check.name for check in verdict.checks if not check.passed]
    assert next((reason for _, reason in expected), None) == reason_of(verdict)
    check, reason = next(iter(expected), ("", None))
    waits = {Reason.QUIET_HOURS, Reason.PROVIDER_BUDGET}
    if facts.stopped and plan.expires_at > NOW and not limits.kill_switches:
        waits.add(Reason.KILL_SWITCH)
    event(f"{type(verdict).__name__} {reason_of(verdict)}")
    holds = (check, reason) == ("hold", Reason.LOWER_PRIORITY)
    assert limits.kill_switches or isinstance(verdict, Defer) == (reason in waits or holds)


@settings(max_examples=200, deadline=None)
@given(PLANS, FACTS)
def test_what_is_shown_was_planned_and_is_neither_bought_nor_gone(plan: Plan, facts: Facts) -> None:
    willing = replace(
        facts,
        erased=False,
        has_address=True,
        address_problem=None,
        opted_out=(),
        run_state="running",
        sent=(),
        waiting=(),
        held=(),
        stopped=(),
        breaker_open_until=None,
    )
    plan = replace(
        plan,
        channel=Channel.EMAIL,
        message_class=MessageClass.MARKETING,
        topic="offers",
        expires_at=NOW + timedelta(1),
        holdout=0.0,
    )
    verdict = decide(
        plan, replace(willing, consents=(ConsentFact("all", "all", granted=True),)), Limits(), NOW
    )
    keys = [item.key for item in plan.promoting or ()]
    bought, sold_out, left = model_items(plan, facts, NOW)

    event(type(verdict).__name__)
    assert isinstance(verdict, Allow | Withhold)
    assert not {*verdict.removed} - {*keys}
    if isinstance(verdict, Allow):
        rest = iter(keys)
        assert all(key in rest for key in verdict.items), "a sub-sequence of what was planned"
        assert left == list(verdict.items)
        assert not (bought | sold_out) & {*verdict.items}
        assert not {*verdict.removed} & {*verdict.items}
        assert {*verdict.removed} | {*verdict.items} == {*keys} - {""}


@settings(max_examples=200, deadline=None)
@given(
    st.builds(lambda plan, expires_at: replace(plan, expires_at=expires_at), PLANS, WILD_INSTANTS),
    st.builds(
        lambda facts, zone, sent, until: replace(
            facts,
            zone=zone,
            sent=tuple(SentFact(Channel.SMS, moment) for moment in sent),
            suppressions=(Suppression("a", None, until),),
        ),
        FACTS,
        WILD_ZONES,
        st.lists(WILD_INSTANTS, max_size=2),
        WILD_INSTANTS,
    ),
    LIMITS,
    WILD_INSTANTS,
)
def test_the_gate_always_answers_the_same_and_never_raises(
    plan: Plan, facts: Facts, limits: Limits, at: datetime
) -> None:
    verdict, again = decide(plan, facts, limits, at), decide(plan, facts, limits, at)

    event(str(reason_of(verdict)))
    assert (verdict, verdict.checks) == (again, again.checks)
    assert [name for name, _ in CHECKS] == [check.name for check in verdict.checks]
    assert isinstance(verdict, Allow) == all(check.passed for check in verdict.checks)
    if isinstance(verdict, Allow):
        assert at.tzinfo is not None, "an instant without an offset is never good enough to send"
