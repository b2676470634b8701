"""Taking events in: each once, whatever comes twice, at once, or broken."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from profiles import ingest
from profiles.database import Database
from profiles.identity import resolve
from profiles.incoming import Ingested, Status
from profiles.ingest import Ingest, Rules
from tests.facts import CARTS, CHAIR, LAMP, Facts, Journey, order

ADA = "ada@example.com"
COUNTS = "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM purchase) + (SELECT count(*) FROM run)"
LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, OSError)


def statuses(answers: list[Ingested]) -> list[str]:
    return [answer.status.value for answer in answers]


async def test_a_replay_is_a_duplicate_and_changes_nothing(database: Database) -> None:
    facts = Facts(database, CARTS)
    event = facts.event("Order Completed", order(LAMP), email=ADA)
    first = await facts.ingest([event])
    before = await facts.values(COUNTS)
    again = await facts.ingest([event])

    assert statuses(first) == ["accepted"]
    assert statuses(again) == ["duplicate"]
    assert again[0].event_id == first[0].event_id
    assert await facts.values(COUNTS) == before
    assert await facts.values("SELECT orders FROM profile") == [1]


async def test_the_same_id_from_another_source_is_another_event(database: Database) -> None:
    web, till = Facts(database), Facts(database, source="till")

    assert (await web.happens("Product Viewed", LAMP, email=ADA, event_id="1")).status is Status.ACCEPTED
    assert (await till.happens("Product Viewed", LAMP, email=ADA, event_id="1")).status is Status.ACCEPTED


async def test_other_content_under_a_known_id_is_a_conflict_and_the_first_one_stands(
    database: Database,
) -> None:
    facts = Facts(database)
    await facts.happens("Order Completed", order(LAMP), email=ADA, event_id="x")
    answer = await facts.happens("Order Completed", order(CHAIR), email=ADA, event_id="x")

    assert answer.status is Status.CONFLICT
    assert await facts.suppressed("email", ADA) == ["lamp"]


async def test_duplicates_and_conflicts_inside_one_batch_are_told_apart(database: Database) -> None:
    facts = Facts(database)
    first = facts.event("Product Added", LAMP, email=ADA, event_id="x")
    other = facts.event("Product Added", CHAIR, email=ADA, event_id="x")
    answers = await facts.ingest([first, first, other, facts.event("Product Added", CHAIR, email=ADA)])

    assert statuses(answers) == ["accepted", "duplicate", "conflict", "accepted"]
    assert await facts.values("SELECT count(*) FROM event") == [2]


async def test_batches_at_once_with_the_same_events_take_each_once(database: Database) -> None:
    facts = Facts(database, CARTS)
    events = [
        facts.event("Order Completed", order(LAMP, order_id=f"o-{n}"), email=f"u{n % 3}@x.org")
        for n in range(12)
    ]
    answers = await asyncio.gather(*(facts.ingest(events[::step]) for step in (1, -1, 1, -1)))

    accepted = [answer.id for batch in answers for answer in batch if answer.status is Status.ACCEPTED]
    assert sorted(accepted) == sorted(event.id for event in events)
    assert await facts.values("SELECT count(*) FROM purchase") == [12]
    assert sum(await facts.values("SELECT orders FROM profile")) == 12


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param({"note": "a\x00b"}, id="a character that jsonb cannot hold"),
        pytest.param({"note": 2**70}, id="a number that JSON encoders refuse"),
        pytest.param({"note": "\ud800"}, id="half a surrogate pair"),
    ],
)
async def test_one_event_that_cannot_be_stored_harms_no_other(
    database: Database, poison: dict[str, Any]
) -> None:
    facts = Facts(database)
    events = [facts.event("Product Viewed", LAMP, email=f"u{n}@x.org") for n in range(6)]
    events[2] = facts.event("Product Viewed", LAMP | poison, email="poison@x.org")
    answers = await facts.ingest(events)

    assert statuses(answers) == ["accepted", "accepted", "rejected", "accepted", "accepted", "accepted"]
    assert answers[2].detail
    assert await facts.values("SELECT count(*) FROM event") == [5]
    assert await facts.values("SELECT count(*) FROM identifier") == [5]


async def test_no_event_is_no_work(database: Database) -> None:
    assert await Facts(database).ingest([]) == []


async def test_an_event_that_names_nobody_is_kept_without_a_person(database: Database) -> None:
    facts = Facts(database, CARTS)
    answer = await facts.happens("Message Delivered", {"message_id": "01a20064-b20d-72ae-b3d4-9cfd25afa398"})

    assert answer.status is Status.ACCEPTED
    assert await facts.problems(answer.event_id) == ["it names nobody: no identifier, and no message of ours"]
    assert await facts.values("SELECT count(*) FROM profile") == [0]


async def test_values_that_do_not_fit_are_left_out_and_the_purchase_still_counts(database: Database) -> None:
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    broken = LAMP | {"price": "39,00 €", "quantity": None}
    answer = await facts.happens("Order Completed", order(broken), email=ADA)

    assert await facts.suppressed("email", ADA) == ["lamp"]
    assert await facts.carts() == {"c-1": []}
    assert await facts.outbox() == ["start: Product Added", "Order Completed"]
    [problem] = await facts.problems(answer.event_id)
    assert "products.0.price" in problem


async def test_author_code_that_raises_costs_nobody_an_event(database: Database) -> None:
    def breaks(event: object) -> bool:
        raise ZeroDivisionError("of the author")

    faulty = Journey(name="faulty", where=breaks)
    unkeyed = Journey(name="unkeyed", key_property=None, key=lambda event: str(1 // 0))
    facts = Facts(database, faulty, unkeyed, CARTS)
    answer = await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)

    assert answer.status is Status.ACCEPTED
    assert [run["journey"] for run in await facts.runs()] == ["carts"]
    assert len(await facts.problems(answer.event_id)) == 2
    assert all("keyed_by or filter raised" in problem for problem in await facts.problems(answer.event_id))


async def test_the_clock_of_a_server_is_not_moved_by_events_and_that_of_a_local_stack_is(
    database: Database,
) -> None:
    tomorrow = -timedelta(days=1)
    await Facts(database).happens("Product Viewed", LAMP, email=ADA, event_id="server", ago=tomorrow)
    await Facts(database, rules=Rules(local=True)).happens(
        "Product Viewed", LAMP, email=ADA, event_id="local", ago=tomorrow
    )
    ahead = await Facts(database).values("SELECT at > now() + '1 hour'::interval FROM event ORDER BY id")

    assert ahead == [True, False]


async def lose_connection_at(database: Database, moment: str, facts: Facts) -> tuple[bool, list[Ingested]]:
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
    database: Database, moment: str, written: bool, answer: str
) -> None:
    facts = Facts(database, CARTS)
    found, again = await lose_connection_at(database, moment, facts)

    assert found is written
    assert statuses(again) == [answer]
    assert await facts.values("SELECT count(*) FROM purchase") == [1]
    assert await facts.values("SELECT orders FROM profile") == [1]


async def test_invariant_2_the_acked_events_are_exactly_those_in_postgres(database: Database) -> None:
    """Backends are killed at random moments while clients retry until they hear an answer."""
    facts = Facts(database, CARTS)
    events = [
        facts.event("Order Completed", order(LAMP, order_id=f"o-{n}"), email=f"u{n % 5}@x.org")
        for n in range(40)
    ]
    killer = await asyncpg.connect(database.engine.url.set(drivername="postgresql").render_as_string(False))
    done = asyncio.Event()

    async def kill() -> None:
        while not done.is_set():
            await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'waypost' AND state <> 'idle' LIMIT 1"
            )
            await asyncio.sleep(0.01)

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

    killing = asyncio.create_task(kill())
    answers = await asyncio.gather(*(client(events[n::4]) for n in range(4)))
    done.set()
    await killing
    await killer.close()

    assert {status for batch in answers for status in batch} <= {"accepted", "duplicate"}
    assert await facts.values("SELECT count(*) FROM event") == [40]
    assert await facts.values("SELECT count(*) FROM purchase") == [40]
    assert sum(await facts.values("SELECT orders FROM profile")) == 40


async def test_invariant_2_without_a_transaction_half_an_event_would_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: statements that commit one by one leave an event without its effects."""

    class Autocommit(Database):
        def __init__(self) -> None:
            self.engine = database.engine

        async def run(self, work: Any) -> Any:
            async with self.engine.connect() as pooled:
                return await work((await pooled.get_raw_connection()).driver_connection)

    async def broken(connection: Any, groups: Any) -> Any:
        await resolve(connection, groups)
        raise OSError("the network went away")

    facts = Facts(database)
    event = facts.event("Order Completed", order(LAMP), email=ADA)
    monkeypatch.setattr(ingest, "resolve", broken)
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
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: with the conflict clause of the insert aimed at nothing, effects come twice."""
    facts = Facts(database)
    event = facts.event("Order Completed", order(LAMP), email=ADA)
    await facts.ingest([event])
    await facts.rows("ALTER TABLE event DROP CONSTRAINT event_source_id")
    monkeypatch.setattr(ingest, "_INSERT", ingest._INSERT.replace("ON CONFLICT (source, id) DO NOTHING", ""))
    await facts.ingest([event])

    assert await facts.values("SELECT orders FROM profile") == [2]


async def test_events_carry_their_instants_in_utc_and_odd_calendars_do_no_harm(database: Database) -> None:
    facts = Facts(database)
    late = facts.event(
        "Order Completed", order(LAMP), email=ADA, ago=datetime.now(UTC) - datetime(9998, 12, 31, tzinfo=UTC)
    )
    early = facts.event(
        "Order Completed", order(CHAIR), email=ADA, ago=datetime.now(UTC) - datetime(1, 1, 2, tzinfo=UTC)
    )
    assert statuses(await facts.ingest([late, early])) == ["accepted", "accepted"]

    assert await facts.suppressed("email", ADA) == ["lamp"]
    assert (await facts.happens("Product Viewed", LAMP, email=ADA)).status is Status.ACCEPTED
