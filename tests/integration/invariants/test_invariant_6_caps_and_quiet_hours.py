"""Invariant 6: caps hold under concurrency, quiet hours in the recipient's zone, and what waits expires."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from activities.contracts import SendMessage
from activities.gate.send_gate import NotAllowed, SendClaim, SendGate
from authoring.testing.calendar import DEFAULT_START
from policy.limits import CalendarPeriod, Cap, Limits
from policy.verdict import Channel, Defer, MessageClass, Reason, Withhold
from profiles.db.database import Database
from profiles.messaging import claims
from profiles.messaging.claims import read_locked_snapshots
from profiles.messaging.snapshot import Snapshot, SnapshotQuery
from tests.support.builders.priority_slot import SLOT, asked, one_waits
from tests.support.environments.gate import GateHarness, refused, shopper
from tests.support.environments.gate_batches import CountingGate, heard, runs_of
from tests.support.faults.unlocked_gate import unlock_gate
from tests.support.generators.hostile_sender import HostileSender
from tests.support.proof_size import size

WRITERS = 40

CAPS_ONLY = Limits(quiet_hours={})

BERLIN = ZoneInfo("Europe/Berlin")


async def together(
    gate_env: GateHarness, requests: list[SendMessage], *, writers: int = WRITERS
) -> Counter[str]:
    """Ask for all at once on as many connections; channel → how many were allowed."""
    pool = Database(gate_env.url, pool_size=writers)
    gate, turns = SendGate(pool, CAPS_ONLY), asyncio.Semaphore(writers)

    async def one(request: SendMessage) -> str | None:
        async with turns:
            answer = await gate_env.claims(request, gate=gate)
            return request.channel.value if isinstance(answer, SendClaim) else None

    try:
        answers = await asyncio.gather(*(one(request) for request in requests))
    finally:
        await pool.close()
    return Counter(answer for answer in answers if answer)


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("hostile", [False, True], ids=["among honest senders", "with a hostile sender"])
async def test_invariant_6_no_cap_is_passed_by_forty_writers(gate_env: GateHarness, hostile: bool) -> None:
    for number in range(size(3, 60)):
        run_id = await gate_env.leaves_cart(["lamp"], cart_id=f"c-{number}", **shopper(number))
        channels = [Channel.EMAIL if n % 2 else Channel.SMS for n in range(WRITERS)]
        stranger = HostileSender(gate_env.ingest, [shopper(number)], ["lamp"], carts=[f"c-{number}"])
        async with stranger if hostile else nullcontext():
            allowed = await together(
                gate_env, [gate_env.ask(run_id, f"s-{n}", "lamp", channel=c) for n, c in enumerate(channels)]
            )

        assert allowed == {"email": 2, "sms": 1}


async def test_invariant_6_fails_where_writers_do_not_take_turns(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = 8
    unlock_gate(monkeypatch, then=asyncio.Barrier(writers).wait)
    run_id = await gate_env.one_cart()
    allowed = await together(
        gate_env, [gate_env.ask(run_id, f"s-{n}", "lamp") for n in range(writers)], writers=writers
    )

    assert allowed == {"email": writers}


async def test_invariant_6_caps_of_two_profiles_add_up_when_they_merge(gate_env: GateHarness) -> None:
    gate_env.gate = SendGate(gate_env.database, CAPS_ONLY)
    mine = await gate_env.leaves_cart(["lamp"], cart_id="c-1", email="ada@example.com")
    theirs = await gate_env.leaves_cart(
        ["chair"], cart_id="c-2", email="ada@work.example", loyalty_id="card-1"
    )
    before = [
        await gate_env.allowed(gate_env.ask(run, "mail", item))
        for run, item in ((mine, "lamp"), (theirs, "chair"))
    ]
    await gate_env.takes("Identify", {}, email="ada@example.com", loyalty_id="card-1")
    answer = await gate_env.claims(gate_env.ask(mine, "mail again", "lamp"))

    assert before == [("lamp",), ("chair",)]
    assert refused(answer) == (Withhold, Reason.CAPPED)


async def test_invariant_6_a_message_given_back_gives_its_cap_back(gate_env: GateHarness) -> None:
    gate_env.gate = SendGate(gate_env.database, CAPS_ONLY)
    run_id = await gate_env.one_cart()
    first = await gate_env.claims(gate_env.ask(run_id, "a", "lamp", channel=Channel.SMS))
    assert isinstance(first, SendClaim)
    capped = await gate_env.allowed(gate_env.ask(run_id, "b", "lamp", channel=Channel.SMS))
    async with gate_env.database.transaction() as connection:
        await claims.release_claim(connection, first.message_id, first.token, "error")

    assert capped == ()
    assert await gate_env.allowed(gate_env.ask(run_id, "b", "lamp", channel=Channel.SMS)) == ("lamp",)


async def test_invariant_6_transactional_messages_are_neither_capped_nor_counted(
    gate_env: GateHarness,
) -> None:
    gate_env.gate = SendGate(gate_env.database, CAPS_ONLY)
    run_id = await gate_env.one_cart()
    answers = [
        await gate_env.claims(confirmation(gate_env, run_id, n), message_class=MessageClass.TRANSACTIONAL)
        for n in range(4)
    ]

    assert all(isinstance(answer, SendClaim) for answer in answers)
    assert await gate_env.allowed(gate_env.ask(run_id, "mail", "lamp")) == ("lamp",)
    assert await gate_env.allowed(gate_env.ask(run_id, "mail 2", "lamp")) == ("lamp",)
    assert await gate_env.allowed(gate_env.ask(run_id, "mail 3", "lamp")) == ()
    assert isinstance(
        await gate_env.claims(confirmation(gate_env, run_id, 5), message_class=MessageClass.TRANSACTIONAL),
        SendClaim,
    )


def confirmation(gate_env: GateHarness, run_id: UUID, number: int) -> SendMessage:
    return gate_env.ask(run_id, f"confirmation {number}").model_copy(update={"promoting": None})


async def test_invariant_6_a_cap_window_also_counts_what_was_stamped_ahead_of_the_runs_now(
    gate_env: GateHarness,
) -> None:
    gate_env.gate = SendGate(gate_env.database, CAPS_ONLY)
    run_id = await gate_env.one_cart()

    async def allowed(step: str, day: int) -> bool:
        request = gate_env.ask(
            run_id, step, "lamp", channel=Channel.SMS, at=DEFAULT_START + timedelta(days=day)
        )
        return bool(await gate_env.allowed(request, at=DEFAULT_START + timedelta(days=day)))

    assert await allowed("travelled", 10)
    assert not await allowed("the same day", 10)
    # Another run's clock is days behind: the message it cannot know of by time was still sent.
    assert not await allowed("days before", 3)
    assert await allowed("a day later", 11)


def night_before_summer_time() -> datetime:
    """22:00 in Berlin on the evening before the clocks go forward next."""
    day = DEFAULT_START.replace(hour=21)
    while (day + timedelta(hours=12)).astimezone(BERLIN).utcoffset() != timedelta(hours=2) or (
        day.astimezone(BERLIN).utcoffset() != timedelta(hours=1)
    ):
        day += timedelta(days=1)
    return day


async def test_invariant_6_quiet_hours_end_by_the_recipients_clock_on_the_day_it_changes(
    gate_env: GateHarness,
) -> None:
    gate_env.gate = SendGate(gate_env.database, Limits())
    run_id = await gate_env.one_cart()
    night = night_before_summer_time()
    request = gate_env.ask(run_id, "sms", "lamp", channel=Channel.SMS, at=night)
    answer = await gate_env.claims(request, at=night)

    assert isinstance(answer, NotAllowed)
    assert isinstance(answer.verdict, Defer)
    # Eight o'clock is six in UTC by then; by the offset of the evening it would have been seven.
    opening = (night + timedelta(days=1)).replace(hour=6)
    assert opening <= answer.verdict.until < opening + timedelta(minutes=15)
    again = await gate_env.claims(request, at=opening - timedelta(seconds=1))
    assert isinstance(again, NotAllowed)
    assert answer.verdict.until == getattr(again.verdict, "until", None)
    assert await gate_env.allowed(request, at=answer.verdict.until) == ("lamp",)


async def test_invariant_6_a_provider_may_not_deliver_after_the_window_has_closed(
    gate_env: GateHarness,
) -> None:
    gate_env.gate = SendGate(gate_env.database, Limits())
    run_id = await gate_env.one_cart()
    at = DEFAULT_START.astimezone(BERLIN).replace(hour=20, minute=50).astimezone(UTC)
    claim = await gate_env.claims(gate_env.ask(run_id, "sms", "lamp", channel=Channel.SMS, at=at), at=at)

    assert isinstance(claim, SendClaim)
    assert claim.valid_for == timedelta(minutes=10)


async def test_invariant_6_a_message_waits_for_the_hours_of_the_state_of_its_number(
    gate_env: GateHarness,
) -> None:
    gate_env.gate = SendGate(gate_env.database, Limits())
    ada = {"email": "ada@example.com", "phone": "+13055550123"}
    run_id = await gate_env.leaves_cart(["lamp"], cart_id="c-1", **ada)
    await gate_env.takes("Identify", {}, traits={"timezone": "America/New_York"}, **ada)
    miami = ZoneInfo("America/New_York")
    evening = DEFAULT_START.astimezone(miami).replace(hour=19, minute=50, second=0)
    late = evening.replace(hour=20, minute=30).astimezone(UTC)
    claim = await gate_env.claims(
        gate_env.ask(run_id, "early", "lamp", channel=Channel.SMS, at=evening), at=evening.astimezone(UTC)
    )
    answer = await gate_env.claims(
        gate_env.ask(run_id, "late", "lamp", channel=Channel.SMS, at=late), at=late
    )
    [decision] = await gate_env.fetch_rows("SELECT checks FROM decision WHERE step = 'late'")

    assert isinstance(claim, SendClaim)
    assert claim.valid_for == timedelta(minutes=10)
    assert isinstance(answer, NotAllowed)
    assert "20:30 in Florida (from the phone number)" in str(decision["checks"])
    assert "open 08:00 to 20:00; next 08:00 on" in str(decision["checks"])


async def test_invariant_6_a_message_whose_window_opens_after_its_expiry_is_withheld_as_expired(
    gate_env: GateHarness,
) -> None:
    gate_env.gate = SendGate(gate_env.database, Limits())
    run_id = await gate_env.one_cart()
    night = DEFAULT_START.astimezone(BERLIN).replace(hour=22).astimezone(UTC)
    request = gate_env.ask(run_id, "sms", "lamp", channel=Channel.SMS, at=night)
    short = request.model_copy(update={"expires_at": night + timedelta(hours=1)})
    late = await gate_env.claims(short, at=night)

    assert refused(late) == (Withhold, Reason.EXPIRED)


DAY = timedelta(days=1)

TOPICS = ("marketing", "offers")

JOURNEYS = ("cart-abandonment", "win-back")

OF_A_JOURNEY = Limits(caps=(Cap(2, DAY, journey="win-back"),), quiet_hours={})

OF_A_TOPIC = Limits(caps=(Cap(3, per=CalendarPeriod.WEEK, topic="offers"),), quiet_hours={})

OF_BOTH = Limits(
    caps=(
        Cap(1, per=CalendarPeriod.DAY, journey="win-back", topic="offers"),
        Cap(4, per=CalendarPeriod.MONTH),
    ),
    quiet_hours={},
)

ALL_KINDS = Limits(
    caps=(
        Cap(2, DAY, journey="win-back"),
        Cap(3, per=CalendarPeriod.WEEK, topic="offers"),
        Cap(1, per=CalendarPeriod.DAY, journey="win-back", topic="offers"),
        Cap(6, per=CalendarPeriod.MONTH, channel=Channel.EMAIL),
    ),
    quiet_hours={},
)


async def many(
    gate_env: GateHarness, run_id: UUID, limits: Limits, writers: int = WRITERS
) -> dict[tuple[str, str], int]:
    """Journeys and topics in turns, all at once, each on a connection of its own; how many were allowed."""
    pool = Database(gate_env.url, pool_size=writers)
    gate = SendGate(pool, limits)

    async def one(number: int) -> tuple[str, str] | None:
        journey, topic = JOURNEYS[number % 2], TOPICS[number // 2 % 2]
        request = gate_env.ask(run_id, f"s-{number}", "lamp").model_copy(update={"journey": journey})
        answer = await asked(gate_env, gate, request, topic)
        return (journey, topic) if isinstance(answer, SendClaim) else None

    try:
        allowed = await asyncio.gather(*(one(number) for number in range(writers)))
    finally:
        await pool.close()
    return {kind: allowed.count(kind) for kind in dict.fromkeys(filter(None, allowed))}


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_invariant_6_no_cap_of_journey_topic_or_period_is_passed_by_forty_writers(
    gate_env: GateHarness,
) -> None:
    for number in range(size(2, 60)):
        run_id = await gate_env.leaves_cart(["lamp"], cart_id=f"c-{number}", **shopper(number))
        allowed = await many(gate_env, run_id, ALL_KINDS)

        of_journey = sum(n for (journey, _), n in allowed.items() if journey == "win-back")
        about_topic = sum(n for (_, topic), n in allowed.items() if topic == "offers")
        assert of_journey <= 2
        assert about_topic <= 3
        assert allowed.get(("win-back", "offers"), 0) <= 1
        # Ten of the forty are under this one alone, so it is filled whoever comes first.
        assert sum(allowed.values()) == 6


@pytest.mark.parametrize("limits", [OF_A_JOURNEY, OF_A_TOPIC, OF_BOTH], ids=["journey", "topic", "period"])
async def test_invariant_6_every_kind_of_cap_fails_where_writers_do_not_take_turns(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch, limits: Limits
) -> None:
    writers = 8
    unlock_gate(monkeypatch, then=asyncio.Barrier(writers).wait)
    run_id = await gate_env.one_cart()

    assert {(j, t): 2 for j in JOURNEYS for t in TOPICS} == await many(gate_env, run_id, limits, writers)


async def test_invariant_6_a_message_given_back_gives_the_slot_of_its_journey_and_day_back(
    gate_env: GateHarness,
) -> None:
    gate = SendGate(gate_env.database, OF_BOTH)
    run_id = await gate_env.one_cart()
    a, b = (gate_env.ask(run_id, step, "lamp").model_copy(update={"journey": "win-back"}) for step in "ab")
    first = await asked(gate_env, gate, a, "offers")
    assert isinstance(first, SendClaim)
    capped = await asked(gate_env, gate, b, "offers")
    async with gate_env.database.transaction() as connection:
        await claims.release_claim(connection, first.message_id, first.token, "error")

    assert isinstance(capped, Withhold)
    assert capped.reason is Reason.CAPPED
    assert isinstance(await asked(gate_env, gate, b, "offers"), SendClaim)


async def test_invariant_6_a_day_begins_at_the_persons_own_midnight(gate_env: GateHarness) -> None:
    gate = SendGate(gate_env.database, Limits(caps=(Cap(1, per=CalendarPeriod.DAY),), quiet_hours={}))
    run_id = await gate_env.one_cart()
    evening = DEFAULT_START.astimezone(BERLIN).replace(hour=23, minute=59).astimezone(UTC)
    midnight = evening + timedelta(minutes=1)

    async def allowed(step: str, at: datetime) -> bool:
        return isinstance(
            await asked(gate_env, gate, gate_env.ask(run_id, step, "lamp", at=at), "marketing", at), SendClaim
        )

    assert await allowed("at noon", DEFAULT_START)
    assert not await allowed("in the evening", evening)
    assert not await allowed("late", midnight - timedelta(microseconds=1))
    assert await allowed("after midnight", midnight)
    assert not await allowed("an hour later", midnight + timedelta(hours=1))


async def test_invariant_6_a_cap_longer_than_a_month_counts_as_far_back_as_it_reaches(
    gate_env: GateHarness,
) -> None:
    gate = SendGate(gate_env.database, Limits(caps=(Cap(1, timedelta(days=90)),), quiet_hours={}))
    run_id = await gate_env.one_cart()
    answers = [
        await asked(
            gate_env,
            gate,
            gate_env.ask(run_id, f"day {day}", "lamp", at=DEFAULT_START + day * DAY),
            "marketing",
            DEFAULT_START + day * DAY,
        )
        for day in (0, 60, 90)
    ]

    assert [isinstance(answer, SendClaim) for answer in answers] == [True, False, True]


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_invariant_6_the_slot_that_comes_free_goes_to_the_more_important_of_forty(
    gate_env: GateHarness,
) -> None:
    important, until, other_run = await one_waits(gate_env)
    pool = Database(gate_env.url, pool_size=WRITERS)
    gate = SendGate(pool, SLOT)
    requests = [gate_env.ask(other_run, f"s-{number}", "chair", at=until) for number in range(WRITERS - 1)]
    requests.insert(WRITERS // 2, important)
    try:
        answers = await asyncio.gather(*(asked(gate_env, gate, one, "marketing", until) for one in requests))
    finally:
        await pool.close()
    refused = {answer.reason for answer in answers if isinstance(answer, Withhold)}

    assert [place for place, answer in enumerate(answers) if isinstance(answer, SendClaim)] == [WRITERS // 2]
    assert refused <= {Reason.LOWER_PRIORITY, Reason.CAPPED}


async def test_invariant_6_without_turns_a_lower_one_takes_the_slot_that_is_being_waited_for(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    important, until, other_run = await one_waits(gate_env)
    lower = gate_env.ask(other_run, "s", "chair", at=until)
    assert isinstance(refused := await asked(gate_env, gate_env.gate, lower, "marketing", until), Withhold)
    assert refused.reason is Reason.LOWER_PRIORITY
    unlock_gate(monkeypatch, then=asyncio.Barrier(2).wait)
    again = lower.model_copy(update={"journey": "win-back", "value": 99.0, "step": "worth more"})
    answers = await asyncio.gather(
        *(asked(gate_env, gate_env.gate, one, "marketing", until) for one in (important, again))
    )

    # Both had read that the slot was free.
    assert all(isinstance(answer, SendClaim) for answer in answers)


ONE_A_DAY = Limits(caps=(Cap(1, timedelta(days=1)),), quiet_hours={}, duplicates_within=timedelta(0))


async def cap_of_one(gate_env: GateHarness) -> tuple[CountingGate, list[Any]]:
    """Six messages to one person and one to another, all at the same moment, where one a day may be sent."""
    gate, [run, other] = CountingGate(gate_env, ONE_A_DAY), await runs_of(gate_env, 2)
    asks = [gate_env.ask(run, f"mail {n}", "lamp") for n in range(6)]
    return gate, await heard(gate_env, gate, *asks, gate_env.ask(other, "mail", "lamp"))


async def test_invariant_6_one_person_has_one_case_in_a_gate_batch(gate_env: GateHarness) -> None:
    gate, answers = await cap_of_one(gate_env)

    assert gate.together == [7]
    assert [isinstance(answer, SendClaim) for answer in answers].count(True) == 2
    assert {answer.verdict.reason for answer in answers if isinstance(answer, NotAllowed)} == {Reason.CAPPED}


async def test_invariant_6_fails_where_one_person_has_several_cases_in_a_gate_batch(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def all_of_them(connection: Any, asks: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
        return [(await read_locked_snapshots(connection, [ask]))[0] for ask in asks]

    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshots", all_of_them)
    _, answers = await cap_of_one(gate_env)

    assert [isinstance(answer, SendClaim) for answer in answers].count(True) > 2
