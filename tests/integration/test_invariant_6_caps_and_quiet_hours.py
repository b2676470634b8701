"""Invariant 6: caps hold under concurrency, quiet hours in the recipient's zone, and what waits expires."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from activities.contracts import SendMessage
from activities.gate.send_gate import NotAllowed, SendClaim, SendGate
from policy.limits import Limits
from policy.verdict import Channel, Defer, MessageClass, Reason, Withhold
from profiles.db.database import Database
from profiles.messaging import claims
from profiles.messaging import claims as settling
from profiles.messaging.snapshot import Snapshot, SnapshotQuery
from tests.proofs import size
from tests.shop import Shop, shopper
from tests.waypost import NOON

WRITERS = 40
CAPS_ONLY = Limits(quiet_hours={})
BERLIN = ZoneInfo("Europe/Berlin")


async def together(shop: Shop, requests: list[SendMessage], *, writers: int = WRITERS) -> Counter[str]:
    """Ask for all at once on as many connections; channel → how many were allowed."""
    pool = Database(shop.url, pool_size=writers)
    gate, turns = SendGate(pool, CAPS_ONLY), asyncio.Semaphore(writers)

    async def one(request: SendMessage) -> str | None:
        async with turns:
            answer = await shop.claims(request, gate=gate)
            return request.channel.value if isinstance(answer, SendClaim) else None

    try:
        answers = await asyncio.gather(*(one(request) for request in requests))
    finally:
        await pool.close()
    return Counter(answer for answer in answers if answer)


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_invariant_6_no_cap_is_passed_by_forty_writers(shop: Shop) -> None:
    for number in range(size(3, 60)):
        run_id = await shop.leaves_cart(["lamp"], cart_id=f"c-{number}", **shopper(number))
        channels = [Channel.EMAIL if n % 2 else Channel.SMS for n in range(WRITERS)]
        allowed = await together(
            shop, [shop.ask(run_id, f"s-{n}", "lamp", channel=c) for n, c in enumerate(channels)]
        )

        assert allowed == {"email": 2, "sms": 1}


async def test_invariant_6_fails_where_writers_do_not_take_turns(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = 8
    all_have_read = asyncio.Barrier(writers)

    async def without_lock(connection: Any, ask: SnapshotQuery) -> Snapshot | None:
        profile_id = await connection.fetchval("SELECT profile_id FROM run WHERE run_id = $1", ask.run_id)
        snapshot = await claims.read_snapshot(connection, profile_id, ask)
        await all_have_read.wait()
        return snapshot

    monkeypatch.setattr("activities.gate.send_gate.lock_profile_sql", lambda ask: "")
    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshot", without_lock)
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    allowed = await together(
        shop, [shop.ask(run_id, f"s-{n}", "lamp") for n in range(writers)], writers=writers
    )

    assert allowed == {"email": writers}


async def test_invariant_6_caps_of_two_profiles_add_up_when_they_merge(shop: Shop) -> None:
    shop.gate = SendGate(shop.database, CAPS_ONLY)
    mine = await shop.leaves_cart(["lamp"], cart_id="c-1", email="ada@example.com")
    theirs = await shop.leaves_cart(["chair"], cart_id="c-2", email="ada@work.example", loyalty_id="card-1")
    before = [
        await shop.allowed(shop.ask(run, "mail", item)) for run, item in ((mine, "lamp"), (theirs, "chair"))
    ]
    await shop.takes("Identify", {}, email="ada@example.com", loyalty_id="card-1")
    answer = await shop.claims(shop.ask(mine, "mail again", "lamp"))

    assert before == [("lamp",), ("chair",)]
    assert isinstance(answer, NotAllowed)
    assert isinstance(answer.verdict, Withhold)
    assert answer.verdict.reason is Reason.CAPPED


async def test_invariant_6_a_message_given_back_gives_its_cap_back(shop: Shop) -> None:
    shop.gate = SendGate(shop.database, CAPS_ONLY)
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    first = await shop.claims(shop.ask(run_id, "a", "lamp", channel=Channel.SMS))
    assert isinstance(first, SendClaim)
    capped = await shop.allowed(shop.ask(run_id, "b", "lamp", channel=Channel.SMS))
    async with shop.database.transaction() as connection:
        await settling.release_claim(connection, first.message_id, first.token, "error")

    assert capped == ()
    assert await shop.allowed(shop.ask(run_id, "b", "lamp", channel=Channel.SMS)) == ("lamp",)


async def test_invariant_6_transactional_messages_are_neither_capped_nor_counted(shop: Shop) -> None:
    shop.gate = SendGate(shop.database, CAPS_ONLY)
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    answers = [
        await shop.claims(confirmation(shop, run_id, n), message_class=MessageClass.TRANSACTIONAL)
        for n in range(4)
    ]

    assert all(isinstance(answer, SendClaim) for answer in answers)
    assert await shop.allowed(shop.ask(run_id, "mail", "lamp")) == ("lamp",)
    assert await shop.allowed(shop.ask(run_id, "mail 2", "lamp")) == ("lamp",)
    assert await shop.allowed(shop.ask(run_id, "mail 3", "lamp")) == ()
    assert isinstance(
        await shop.claims(confirmation(shop, run_id, 5), message_class=MessageClass.TRANSACTIONAL), SendClaim
    )


def confirmation(shop: Shop, run_id: UUID, number: int) -> SendMessage:
    return shop.ask(run_id, f"confirmation {number}").model_copy(update={"promoting": None})


async def test_invariant_6_a_cap_window_also_counts_what_was_stamped_ahead_of_the_runs_now(
    shop: Shop,
) -> None:
    shop.gate = SendGate(shop.database, CAPS_ONLY)
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))

    async def allowed(step: str, day: int) -> bool:
        request = shop.ask(run_id, step, "lamp", channel=Channel.SMS, at=NOON + timedelta(days=day))
        return bool(await shop.allowed(request, at=NOON + timedelta(days=day)))

    assert await allowed("travelled", 10)
    assert not await allowed("the same day", 10)
    # Another run's clock is days behind: the message it cannot know of by time was still sent.
    assert not await allowed("days before", 3)
    assert await allowed("a day later", 11)


def night_before_summer_time() -> datetime:
    """22:00 in Berlin on the evening before the clocks go forward next."""
    day = NOON.replace(hour=21)
    while (day + timedelta(hours=12)).astimezone(BERLIN).utcoffset() != timedelta(hours=2) or (
        day.astimezone(BERLIN).utcoffset() != timedelta(hours=1)
    ):
        day += timedelta(days=1)
    return day


async def test_invariant_6_quiet_hours_end_by_the_recipients_clock_on_the_day_it_changes(shop: Shop) -> None:
    shop.gate = SendGate(shop.database, Limits())
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    night = night_before_summer_time()
    request = shop.ask(run_id, "sms", "lamp", channel=Channel.SMS, at=night)
    answer = await shop.claims(request, at=night)

    assert isinstance(answer, NotAllowed)
    assert isinstance(answer.verdict, Defer)
    # Eight o'clock is six in UTC by then; by the offset of the evening it would have been seven.
    opening = (night + timedelta(days=1)).replace(hour=6)
    assert opening <= answer.verdict.until < opening + timedelta(minutes=15)
    again = await shop.claims(request, at=opening - timedelta(seconds=1))
    assert isinstance(again, NotAllowed)
    assert answer.verdict.until == getattr(again.verdict, "until", None)
    assert await shop.allowed(request, at=answer.verdict.until) == ("lamp",)


async def test_invariant_6_a_provider_may_not_deliver_after_the_window_has_closed(shop: Shop) -> None:
    shop.gate = SendGate(shop.database, Limits())
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    at = NOON.astimezone(BERLIN).replace(hour=20, minute=50).astimezone(UTC)
    claim = await shop.claims(shop.ask(run_id, "sms", "lamp", channel=Channel.SMS, at=at), at=at)

    assert isinstance(claim, SendClaim)
    assert claim.valid_for == timedelta(minutes=10)


async def test_invariant_6_a_message_waits_for_the_hours_of_the_state_of_its_number(shop: Shop) -> None:
    shop.gate = SendGate(shop.database, Limits())
    ada = {"email": "ada@example.com", "phone": "+13055550123"}
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **ada)
    await shop.takes("Identify", {}, traits={"timezone": "America/New_York"}, **ada)
    miami = ZoneInfo("America/New_York")
    evening = NOON.astimezone(miami).replace(hour=19, minute=50, second=0)
    late = evening.replace(hour=20, minute=30).astimezone(UTC)
    claim = await shop.claims(
        shop.ask(run_id, "early", "lamp", channel=Channel.SMS, at=evening), at=evening.astimezone(UTC)
    )
    answer = await shop.claims(shop.ask(run_id, "late", "lamp", channel=Channel.SMS, at=late), at=late)
    [decision] = await shop.fetch_rows("SELECT checks FROM decision WHERE step = 'late'")

    assert isinstance(claim, SendClaim)
    assert claim.valid_for == timedelta(minutes=10)
    assert isinstance(answer, NotAllowed)
    assert "20:30 in Florida (from the phone number)" in str(decision["checks"])
    assert "open 08:00 to 20:00; next 08:00 on" in str(decision["checks"])


async def test_invariant_6_a_message_whose_window_opens_after_its_expiry_is_withheld_as_expired(
    shop: Shop,
) -> None:
    shop.gate = SendGate(shop.database, Limits())
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    night = NOON.astimezone(BERLIN).replace(hour=22).astimezone(UTC)
    request = shop.ask(run_id, "sms", "lamp", channel=Channel.SMS, at=night)
    short = request.model_copy(update={"expires_at": night + timedelta(hours=1)})
    late = await shop.claims(short, at=night)

    assert isinstance(late, NotAllowed)
    assert isinstance(late.verdict, Withhold)
    assert late.verdict.reason is Reason.EXPIRED
