"""The gate on generated facts: it never raises, agrees with a model, and never shows what was bought."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import event, given, settings
from hypothesis import strategies as st

from policy.facts import (
    ActiveKillSwitch,
    ConsentFact,
    Facts,
    Plan,
    PlannedItem,
    SentFact,
    StopKind,
    Suppression,
    WaitingFact,
)
from policy.gate import CHECKS, decide
from policy.hours.windows import QuietHours
from policy.limits import Budget, CalendarPeriod, Cap, Limits
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Verdict, Withhold
from tests.gate_model import model, model_items

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
INSTANTS = st.integers(-60, 60).map(lambda hours: NOW + timedelta(hours=hours))
TOPICS = st.sampled_from(["all", "marketing", "transactional", "offers"])
NAMES = st.none() | st.sampled_from(["", "a", "b", "c"])
ITEMS = st.builds(PlannedItem, product_id=NAMES, sku=NAMES)
LINES = st.lists(ITEMS, max_size=4).map(tuple)
HOURS = st.builds(QuietHours, opens=st.times(), closes=st.times())

JOURNEYS = st.sampled_from(["", "win-back"])
MARKETING_TOPICS = st.sampled_from(["marketing", "offers"])
VALUES = st.sampled_from([0.0, 0.0, 39.0])
ABOUT = {
    "limit": st.integers(0, 3),
    "channel": st.none() | st.sampled_from(Channel),
    "journey": st.none() | JOURNEYS,
    "topic": st.none() | MARKETING_TOPICS,
}
CAPS = st.builds(
    Cap, window=st.integers(1, 100).map(lambda hours: timedelta(hours=hours)), **ABOUT
) | st.builds(Cap, per=st.sampled_from(CalendarPeriod), **ABOUT)

HELD_OUT = st.sampled_from([0.0] * 9 + [100.0])

PLANS = st.builds(
    Plan,
    channel=st.sampled_from(Channel),
    message_class=st.sampled_from(MessageClass),
    topic=TOPICS,
    promoting=st.none() | LINES,
    expires_at=INSTANTS,
    journey=JOURNEYS,
    cart_id=st.none() | st.just("c-1"),
    holdout=HELD_OUT,
    value=VALUES,
    since=st.none() | INSTANTS,
    message_id=st.sampled_from("mop"),
    template=st.sampled_from(["", "hello"]),
    key=st.sampled_from(["", "r-1/hello", "r-2/hello"]),
)
STOPS = st.one_of(
    st.builds(ActiveKillSwitch, st.just(StopKind.ALL), st.just("all"), INSTANTS),
    st.builds(
        ActiveKillSwitch, st.just(StopKind.CHANNEL), st.sampled_from(["sms", "email", "ads"]), INSTANTS
    ),
    st.builds(ActiveKillSwitch, st.just(StopKind.JOURNEY), st.just("win-back"), INSTANTS),
    st.builds(ActiveKillSwitch, st.just(StopKind.TEMPLATE), st.just("hello"), INSTANTS),
)
FACTS = st.builds(
    Facts,
    run_state=st.sampled_from(["running"] * 5 + ["ended", "stuck"]),
    erased=st.integers(0, 9).map(lambda number: number == 0),
    has_address=st.integers(0, 9).map(bool),
    address_problem=st.sampled_from([None] * 6 + ["bounced", "complained", "odd"]),
    opted_out=st.lists(TOPICS, max_size=1).map(tuple),
    consents=st.lists(
        st.builds(
            ConsentFact,
            channel=st.sampled_from(["all", "email", "sms", "ads"]),
            topic=TOPICS,
            granted=st.sampled_from([True, True, True, False]),
        ),
        max_size=3,
    ).map(tuple),
    address_from_order=st.booleans(),
    suppressions=st.lists(
        st.builds(
            Suppression,
            item=st.sampled_from(["", "a", "b"]),
            sku=NAMES,
            until=st.none() | INSTANTS,
        ),
        max_size=2,
    ).map(tuple),
    cart=st.none() | LINES,
    out_of_stock=st.frozensets(st.sampled_from("abc"), max_size=2),
    held=st.sampled_from([()] * 5 + [("a support ticket 7",)]),
    stopped=st.lists(STOPS, max_size=1).map(tuple),
    claims_last_minute=st.integers(0, 3),
    breaker_open_until=st.none() | INSTANTS,
    sent=st.lists(
        st.builds(
            SentFact,
            channel=st.sampled_from(Channel),
            at=INSTANTS,
            journey=JOURNEYS,
            topic=MARKETING_TOPICS,
            run=st.sampled_from(["r-1", "r-2"]),
            template=st.sampled_from(["", "hello", "bye"]),
            items=st.sets(st.sampled_from("abc")).map(sorted).map(tuple),
        ),
        max_size=4,
    ).map(tuple),
    waiting=st.lists(
        st.builds(
            WaitingFact,
            channel=st.sampled_from([Channel.EMAIL, Channel.SMS, Channel.PUSH]),
            journey=JOURNEYS,
            topic=MARKETING_TOPICS,
            until=INSTANTS,
            expires_at=INSTANTS,
            since=INSTANTS,
            value=VALUES,
            message_id=st.sampled_from("nq"),
        ),
        max_size=3,
    ).map(tuple),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York", "Asia/Kathmandu"]),
)
LIMITS = st.builds(
    Limits,
    caps=st.just(Limits().caps) | st.lists(CAPS, max_size=2).map(tuple),
    priorities=st.dictionaries(JOURNEYS, st.integers(-1, 1), max_size=2),
    quiet_hours=st.just(Limits().quiet_hours) | st.dictionaries(st.sampled_from(Channel), HOURS),
    kill_switches=st.sampled_from([()] * 5 + [("all",), ("sms",), ("win-back",), ("hello",), ("",)]),
    budgets=st.just({}) | st.dictionaries(st.sampled_from(Channel), st.builds(Budget, st.integers(1, 3))),
    holdout=HELD_OUT,
    duplicates_within=st.sampled_from([timedelta(), timedelta(hours=12), timedelta(days=1)]),
)
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
