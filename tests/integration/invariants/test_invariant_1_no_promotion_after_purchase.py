"""Invariant 1: from the COMMIT of a purchase, no claim that promotes its item commits for that person."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from activities.gate.batching import GateBatcher
from activities.gate.send_gate import SendClaim, SendGate
from local.temporal_server import TemporalDevServer
from policy.verdict import Channel
from profiles.messaging import claims
from profiles.messaging import snapshot as message_facts
from profiles.messaging.claims import read_locked_snapshots
from profiles.messaging.snapshot import Snapshot, SnapshotQuery
from tests.support.environments.gate import UNLIMITED, GateHarness, PausedCommitDatabase, shopper
from tests.support.environments.gate_batches import CountingGate, heard, runs_of
from tests.support.faults.unlocked_gate import Pause, Reading, replace_reading, unlock_gate, without_lock
from tests.support.generators.hostile_sender import HostileSender
from tests.support.proof_size import FULL, size

CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.ADS)

VIOLATIONS = """
SELECT d.step, s.item, pg_xact_commit_timestamp(s.xmin) AS bought, pg_xact_commit_timestamp(d.xmin) AS allowed
FROM decision d JOIN suppression s ON s.profile_id = d.profile_id AND s.item = ANY(d.items)
WHERE d.verdict = 'allow' AND pg_xact_commit_timestamp(s.xmin) < pg_xact_commit_timestamp(d.xmin)
"""
"""By Postgres's own order of commits. A merge writes the other profile's suppressions anew,
so they count from it."""


@pytest_asyncio.fixture(loop_scope="session")
async def gate_env(ordered_database_url: str, temporal: TemporalDevServer) -> AsyncIterator[GateHarness]:
    """Waypost without workers, on a database of this test's own that keeps the order of commits."""
    async with GateHarness(ordered_database_url, temporal.client) as running:
        yield running


async def in_one_statement(connection: Any, ask: SnapshotQuery) -> Snapshot | None:
    """Lock and snapshot in one statement: the snapshot is older than the lock it waits for."""
    text = message_facts.snapshot_sql(
        needs_engagement=ask.needs_engagement, needs_claim_rate=ask.needs_claim_rate
    )
    told = "JOIN profile p ON "
    assert told in text, "follow the reading's new text"
    held = "held AS MATERIALIZED (SELECT profile_id FROM profile WHERE profile_id = $1 FOR NO KEY UPDATE)"
    statement = f"WITH {held} " + text.replace(
        told, "CROSS JOIN held JOIN profile p ON p.profile_id = held.profile_id AND "
    )
    profile_id = await connection.fetchval("SELECT profile_id FROM run WHERE run_id = $1", ask.run_id)

    class OneStatement:
        async def fetchrow(self, _: str, *arguments: Any) -> Any:
            return await connection.fetchrow(statement, *arguments)

    return await claims.read_snapshot(OneStatement(), profile_id, ask)


async def in_two_statements(connection: Any, ask: SnapshotQuery) -> Snapshot | None:
    """The product's own reading."""
    return await claims.read_locked_snapshot(connection, ask)


