"""Strategies of Hypothesis that generate the inputs of the gate: plans, facts and limits."""

from datetime import UTC, datetime, timedelta

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
from policy.hours.windows import QuietHours
from policy.limits import Budget, CalendarPeriod, Cap, Limits
from policy.verdict import Channel, MessageClass

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
    address_problem=st.sampled_from([None] * 6 + ["bounced", "complained", "bounced_reopened", "odd"]),
    soft_bounces=st.lists(INSTANTS, max_size=5).map(tuple),
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
    address_confirmed=st.integers(0, 4).map(bool),
    unverified_grant=st.booleans(),
    unverified_checkout=st.booleans(),
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
