"""Invariant 6: caps of journeys, topics and calendar periods hold, and the last slot goes to who is first."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from activities.contracts import SendMessage
from activities.gate.send_gate import GateRequest, NotAllowed, SendClaim, SendGate
from policy.limits import CalendarPeriod, Cap, CapReachedAction, Limits
from policy.verdict import Channel, Defer, MessageClass, Reason, Verdict, Withhold
from profiles.db.database import Database
from profiles.messaging import claims
from profiles.messaging import claims as settling
from profiles.messaging.snapshot import Snapshot, SnapshotQuery
from tests.proofs import size
from tests.shop import Shop, shopper
from tests.waypost import NOON

WRITERS = 40
BERLIN = ZoneInfo("Europe/Berlin")
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


async def asked(
    shop: Shop, gate: SendGate, request: SendMessage, topic: str, at: datetime = NOON
) -> SendClaim | Verdict:
    """What the gate says of marketing about a topic."""
    answer = await gate.decide(GateRequest(request, MessageClass.MARKETING, topic, at))
    assert isinstance(answer, SendClaim | NotAllowed)
    return answer if isinstance(answer, SendClaim) else answer.verdict


async def many(
    shop: Shop, run_id: UUID, limits: Limits, writers: int = WRITERS
) -> dict[tuple[str, str], int]:
    """Journeys and topics in turns, all at once, each on a connection of its own; how many were allowed."""
    pool = Database(shop.url, pool_size=writers)
    gate = SendGate(pool, limits)

    async def one(number: int) -> tuple[str, str] | None:
        journey, topic = JOURNEYS[number % 2], TOPICS[number // 2 % 2]
        request = shop.ask(run_id, f"s-{number}", "lamp").model_copy(update={"journey": journey})
        answer = await asked(shop, gate, request, topic)
        return (journey, topic) if isinstance(answer, SendClaim) else None

    try:
        allowed = await asyncio.gather(*(one(number) for number in range(writers)))
    finally:
        await pool.close()
    return {kind: allowed.count(kind) for kind in dict.fromkeys(filter(None, allowed))}


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_invariant_6_no_cap_of_journey_topic_or_period_is_passed_by_forty_writers(shop: Shop) -> None:
    for number in range(size(2, 60)):
        run_id = await shop.leaves_cart(["lamp"], cart_id=f"c-{number}", **shopper(number))
        allowed = await many(shop, run_id, ALL_KINDS)

        of_journey = sum(n for (journey, _), n in allowed.items() if journey == "win-back")
        about_topic = sum(n for (_, topic), n in allowed.items() if topic == "offers")
        assert of_journey <= 2
        assert about_topic <= 3
        assert allowed.get(("win-back", "offers"), 0) <= 1
        # Ten of the forty are under this one alone, so it is filled whoever comes first.
        assert sum(allowed.values()) == 6


@pytest.mark.parametrize("limits", [OF_A_JOURNEY, OF_A_TOPIC, OF_BOTH], ids=["journey", "topic", "period"])
async def test_invariant_6_every_kind_of_cap_fails_where_writers_do_not_take_turns(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, limits: Limits
) -> None:
    writers = 8
    monkeypatch.setattr("activities.gate.send_gate.lock_profile_sql", lambda ask: "")
    monkeypatch.setattr(
        "activities.gate.send_gate.read_locked_snapshot", without_lock(asyncio.Barrier(writers))
    )
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))

    assert {(j, t): 2 for j in JOURNEYS for t in TOPICS} == await many(shop, run_id, limits, writers)


def without_lock(all_have_read: asyncio.Barrier) -> Any:
    """The naive gate: it reads, and decides on what it has read, whoever else does."""

    async def read(connection: Any, ask: SnapshotQuery) -> Snapshot | None:
        profile_id = await connection.fetchval("SELECT profile_id FROM run WHERE run_id = $1", ask.run_id)
        snapshot = await claims.read_snapshot(connection, profile_id, ask)
        await all_have_read.wait()
        return snapshot

    return read


async def test_invariant_6_a_message_given_back_gives_the_slot_of_its_journey_and_day_back(
    shop: Shop,
) -> None:
    gate = SendGate(shop.database, OF_BOTH)
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    a, b = (shop.ask(run_id, step, "lamp").model_copy(update={"journey": "win-back"}) for step in "ab")
    first = await asked(shop, gate, a, "offers")
    assert isinstance(first, SendClaim)
    capped = await asked(shop, gate, b, "offers")
    async with shop.database.transaction() as connection:
        await settling.release_claim(connection, first.message_id, first.token, "error")

    assert isinstance(capped, Withhold)
    assert capped.reason is Reason.CAPPED
    assert isinstance(await asked(shop, gate, b, "offers"), SendClaim)


async def test_invariant_6_a_day_begins_at_the_persons_own_midnight(shop: Shop) -> None:
    gate = SendGate(shop.database, Limits(caps=(Cap(1, per=CalendarPeriod.DAY),), quiet_hours={}))
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    evening = NOON.astimezone(BERLIN).replace(hour=23, minute=59).astimezone(UTC)
    midnight = evening + timedelta(minutes=1)

    async def allowed(step: str, at: datetime) -> bool:
        return isinstance(
            await asked(shop, gate, shop.ask(run_id, step, "lamp", at=at), "marketing", at), SendClaim
        )

    assert await allowed("at noon", NOON)
    assert not await allowed("in the evening", evening)
    assert not await allowed("late", midnight - timedelta(microseconds=1))
    assert await allowed("after midnight", midnight)
    assert not await allowed("an hour later", midnight + timedelta(hours=1))


async def test_invariant_6_a_cap_longer_than_a_month_counts_as_far_back_as_it_reaches(shop: Shop) -> None:
    gate = SendGate(shop.database, Limits(caps=(Cap(1, timedelta(days=90)),), quiet_hours={}))
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    answers = [
        await asked(
            shop,
            gate,
            shop.ask(run_id, f"day {day}", "lamp", at=NOON + day * DAY),
            "marketing",
            NOON + day * DAY,
        )
        for day in (0, 60, 90)
    ]

    assert [isinstance(answer, SendClaim) for answer in answers] == [True, False, True]


# Priority


SLOT = Limits(caps=(Cap(1, DAY, Channel.EMAIL),), quiet_hours={}, priorities={"win-back": 10})


async def one_waits(shop: Shop) -> tuple[SendMessage, datetime, UUID]:
    """Somebody got a mail; another, more important one waits until it no longer counts. And a second cart."""
    mine = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    theirs = await shop.leaves_cart(["chair"], cart_id="c-2", **shopper(1))
    shop.gate = SendGate(shop.database, SLOT)
    assert await shop.allowed(shop.ask(theirs, "first", "chair")) == ("chair",)
    request = shop.ask(mine, "important", "lamp", at=NOON + DAY).model_copy(
        update={"journey": "win-back", "when_capped": "wait"}
    )
    verdict = await asked(shop, shop.gate, request, "marketing", NOON + DAY / 2)
    assert isinstance(verdict, Defer)
    assert (verdict.reason, verdict.until) == (Reason.CAPPED, NOON + DAY)
    return request, verdict.until, theirs


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_invariant_6_the_slot_that_comes_free_goes_to_the_more_important_of_forty(shop: Shop) -> None:
    important, until, other_run = await one_waits(shop)
    pool = Database(shop.url, pool_size=WRITERS)
    gate = SendGate(pool, SLOT)
    requests = [shop.ask(other_run, f"s-{number}", "chair", at=until) for number in range(WRITERS - 1)]
    requests.insert(WRITERS // 2, important)
    try:
        answers = await asyncio.gather(*(asked(shop, gate, one, "marketing", until) for one in requests))
    finally:
        await pool.close()
    refused = {answer.reason for answer in answers if isinstance(answer, Withhold)}

    assert [place for place, answer in enumerate(answers) if isinstance(answer, SendClaim)] == [WRITERS // 2]
    assert refused <= {Reason.LOWER_PRIORITY, Reason.CAPPED}


async def test_invariant_6_without_turns_a_lower_one_takes_the_slot_that_is_being_waited_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    important, until, other_run = await one_waits(shop)
    lower = shop.ask(other_run, "s", "chair", at=until)
    assert isinstance(refused := await asked(shop, shop.gate, lower, "marketing", until), Withhold)
    assert refused.reason is Reason.LOWER_PRIORITY
    monkeypatch.setattr("activities.gate.send_gate.lock_profile_sql", lambda ask: "")
    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshot", without_lock(asyncio.Barrier(2)))
    again = lower.model_copy(update={"journey": "win-back", "value": 99.0, "step": "worth more"})
    answers = await asyncio.gather(
        *(asked(shop, shop.gate, one, "marketing", until) for one in (important, again))
    )

    # Both had read that the slot was free.
    assert all(isinstance(answer, SendClaim) for answer in answers)


@pytest.mark.parametrize("ends", ["expires", "sent", "withheld", "run ended", "lets its turn pass"])
async def test_a_slot_is_kept_no_longer_than_somebody_waits_for_it(shop: Shop, ends: str) -> None:
    important, until, other_run = await one_waits(shop)
    at = until
    match ends:
        case "expires":
            await shop.fetch_rows("UPDATE message SET expires_at = $1 WHERE step = 'important'", at)
        case "sent":
            assert isinstance(await asked(shop, shop.gate, important, "marketing", until), SendClaim)
            at = until + DAY
        case "withheld":
            await shop.takes("Order Completed", shop.order("lamp", order_id="o-1"), **shopper(1))
            assert isinstance(await asked(shop, shop.gate, important, "marketing", until), Withhold)
        case "run ended":
            await shop.fetch_rows("UPDATE run SET state = 'ended' WHERE run_id = $1", UUID(important.run_id))
        case _:
            at = until + timedelta(hours=1)
    before = await asked(shop, shop.gate, shop.ask(other_run, "a", "chair", at=at), "marketing", at)

    assert isinstance(before, SendClaim)


async def test_one_that_yields_and_waits_gets_the_next_slot(shop: Shop) -> None:
    important, until, other_run = await one_waits(shop)
    shop.gate = SendGate(
        shop.database, Limits(SLOT.caps, {}, priorities=SLOT.priorities, when_capped=WAITING)
    )
    lower = shop.ask(other_run, "patient", "chair", at=until).model_copy(
        update={"expires_at": until + 2 * DAY}
    )
    first = await asked(shop, shop.gate, lower, "marketing", until)
    assert isinstance(await asked(shop, shop.gate, important, "marketing", until), SendClaim)
    assert isinstance(first, Defer)
    second = await asked(shop, shop.gate, lower, "marketing", first.until)

    assert (first.reason, first.until) == (Reason.LOWER_PRIORITY, until + timedelta(minutes=5))
    assert isinstance(second, Defer)
    assert (second.reason, second.until) == (Reason.CAPPED, until + DAY)
    assert isinstance(await asked(shop, shop.gate, lower, "marketing", second.until), SendClaim)


WAITING = {"cart-abandonment": CapReachedAction.WAIT}


async def test_what_waits_for_one_of_two_keeps_its_place_when_they_become_one(shop: Shop) -> None:
    _, at, _ = await one_waits(shop)
    stranger = await shop.leaves_cart(["desk"], cart_id="c-3", email="ada@work.example", loyalty_id="card-1")
    await shop.takes("Identify", {}, **shopper(1), loyalty_id="card-1")
    verdict = await asked(shop, shop.gate, shop.ask(stranger, "mail", "desk", at=at), "marketing", at)

    assert isinstance(verdict, Withhold)
    assert verdict.reason is Reason.LOWER_PRIORITY
    assert verdict.detail.startswith("the slot left of 1 on email in 1 day: 1 of win-back waiting go first")


async def test_who_asks_again_while_waiting_keeps_its_place(shop: Shop) -> None:
    important, until, run_id = await one_waits(shop)
    equal = shop.ask(run_id, "equal", "chair", at=until).model_copy(
        update={"journey": "win-back", "when_capped": "wait"}
    )
    assert isinstance(await asked(shop, shop.gate, equal, "marketing", until - timedelta(hours=2)), Defer)
    assert isinstance(await asked(shop, shop.gate, important, "marketing", until - timedelta(hours=1)), Defer)
    second = await asked(shop, shop.gate, equal, "marketing", until)

    assert isinstance(second, Defer)
    assert second.reason is Reason.LOWER_PRIORITY
    assert isinstance(await asked(shop, shop.gate, important, "marketing", until), SendClaim)