async def purchase_committed_while_the_claim_waits(
    gate_env: GateHarness, channel: Channel
) -> tuple[str, ...]:
    """Hold a purchase before its COMMIT, let a claim come, then commit; what the claim lets through."""
    run_id = await gate_env.one_cart()
    held = PausedCommitDatabase(gate_env.url)
    order = gate_env.build_event("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
    purchase = asyncio.create_task(gate_env.ingest_on(held)([order]))
    await held.worked.wait()
    claim = asyncio.create_task(gate_env.allowed(gate_env.ask(run_id, "reminder", "lamp", channel=channel)))
    await gate_env.someone_waits_for_a_lock(or_done=claim)
    held.may_commit.set()
    await purchase
    await held.close()
    return await claim


@pytest.mark.parametrize("channel", CHANNELS)
async def test_invariant_1_a_claim_that_waited_for_a_purchase_sees_it(
    gate_env: GateHarness, channel: Channel
) -> None:
    allowed = await purchase_committed_while_the_claim_waits(gate_env, channel)

    assert allowed == ()
    assert await gate_env.fetch_rows(VIOLATIONS) == []
    [decision] = await gate_env.decisions()
    assert (decision["verdict"], decision["reason"]) == ("withhold", "purchased")


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("reading", [in_one_statement, without_lock])
async def test_invariant_1_fails_where_the_gate_does_not_lock_first_and_read_then(
    gate_env: GateHarness, channel: Channel, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlock_gate(monkeypatch, reading)
    if reading is without_lock:
        allowed = await claim_commits_after_a_purchase_it_did_not_read(
            gate_env, channel, reading, monkeypatch
        )
    else:
        allowed = await purchase_committed_while_the_claim_waits(gate_env, channel)

    assert allowed == ("lamp",)
    assert [(row["step"], row["item"]) for row in await gate_env.fetch_rows(VIOLATIONS)] == [
        ("reminder", "lamp")
    ]


async def claim_commits_after_a_purchase_it_did_not_read(
    gate_env: GateHarness, channel: Channel, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    """Let a purchase come between a claim's reading and its COMMIT, as far as the gate's lock lets it."""
    run_id = await gate_env.one_cart()
    pause = Pause()
    replace_reading(monkeypatch, reading, pause)
    claim = asyncio.create_task(gate_env.allowed(gate_env.ask(run_id, "reminder", "lamp", channel=channel)))
    await pause.reached.wait()
    order = gate_env.build_event("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
    purchase = asyncio.create_task(gate_env.ingest([order]))
    await gate_env.someone_waits_for_a_lock(or_done=purchase)
    pause.go_on.set()
    await purchase
    return await claim


async def test_invariant_1_a_purchase_waits_for_a_claim_that_has_read(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = await claim_commits_after_a_purchase_it_did_not_read(
        gate_env, Channel.EMAIL, in_two_statements, monkeypatch
    )

    assert allowed == ("lamp",)
    assert await gate_env.fetch_rows(VIOLATIONS) == []


class PurchaseRace:
    """Purchases and claims of a few people on many connections, and what each of them knew."""

    def __init__(self, gate_env: GateHarness, *, purchases: int, claims: int, seed: int) -> None:
        self.env = gate_env
        self.random = random.Random(seed)
        self.people = max(4, purchases // 8)
        self.products = [f"p-{n}" for n in range(8)]
        self.purchases = purchases
        self.claims = claims
        self.runs: dict[int, UUID] = {}
        self.acknowledged: dict[tuple[int, str], float] = {}
        self.too_late: list[str] = []
        self.promoted = 0

    async def prepare(self) -> None:
        for person in range(self.people):
            self.runs[person] = await self.env.leaves_cart(
                self.products, cart_id=f"c-{person}", **shopper(person)
            )

    async def buy(self, number: int) -> None:
        person, product = number % self.people, self.products[(number // self.people) % len(self.products)]
        order = self.env.order(product, order_id=f"o-{number}")
        card, second = f"card-{number}", f"+49152{20_000_000 + number}"
        match number % 3:
            case 0:
                await self.env.takes("Order Completed", order, event_id=f"buy-{number}", **shopper(person))
            case 1:
                # One event of a number nobody knew, with the address: bought and merged at once.
                await self.env.takes(
                    "Product Viewed", {"product_id": "x"}, event_id=f"view-{number}", phone=second
                )
                await self.env.takes(
                    "Order Completed", order, event_id=f"buy-{number}", phone=second,
                    email=shopper(person)["email"],
                )  # fmt: skip
            case _:
                # Bought as a stranger; only a later event tells who it was.
                await self.env.takes("Order Completed", order, event_id=f"buy-{number}", loyalty_id=card)
                await self.env.takes(
                    "Identify", {}, event_id=f"who-{number}", loyalty_id=card, **shopper(person)
                )
        self.acknowledged[person, product] = time.monotonic()

    def hostile_sender(self) -> HostileSender:
        """A stranger who takes the ids of the purchases ahead of them, refunds, and puts back into carts."""
        return HostileSender(
            self.env.ingest,
            [shopper(person) for person in range(self.people)],
            self.products,
            carts=[f"c-{person}" for person in range(self.people)],
            guesses=[("test", f"buy-{number}") for number in range(self.purchases)],
        )

    async def claim(self, number: int) -> None:
        person = self.random.randrange(self.people)
        wanted = self.random.sample(self.products, self.random.randint(1, len(self.products)))
        channel = CHANNELS[number % len(CHANNELS)]
        cart_id = f"c-{person}" if number % 2 else None
        began = time.monotonic()
        known = {p for p in wanted if self.acknowledged.get((person, p), began) < began}
        request = self.env.ask(self.runs[person], f"step-{number}", *wanted, channel=channel, cart_id=cart_id)
        try:
            allowed = await self.env.allowed(request)
        except TimeoutError:
            # On a busy machine the gate gives up; it has allowed nothing then.
            allowed = ()
        self.promoted += len(allowed)
        self.too_late += [f"{person}/{product} on {channel}" for product in known.intersection(allowed)]

    async def run(self, at_once: int = 12) -> None:
        turns = asyncio.Semaphore(at_once)
        jobs = [("buy", n) for n in range(self.purchases)] + [("claim", n) for n in range(self.claims)]
        self.random.shuffle(jobs)

        async def one(kind: str, number: int) -> None:
            async with turns:
                await (self.buy(number) if kind == "buy" else self.claim(number))

        await asyncio.gather(*(one(kind, number) for kind, number in jobs))


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("batched", "hostile"),
    [
        pytest.param(False, False, id="one by one"),
        pytest.param(True, False, id="in gate batches"),
        pytest.param(True, True, id="in gate batches, with a hostile sender"),
    ],
)
async def test_invariant_1_holds_where_purchases_and_claims_race_on_every_channel(
    gate_env: GateHarness, batched: bool, hostile: bool
) -> None:
    if batched:
        gate_env.gate = GateBatcher(SendGate(gate_env.database, UNLIMITED))
    race = PurchaseRace(gate_env, purchases=size(40, 2_000), claims=size(150, 10_000), seed=20_261_121)
    await race.prepare()
    async with race.hostile_sender() if hostile else nullcontext():
        await race.run()

    assert race.too_late == []
    assert await gate_env.fetch_rows(VIOLATIONS) == []
    withheld = await gate_env.fetch_rows(
        "SELECT 1 FROM decision WHERE 'purchased' = reason OR items_removed <> '{}'"
    )
    print(f"{race.claims} claims, {race.purchases} purchases, {race.promoted} items promoted, no violation")
    assert race.promoted > 0, "nothing was promoted, so nothing was proved"
    assert withheld, "no purchase came before a claim, so nothing was proved"


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not FULL, reason="left to chance: WAYPOST_PROOF=full; barriers force it in the tests above"
)
@pytest.mark.parametrize("reading", [in_one_statement, without_lock])
async def test_invariant_1_the_same_race_finds_out_a_gate_that_does_not_lock_first_and_read_then(
    gate_env: GateHarness, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlock_gate(monkeypatch, reading)
    race = PurchaseRace(gate_env, purchases=400, claims=4_000, seed=20_261_122)
    await race.prepare()
    await race.run()

    found = await gate_env.fetch_rows(VIOLATIONS)
    print(f"{reading.__name__}: {len(found)} claims after a purchase's commit, of {race.promoted} promoted")
    assert found != []


async def test_invariant_1_holds_across_a_merge_that_a_claim_waited_for(gate_env: GateHarness) -> None:
    run_id = await gate_env.one_cart()
    await gate_env.takes("Order Completed", gate_env.order("lamp", order_id="o-1"), loyalty_id="card-1")
    held = PausedCommitDatabase(gate_env.url)
    joined = gate_env.build_event("Identify", {}, loyalty_id="card-1", **shopper(1))
    merge = asyncio.create_task(gate_env.ingest_on(held)([joined]))
    await held.worked.wait()
    claim = asyncio.create_task(gate_env.allowed(gate_env.ask(run_id, "reminder", "lamp")))
    assert await gate_env.someone_waits_for_a_lock(or_done=claim)
    held.may_commit.set()
    await merge
    await held.close()

    assert await claim == ()


async def test_invariant_1_any_variant_of_a_bought_product_is_withheld(gate_env: GateHarness) -> None:
    run_id = await gate_env.leaves_cart(["lamp", "chair"], cart_id="c-1", **shopper(1))
    bought = {"order_id": "o-1", "products": [{"product_id": "lamp", "sku": "lamp-red"}]}
    await gate_env.takes("Order Completed", bought, channel="store", **shopper(1))

    assert await gate_env.allowed(gate_env.ask(run_id, "mail", "lamp", "chair")) == ("chair",)
    assert await gate_env.allowed(gate_env.ask(run_id, "ads", "lamp", "chair", channel=Channel.ADS)) == (
        "chair",
    )
    assert await gate_env.allowed(gate_env.ask(run_id, "sms", "lamp", channel=Channel.SMS)) == ()


async def purchase_between_reading_and_commit(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> list[Any]:
    """Two people in one gate batch; one of them buys between its reading and its COMMIT, if the lock lets
    them."""
    runs = await runs_of(gate_env, 2)
    pause = Pause()

    async def then_wait(connection: Any, asks: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
        snapshots = await read_locked_snapshots(connection, asks)
        await pause()
        return snapshots

    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshots", then_wait)
    answers = asyncio.create_task(
        heard(gate_env, CountingGate(gate_env), *(gate_env.ask(run, "mail", "lamp") for run in runs))
    )
    await pause.reached.wait()
    order = gate_env.build_event("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(0))
    purchase = asyncio.create_task(gate_env.ingest([order]))
    waited = await gate_env.someone_waits_for_a_lock(or_done=purchase)
    pause.go_on.set()
    await purchase
    return [waited, *await answers]


async def test_invariant_1_a_purchase_waits_for_a_gate_batch_that_has_read(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited, *answers = await purchase_between_reading_and_commit(gate_env, monkeypatch)

    assert waited
    assert [type(answer) for answer in answers] == [SendClaim, SendClaim]


async def test_invariant_1_fails_where_a_gate_batch_reads_without_the_locks(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(asks: Sequence[SnapshotQuery]) -> str:
        runs = ",".join(str(ask.run_id) for ask in asks)
        return (
            "SELECT set_config('waypost.locked', (SELECT string_agg(profile_id::text, ',') FROM run "
            f"WHERE run_id = ANY('{{{runs}}}')), true)"
        )

    monkeypatch.setattr("activities.gate.send_gate.lock_profiles_skip_locked_sql", without)
    waited, *answers = await purchase_between_reading_and_commit(gate_env, monkeypatch)

    assert not waited
    # Claimed after the purchase's COMMIT.
    assert [type(answer) for answer in answers] == [SendClaim, SendClaim]
