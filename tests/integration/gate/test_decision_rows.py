"""A decision goes to Postgres as one literal beside COMMIT: whatever it says, it is written down as it is."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.messaging.claims import MessageRow, write_decisions_sql
from tests.support.environments.ingest import CARTS, IngestHarness
from tests.support.queries.consent import run_of

JOURNEYS = (CARTS,)

NASTY = "o'lamp \\' '); DELETE FROM message; -- \"x\" $$ \\u0027 \x7f ü 🛋"

AT = datetime(2026, 11, 20, 9, 30, 0, 123456, tzinfo=UTC)


def planned(words: str, status: str = "claimed") -> MessageRow:
    """A message about whom and what is said in ``words``."""
    return MessageRow(
        message_id=new_id(),
        profile_id=new_id(),
        run_id=new_id(),
        step=words,
        journey=words,
        channel="email",
        template=words,
        message_class="marketing",
        status=status,
        verdict="allow" if status == "claimed" else "defer",
        at=AT,
        items=(words, "chair"),
        items_removed=(words,),
        reason=None if status == "claimed" else "capped",
        detail=words,
        checks=({"name": "items", "passed": True, "detail": words},),
        until=None if status == "claimed" else AT + timedelta(hours=1),
        address=words,
        token=new_id() if status == "claimed" else None,
        decision_id=new_id(),
        policy="0123456789ab",
        basis={"plan": {"topic": words}},
        topic=words,
        value=12.5,
        expires_at=AT + timedelta(days=2),
    )


async def written(database: Database, one: MessageRow) -> tuple[asyncpg.Record, asyncpg.Record]:
    """Its decision and its message, as they stand in the tables afterwards."""
    await database.run(lambda connection: database.commit(connection, write_decisions_sql(one)))
    async with database.transaction() as connection:
        decision = await connection.fetchrow("SELECT * FROM decision WHERE decision_id = $1", one.decision_id)
        message = await connection.fetchrow("SELECT * FROM message WHERE message_id = $1", one.message_id)
    return decision, message


@pytest_asyncio.fixture(loop_scope="session")
async def careless(database_url: str) -> AsyncIterator[Database]:
    """A server that takes a backslash in a literal for an escape, as old ones did."""
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        f'ALTER DATABASE "{database_url.rpartition("/")[2]}" SET standard_conforming_strings = off'
    )
    await owner.close()
    pool = Database(database_url)
    yield pool
    await pool.close()


@pytest.mark.parametrize("status", ["claimed", "deferred"])
async def test_every_value_arrives_as_it_is(facts: IngestHarness, status: str) -> None:
    one = planned(NASTY, status)
    decision, message = await written(facts.database, one)
    claimed = AT if status == "claimed" else None

    for name in ("message_id", "profile_id", "run_id", "step", "journey", "channel", "template", "reason"):
        assert decision[name] == message[name] == getattr(one, name)
    assert (decision["verdict"], decision["detail"], decision["at"]) == (one.verdict, NASTY, AT)
    assert (decision["items"], decision["items_removed"]) == ([NASTY, "chair"], [NASTY])
    assert (decision["until"], message["deferred_until"]) == (one.until, one.until)
    assert (message["status"], message["token"], message["claimed_at"]) == (status, one.token, claimed)
    assert (message["address"], message["topic"], message["value"]) == (NASTY, NASTY, 12.5)
    assert (message["decided_at"], message["planned_at"], message["expires_at"]) == (AT, AT, one.expires_at)
    assert (message["claim_recorded_at"] is not None) is (status == "claimed")
    assert decision["policy"] == "0123456789ab"
    assert await facts.values("SELECT checks -> 0 ->> 'detail' FROM decision") == [NASTY]
    assert await facts.values("SELECT basis #>> '{plan,topic}' FROM decision") == [NASTY]


async def test_nothing_ends_the_literal_even_where_the_server_reads_backslashes(careless: Database) -> None:
    run_id = await run_of(IngestHarness(careless, CARTS), email="ada@example.com")
    before = await IngestHarness(careless, CARTS).sent(run_id)
    for words in (NASTY, "\\'); DELETE FROM message; --", "'; DELETE FROM message; --", "\\"):
        # Such a server may spoil the JSON, and then nothing at all is written.
        with contextlib.suppress(asyncpg.DataError):
            await written(careless, planned(words))

    assert before in await IngestHarness(careless, CARTS).values("SELECT message_id FROM message")


@given(words=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_the_literal_holds_no_quotation_mark_of_anybodys(words: str) -> None:
    assert write_decisions_sql(planned(words)).count("'") == 2


async def test_a_decision_is_kept_whole_or_not_at_all(database: Database) -> None:
    one = planned("lamp")
    await written(database, one)
    with pytest.raises(asyncpg.UniqueViolationError):
        await written(database, one)

    assert await IngestHarness(database, CARTS).values("SELECT count(*) FROM decision") == [1]
