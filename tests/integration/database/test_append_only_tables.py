"""What was said and decided is only ever added to: Postgres refuses all else, to the owner as to the app."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from local.temporal_server import TemporalDevServer
from profiles.consent.review import annul_opt_out, list_doubtful_replies
from profiles.db.database import Database
from profiles.db.migrate import check_schema
from profiles.db.roles import RoleOwnsTables, grant_app_role
from profiles.db.sql import new_id
from profiles.merging import unmerge
from profiles.messaging.kill_switches import activate_kill_switch
from profiles.runs.stuck import log_run_action
from tests.support.environments.api import ADMIN, event, opened
from tests.support.environments.gate import GateHarness, shopper
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness, order
from tests.support.queries.consent import may_mail, run_of
from tests.support.queries.snapshot import erase

JOURNEYS = (CARTS,)

ADA, PHONE = "ada@example.com", "+4915112345678"

FORGED = {
    "consent": "UPDATE consent SET state = 'withdrawn'",
    "decision": "UPDATE decision SET verdict = 'withhold'",
    "identity_log": "UPDATE identity_log SET detail = 'never happened'",
    "kill_switch_log": "UPDATE kill_switch_log SET reason = 'never happened'",
    "run_log": "UPDATE run_log SET reason = 'never happened'",
}

REFUSED = [
    *FORGED.items(),
    *((table, f"DELETE FROM {table}") for table in FORGED),
    *((table, f"TRUNCATE {table}") for table in FORGED),
]


@pytest_asyncio.fixture(loop_scope="session")
async def app_url(database_url: str) -> AsyncIterator[str]:
    """The same database, as the role that Waypost's processes have in production."""
    role = f"waypost_app_{new_id().hex}"
    assert await grant_app_role(database_url, role, "pass'word")
    assert not await grant_app_role(database_url, role)
    parts = urlsplit(database_url)
    place = parts.netloc.rpartition("@")[2]
    yield parts._replace(netloc=f"{role}:pass%27word@{place}").geturl()
    owner = await asyncpg.connect(database_url)
    await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await owner.close()


@pytest_asyncio.fixture(loop_scope="session")
async def app(app_url: str) -> AsyncIterator[Database]:
    """A pool as that role."""
    pool = Database(app_url)
    yield pool
    await pool.close()


async def with_a_row_in_each(facts: IngestHarness) -> dict[str, list[object]]:
    """Somebody who said yes, was written to, and turned out to be somebody else; push is stopped."""
    run_id = await run_of(facts, email=ADA)
    await facts.happens("Signed Up", traits={"consents": {"email": True}}, email=ADA)
    await facts.happens("Seen", phone=PHONE)
    await facts.sent(run_id)
    await facts.happens("Seen", email=ADA, phone=PHONE)
    async with facts.database.transaction() as connection:
        await activate_kill_switch(connection, "channel", "push", reason="a mistake", actor="an operator")
        await log_run_action(connection, run_id, "cancelled", reason="a mistake", actor="an operator")
    found = await all_rows(facts)
    assert all(found.values())
    return found


async def all_rows(facts: IngestHarness) -> dict[str, list[object]]:
    return {table: list(await facts.rows(f"SELECT * FROM {table} t ORDER BY t")) for table in FORGED}


async def test_not_even_the_owner_changes_deletes_or_empties_a_ledger(facts: IngestHarness) -> None:
    written = await with_a_row_in_each(facts)
    for table, forged in REFUSED:
        with pytest.raises(
            asyncpg.RaiseError, match=f"{table} is append-only: .* refused; write another row"
        ):
            await facts.rows(forged)

    assert written == await all_rows(facts)


async def test_the_app_has_no_right_to_change_delete_or_empty_one_whatever_it_says_it_does(
    database: Database, app: Database
) -> None:
    written = await with_a_row_in_each(IngestHarness(app, CARTS))
    for table, forged in REFUSED:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=f"permission denied for table {table}"):
            await erase(app, forged)

    assert written == await all_rows(IngestHarness(database))


async def test_an_erasure_by_the_owner_is_let_through_until_it_commits(
    facts: IngestHarness,
) -> None:
    await with_a_row_in_each(facts)
    await erase(facts.database, "UPDATE consent SET voice = NULL, named = '{}'")
    await erase(facts.database, "DELETE FROM decision")

    assert await facts.values("SELECT voice FROM consent") == [None]
    assert await facts.values("SELECT count(*) FROM decision") == [0]
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await facts.rows("DELETE FROM consent")


async def test_teeth_without_the_triggers_the_owner_rewrites_what_was_said(facts: IngestHarness) -> None:
    written = await with_a_row_in_each(facts)
    for table, forged in FORGED.items():
        await facts.rows(f"DROP TRIGGER {table}_stays ON {table}")
        await facts.rows(forged)

    assert all(written[table] != rows for table, rows in (await all_rows(facts)).items())


async def test_a_role_that_nothing_binds_is_refused(database_url: str) -> None:
    owner = urlsplit(database_url).username or ""

    with pytest.raises(RoleOwnsTables, match="no privilege binds it; name a role of its own"):
        await grant_app_role(database_url, owner)


async def test_as_the_app_people_are_taken_in_joined_parted_and_joined(app_url: str, app: Database) -> None:
    await check_schema(app_url)
    facts = IngestHarness(app, CARTS)
    run_id = await run_of(facts, email=ADA, user_id="42")
    await facts.happens("Signed Up", traits={"consents": {"email": True}}, email=ADA)
    await facts.happens("Message Replied", {"text": "who is this"}, channel="sms", phone=PHONE)
    await facts.happens("Order Completed", order(LAMP), user_id="7")
    await facts.sent(run_id)
    await facts.happens("Seen", email=ADA, phone=PHONE)
    one = await facts.who("email", ADA)
    assert one == await facts.who("phone", PHONE)
    parted = await unmerge.cut_identifiers(
        app, f"email:{ADA}", f"phone:{PHONE}", actor="test", reason="two people"
    )
    assert len(set(parted.profile_ids)) == 2
    assert len(set(await unmerge.mend_cut(app, parted.cut_id, actor="test", reason="one after all"))) == 1
    [reply] = (await app.run(lambda connection: list_doubtful_replies(connection, limit=10))).rows
    await annul_opt_out(app, reply.entry_id, actor="test")

    assert await facts.values("SELECT DISTINCT profile_id FROM consent") == [await facts.who("email", ADA)]
    assert await may_mail(facts, run_id) == []


async def test_as_the_app_messages_are_claimed_sent_and_answered(
    app_url: str, temporal: TemporalDevServer
) -> None:
    async with GateHarness(app_url, temporal.client) as gate_env:
        run_id = await gate_env.one_cart()
        result = await gate_env.sends(gate_env.ask(run_id, "reminder", "lamp"))
        assert (await gate_env.message(run_id, "reminder"))["status"] == result.status == "sent"
    async with opened(app_url) as api:
        path = f"/v1/profiles/email/{shopper(1)['email']}"
        answer = await api.client.put(
            f"{path}/consents", json={"channel": "sms", "state": "withdrawn"}, headers=ADMIN
        )
        await api.results(
            "/v1/events", event("Order Completed", properties=gate_env.order("lamp", order_id="o"))
        )

        assert answer.status_code == 200, answer.text
        assert (await api.client.get("/readyz")).status_code in (200, 503)
        assert [one["verdict"] for one in (await api.read(f"{path}/decisions"))["decisions"]] == ["allow"]
