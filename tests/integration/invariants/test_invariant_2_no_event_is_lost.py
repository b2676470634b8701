"""Invariant 2: no acknowledged event is lost, and each has its effects once, whatever is killed."""

import asyncio
import random
from contextlib import nullcontext
from typing import Any

import asyncpg
import pytest

from profiles.db.database import Database
from profiles.ingest import event_store, pipeline
from profiles.ingest.event_store import IngestResult
from profiles.ingest.pipeline import Ingest
from profiles.ingest.resolution import resolve_identities
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness, order
from tests.support.generators.hostile_sender import LOST, HostileSender

JOURNEYS = (CARTS,)

ADA = "ada@example.com"


def statuses(answers: list[IngestResult]) -> list[str]:
    return [answer.status.value for answer in answers]


async def lose_connection_at(
    database: Database, moment: str, facts: IngestHarness
) -> tuple[bool, list[IngestResult]]:
    """Kill the server's side of a transaction, before or right after its COMMIT; then send the same again."""
    event = facts.event("Order Completed", order(LAMP), email=ADA)

    class Cut(Database):
        def __init__(self) -> None:
            self.engine = database.engine

        async def run(self, work: Any) -> Any:
            async def killed(connection: Any) -> Any:
                answers = await work(connection)
                pid = connection.get_server_pid()
                await facts.rows("SELECT pg_terminate_backend($1, 2000)", pid)
                return answers

            if moment == "before COMMIT":
                return await database.run(killed)
            await database.run(work)
            raise asyncpg.ConnectionDoesNotExistError("the answer to COMMIT was lost")

    with pytest.raises(LOST):
        await Ingest(Cut(), facts.routes)([event])
    written = bool(await facts.values("SELECT 1 FROM event"))
    return written, await facts.ingest([event])


@pytest.mark.parametrize(
    ("moment", "written", "answer"),
    [
        pytest.param(
            "before COMMIT", False, "accepted", id="nothing was written: taken in on the second try"
        ),
        pytest.param("after COMMIT", True, "duplicate", id="all was written: the second try says so"),
    ],
)
async def test_invariant_2_a_connection_lost_around_commit_leaves_all_or_nothing(
    facts: IngestHarness, moment: str, written: bool, answer: str
) -> None:
    found, again = await lose_connection_at(facts.database, moment, facts)

    assert found is written
    assert statuses(again) == [answer]
    assert await facts.values("SELECT count(*) FROM purchase") == [1]
    assert await facts.values("SELECT orders FROM profile") == [1]


@pytest.mark.parametrize("hostile", [False, True], ids=["among honest senders", "with a hostile sender"])
async def test_invariant_2_the_acked_events_are_exactly_those_in_postgres(
    facts: IngestHarness, hostile: bool
) -> None:
    """Backends are killed at random moments while clients retry until they hear an answer."""
    events = [
        facts.event("Order Completed", order(LAMP, order_id=f"o-{n}"), email=f"u{n % 5}@x.org")
        for n in range(40)
    ]
    killer = await asyncpg.connect(
        facts.database.engine.url.set(drivername="postgresql").render_as_string(False)
    )
    done = asyncio.Event()

    async def kill() -> None:
        while not done.is_set():
            await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'waypost' AND state <> 'idle' LIMIT 1"
            )
            # Often enough to hit every statement, seldom enough that some transactions live.
            await asyncio.sleep(random.uniform(0.01, 0.12))

    async def client(mine: list[Any]) -> list[str]:
        answers = []
        for event in mine:
            while True:
                try:
                    answers += statuses(await facts.ingest([event]))
                except LOST:
                    continue
                break
        return answers

    stranger = HostileSender(
        facts.ingest,
        [{"email": f"u{n}@x.org"} for n in range(5)],
        ["lamp"],
        guesses=[(event.source, event.id) for event in events],
    )
    async with stranger if hostile else nullcontext():
        killing = asyncio.create_task(kill())
        answers = await asyncio.gather(*(client(events[n::4]) for n in range(4)))
    done.set()
    await killing
    await killer.close()

    assert {status for batch in answers for status in batch} <= {"accepted", "duplicate"}
    assert await facts.values("SELECT count(*) FROM event WHERE verified") == [40]
    bought = "SELECT count(*) FROM purchase JOIN event USING (event_id) WHERE verified"
    assert await facts.values(bought) == [40]
    assert sum(await facts.values("SELECT orders FROM profile")) == 40


async def test_invariant_2_without_a_transaction_half_an_event_would_stay(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: statements that commit one by one leave an event without its effects."""

    class Autocommit(Database):
        def __init__(self) -> None:
            self.engine = facts.database.engine

        async def run(self, work: Any) -> Any:
            async with self.engine.connect() as pooled:
                return await work((await pooled.get_raw_connection()).driver_connection)

    async def broken(connection: Any, *named: Any) -> Any:
        await resolve_identities(connection, *named)
        raise OSError("the network went away")

    event = facts.event("Order Completed", order(LAMP), email=ADA)
    monkeypatch.setattr(pipeline, "resolve_identities", broken)
    with pytest.raises(OSError, match="network"):
        await facts.ingest([event])
    guarded = await facts.values("SELECT count(*) FROM event")
    with pytest.raises(OSError, match="network"):
        await Ingest(Autocommit(), ())([event])
    monkeypatch.undo()

    assert guarded == [0]
    assert statuses(await facts.ingest([event])) == ["duplicate"]
    assert await facts.values("SELECT count(*) FROM purchase") == [0]


async def test_invariant_2_without_the_dedupe_a_replay_would_count_twice(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: with the conflict clause of the insert aimed at nothing, effects come twice."""
    event = facts.event("Order Completed", order(LAMP), email=ADA)
    await facts.ingest([event])
    await facts.rows("ALTER TABLE event DROP CONSTRAINT event_source_id")
    monkeypatch.setattr(
        event_store,
        "_INSERT_EVENTS",
        event_store._INSERT_EVENTS.replace("ON CONFLICT (source, id) DO NOTHING", ""),
    )
    await facts.ingest([event])

    assert await facts.values("SELECT count(*) FROM purchase") == [2]
