"""The gate on generated facts: it never raises, agrees with a model, and never shows what was bought."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import event, given, settings
from hypothesis import strategies as st

from policy.facts import (
    Cap,
    ConsentFact,
    Facts,
    Limits,
    Plan,
    PlannedItem,
    QuietHours,
    SentFact,
    Suppression,
)
from policy.gate import CHECKS, decide
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Verdict, Withhold

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
INSTANTS = st.integers(-60, 60).map(lambda hours: NOW + timedelta(hours=hours))
TOPICS = st.sampled_from(["all", "marketing", "transactional", "offers"])
NAMES = st.none() | st.sampled_from(["", "a", "b", "c"])
ITEMS = st.builds(PlannedItem, product_id=NAMES, sku=NAMES)
LINES = st.lists(ITEMS, max_size=4).map(tuple)
HOURS = st.builds(QuietHours, opens=st.times(), closes=st.times())

PLANS = st.builds(
    Plan,
    channel=st.sampled_from(Channel),
    message_class=st.sampled_from(MessageClass),
    topic=TOPICS,
    promoting=st.none() | LINES,
    expires_at=INSTANTS,
    journey=st.sampled_from(["", "win-back"]),
    cart_id=st.none() | st.just("c-1"),
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
    sent=st.lists(st.builds(SentFact, channel=st.sampled_from(Channel), at=INSTANTS), max_size=4).map(tuple),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York", "Asia/Kathmandu"]),
)
LIMITS = st.builds(
    Limits,
    caps=st.just(Limits().caps)
    | st.lists(
        st.builds(
            Cap,
            limit=st.integers(0, 3),
            window=st.integers(0, 100).map(lambda hours: timedelta(hours=hours)),
            channel=st.none() | st.sampled_from(Channel),
        ),
        max_size=2,
    ).map(tuple),
    quiet_hours=st.just(Limits().quiet_hours) | st.dictionaries(st.sampled_from(Channel), HOURS),
    kill_switches=st.sampled_from([()] * 5 + [("all",), ("sms",), ("win-back",), ("",)]),
)
# The same, and values that no caller should pass.
WILD_INSTANTS = INSTANTS | st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone.max))
WILD_ZONES = st.text(max_size=5) | st.sampled_from(
    ["Europe", "../etc", "Etc/Unknown", "right/UTC", "Asia/Tokyo"]
)


def model(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> list[tuple[str, Reason]]:
    """The rules once more, as plainly as they can be said: every check that fails, in order, and why."""
    marketing, sms, ads = plan.message_class == "marketing", plan.channel == "sms", plan.channel == "ads"
    topics = {"all", "marketing", plan.topic} if marketing else {"transactional"}
    words = [c.granted for c in facts.consents if c.channel in {"all", plan.channel} and c.topic in topics]
    bad_class = plan.topic == "transactional" if marketing else bool(plan.promoting) or ads
    trouble = {"bounced": Reason.BOUNCED, "complained": Reason.COMPLAINED}
    problem = not ads and facts.address_problem and trouble.get(facts.address_problem, Reason.NO_ADDRESS)
    problem = problem if facts.has_address else Reason.NO_ADDRESS
    switches = {"all", plan.channel, plan.journey or "all"}
    refused = not all(words) or topics & set(facts.opted_out) or (sms and "all" in facts.opted_out)
    welcome = (words and all(words)) or (not words and plan.channel == "email" and facts.address_from_order)
    bought, left = model_items(plan, facts, at)
    full = marketing and not ads and any(model_full(cap, plan, facts, at) for cap in limits.caps)
    opening = None if ads else model_opening(limits.quiet_hours.get(plan.channel), facts.zone, at)
    late = opening is not None and opening >= plan.expires_at
    rules: list[tuple[str, Any, Any]] = [
        ("kill_switch", Reason.KILL_SWITCH, switches & {*limits.kill_switches}),
        ("erased", Reason.ERASED, facts.erased),
        ("class", Reason.CONTENT, bad_class),
        ("address", problem, problem),
        ("opt_out", Reason.OPTED_OUT, refused),
        ("consent", Reason.NO_CONSENT, marketing and not welcome),
        ("run", Reason.RUN_ENDED, facts.run_state != "running"),
        ("expiry", Reason.EXPIRED, at >= plan.expires_at),
        ("items", Reason.PURCHASED if bought else Reason.RUN_ENDED, plan.promoting is not None and not left),
        ("caps", Reason.CAPPED, full),
        ("quiet_hours", Reason.EXPIRED if late else Reason.QUIET_HOURS, opening),
    ]
    return [(check, reason) for check, reason, broken in rules if broken]


def model_items(plan: Plan, facts: Facts, at: datetime) -> tuple[set[str], list[str]]:
    """Planned keys that were bought, and planned keys that are left."""
    gone = [s for s in facts.suppressions if s.until is None or at < s.until]
    names = ({s.item for s in gone} | {s.sku for s in gone if s.sku}) - {""}
    products = {s.item for s in gone} - {""}
    seen = (plan.promoting or ()) + (facts.cart or ())
    bought = {i.key for i in seen if i.key and (i.product_id in products or i.sku in names)}
    planned = plan.promoting or ()
    units = {line.sku for line in facts.cart or () if line.sku}
    keys = {line.key for line in facts.cart or () if line.key}
    there = {i.key for i in planned if plan.cart_id is None or i.key in keys or i.sku in units}
    return bought & {i.key for i in planned}, [
        i.key for i in planned if i.key and i.key in there and i.key not in bought
    ]


def model_full(cap: Cap, plan: Plan, facts: Facts, at: datetime) -> bool:
    """The cap concerns the plan and has no room."""
    if cap.channel not in {None, plan.channel}:
        return False
    counting = [s for s in facts.sent if s.channel != "ads" and s.channel == (cap.channel or s.channel)]
    return len([s for s in counting if at - s.at < cap.window]) >= cap.limit


def model_opening(hours: QuietHours | None, zone: str, at: datetime) -> datetime | None:
    """The next opening, where it is closed; good for zones whose clocks do not change these days."""
    if hours is None or hours.opens == hours.closes:
        return None
    here = at.astimezone(ZoneInfo(zone))
    midnight = datetime.combine(here.date(), time(), here.tzinfo)
    days = [midnight + timedelta(days=n) for n in (-1, 0, 1)]
    length = (
        datetime.combine(here.date(), hours.closes) - datetime.combine(here.date(), hours.opens)
    ) % timedelta(days=1)
    openings = [datetime.combine(day.date(), hours.opens, here.tzinfo) for day in days]
    if any(opening <= here < opening + length for opening in openings):
        return None
    return min(opening for opening in openings if opening > here)


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
    assert isinstance(verdict, Defer) == (reason_of(verdict) is Reason.QUIET_HOURS)


@settings(max_examples=500, deadline=None)
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
    )
    plan = replace(
        plan,
        channel=Channel.EMAIL,
        message_class=MessageClass.MARKETING,
        topic="offers",
        expires_at=NOW + timedelta(1),
    )
    verdict = decide(
        plan, replace(willing, consents=(ConsentFact("all", "all", granted=True),)), Limits(), NOW
    )
    keys = [item.key for item in plan.promoting or ()]
    bought, left = model_items(plan, facts, NOW)

    event(type(verdict).__name__)
    assert isinstance(verdict, Allow | Withhold)
    assert not {*verdict.removed} - {*keys}
    if isinstance(verdict, Allow):
        rest = iter(keys)
        assert all(key in rest for key in verdict.items), "a sub-sequence of what was planned"
        assert left == list(verdict.items)
        assert not bought & {*verdict.items}
        assert not {*verdict.removed} & {*verdict.items}
        assert {*verdict.removed} | {*verdict.items} == {*keys} - {""}


@settings(max_examples=500, deadline=None)
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
