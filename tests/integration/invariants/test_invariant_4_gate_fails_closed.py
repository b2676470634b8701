"""Invariant 4: the gate fails closed, and the books of decisions, messages and calls balance."""

import asyncio
import random
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from temporalio.exceptions import ApplicationError

from activities.channels.adapter import MaybeSent, NotSent
from activities.contracts import SendStatus
from activities.gate.send_gate import SendGate
from authoring.testing.calendar import DEFAULT_START
from policy.limits import Limits
from policy.verdict import Channel, Reason, Withhold
from profiles.db.database import Database
from profiles.messaging import claims
from profiles.messaging.snapshot import SnapshotQuery
from tests.support.environments.gate import UNLIMITED, GateHarness, PausedCommitDatabase, refused, shopper
from tests.support.proof_size import size
from tests.support.queries.snapshot import erase

UNEXPLAINED = """
SELECT m.message_id, m.status FROM message m
WHERE m.status IN ('withheld', 'deferred', 'released') AND m.reason IS NULL
   OR NOT EXISTS (SELECT 1 FROM decision d WHERE d.message_id = m.message_id)
   OR m.status IN ('claimed', 'sent', 'unknown')
      AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.message_id = m.message_id AND d.verdict = 'allow')
"""
"""Messages that are planned and unsent without a reason, or stand without the decision they need."""


async def unbalanced(gate_env: GateHarness) -> list[str]:
    """What the books cannot explain: each call needs an allow of its own, each message its decision."""
    faults = [
        f"message {row['message_id']} is {row['status']}" for row in await gate_env.fetch_rows(UNEXPLAINED)
    ]
    counted = await gate_env.fetch_rows(
        "SELECT message_id::text AS id, count(*) AS n FROM decision WHERE verdict = 'allow' GROUP BY 1"
    )
    allows = {row["id"]: row["n"] for row in counted}
    for ledger in gate_env.ledgers.values():
        faults += [f"call of {message_id} without a claim" for message_id in ledger.unlicensed]
        for message_id, calls in ledger.calls.items():
            if calls > allows.get(message_id, 0):
                faults.append(f"{calls} calls of {message_id}, {allows.get(message_id, 0)} allows")
    return faults


@pytest.mark.parametrize(
    "table",
    ["suppression", "decision", "message", "consent_state", "opt_out", "identifier", "kill_switch"],
)
async def test_invariant_4_nothing_is_sent_where_the_gate_cannot_read_or_write(
    gate_env: GateHarness, table: str
) -> None:
    _, request = await gate_env.reminder()
    await gate_env.fetch_rows(f"ALTER TABLE {table} RENAME TO gone")
    with pytest.raises((asyncpg.PostgresError, DBAPIError)):
        await gate_env.sends(request)
    await gate_env.fetch_rows(f"ALTER TABLE gone RENAME TO {table}")
    after_the_failure = await gate_env.messages()
    sent = await gate_env.sends(request)

    assert after_the_failure == []
    assert sent.status is SendStatus.SENT
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 1
    assert await unbalanced(gate_env) == []


async def test_invariant_4_nothing_is_sent_where_the_claim_cannot_commit(gate_env: GateHarness) -> None:
    run_id = await gate_env.one_cart()
    await gate_env.fetch_rows(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no commit''; END'"
    )
    await gate_env.fetch_rows(
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON message DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(Exception, match="no commit"):
        await gate_env.sends(gate_env.ask(run_id, "reminder", "lamp"))

    assert gate_env.ledgers[Channel.EMAIL].calls == {}
    assert await gate_env.decisions() == []


async def test_invariant_4_nothing_is_sent_where_the_connection_dies_inside_the_gate(
    gate_env: GateHarness,
) -> None:
    _, request = await gate_env.reminder()
    held = PausedCommitDatabase(gate_env.url)
    view = gate_env.build_event("Order Completed", gate_env.order("chair", order_id="o-1"), **shopper(1))
    blocker = asyncio.create_task(gate_env.ingest_on(held)([view]))
    await held.worked.wait()
    attempt = asyncio.create_task(gate_env.sends(request))
    assert await gate_env.someone_waits_for_a_lock(or_done=attempt)
    await gate_env.fetch_rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    [outcome] = await asyncio.gather(attempt, return_exceptions=True)
    held.may_commit.set()
    await blocker
    await held.close()

    assert isinstance(outcome, Exception)
    assert gate_env.ledgers[Channel.EMAIL].calls == {}
    assert (await gate_env.sends(request)).status is SendStatus.SENT


async def test_invariant_4_what_cannot_be_computed_is_withheld_as_error_on_record_and_tried_again(
    gate_env: GateHarness,
) -> None:
    run_id, request = await gate_env.reminder()
    without_offset = request.model_copy(update={"expires_at": request.expires_at.replace(tzinfo=None)})
    with pytest.raises(ApplicationError, match="the gate could not decide") as refused:
        await gate_env.sends(without_offset)
    on_record = await gate_env.message(run_id, "reminder")
    second = await gate_env.sends(request)

    assert refused.value.non_retryable is False
    assert (on_record["status"], on_record["reason"]) == ("withheld", "error")
    assert second.status is SendStatus.SENT
    assert [(d["verdict"], d["reason"]) for d in await gate_env.decisions()] == [
        ("withhold", "error"),
        ("allow", None),
    ]
    assert await unbalanced(gate_env) == []


async def test_invariant_4_a_kill_switch_stops_claims_and_says_so(gate_env: GateHarness) -> None:
    gate_env.gate = SendGate(gate_env.database, Limits(kill_switches=("all",)))
    run_id, request = await gate_env.reminder()

    assert refused(await gate_env.claims(request)) == (Withhold, Reason.KILL_SWITCH)
    assert (await gate_env.message(run_id, "reminder"))["status"] == "withheld"


async def test_invariant_4_a_message_that_cannot_be_written_is_given_back_with_the_reason_content(
    gate_env: GateHarness,
) -> None:
    run_id = await gate_env.one_cart()
    # The template needs an item, and this request promotes and shows none.
    nothing = gate_env.ask(run_id, "reminder").model_copy(update={"promoting": None})
    result = await gate_env.sends(nothing)
    row = await gate_env.message(run_id, "reminder")

    assert (result.status, result.reason) == (SendStatus.WITHHELD, Reason.CONTENT)
    assert (row["status"], row["reason"]) == ("released", "content")
    assert gate_env.ledgers[Channel.EMAIL].calls == {}
    assert await unbalanced(gate_env) == []


async def test_invariant_4_the_books_know_an_unexplained_message(gate_env: GateHarness) -> None:
    run_id = await gate_env.one_cart()
    await gate_env.sends(gate_env.ask(run_id, "reminder", "lamp"))
    await erase(gate_env.database, "DELETE FROM decision")
    balance_without_decision = await unbalanced(gate_env)
    await gate_env.fetch_rows("UPDATE message SET status = 'withheld', reason = NULL")

    assert len(balance_without_decision) == 2
    assert len(await unbalanced(gate_env)) == 2


@pytest.mark.parametrize(
    "odd",
    [
        "INSERT INTO kill_switch VALUES ('country', 'de', now(), 'newer than this code', 'test')",
        "UPDATE message SET channel = 'fax' WHERE step = 'earlier'",
    ],
    ids=["a switch of an unknown kind", "a message on an unknown channel"],
)
async def test_invariant_4_what_cannot_be_read_is_deferred_as_error_on_record_and_asked_again(
    gate_env: GateHarness, odd: str
) -> None:
    run_id = await gate_env.one_cart()
    await gate_env.sends(gate_env.ask(run_id, "earlier", "lamp"))
    await gate_env.fetch_rows(odd)
    request = gate_env.ask(run_id, "reminder", "lamp")
    with pytest.raises(ApplicationError, match="deferred, error: the facts cannot be read") as refused:
        await gate_env.sends(request)
    on_record = await gate_env.message(run_id, "reminder")
    last = await gate_env.sends(request, at=request.expires_at)
    await gate_env.fetch_rows("DELETE FROM kill_switch")
    await gate_env.fetch_rows("UPDATE message SET channel = 'email'")
    sent = await gate_env.sends(request)

    assert refused.value.next_retry_delay == timedelta(minutes=1)
    assert refused.value.non_retryable is False
    assert (on_record["status"], on_record["reason"]) == ("deferred", "error")
    assert (last.status, last.reason) == (SendStatus.WITHHELD, Reason.ERROR)
    assert sent.status is SendStatus.SENT
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 2
    assert await unbalanced(gate_env) == []


async def test_invariant_4_a_message_of_an_unknown_status_may_have_been_sent(gate_env: GateHarness) -> None:
    _, request = await gate_env.reminder()
    await gate_env.sends(request)
    await gate_env.fetch_rows("UPDATE message SET status = 'forwarded'")
    again = await gate_env.sends(request)

    assert again.status is SendStatus.UNKNOWN
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 1


async def test_invariant_4_nothing_is_sent_for_a_run_that_is_not_on_file(gate_env: GateHarness) -> None:
    run_id = await gate_env.one_cart()
    await gate_env.fetch_rows("DELETE FROM run")
    with pytest.raises(ApplicationError, match="no run") as refused:
        await gate_env.sends(gate_env.ask(run_id, "reminder", "lamp"))

    assert refused.value.non_retryable
    assert gate_env.ledgers[Channel.EMAIL].calls == {}


@pytest.mark.parametrize(
    ("waits_for", "bound", "fault"),
    [
        ("SELECT 1 FROM profile FOR UPDATE", "lock_timeout", asyncpg.LockNotAvailableError),
        ("LOCK TABLE cart", "statement_timeout", asyncpg.QueryCanceledError),
        ("LOCK TABLE profile", None, TimeoutError),
    ],
    ids=["a person's lock", "a statement", "a table's lock"],
)
async def test_invariant_4_nothing_is_sent_where_the_database_is_slow(
    gate_env: GateHarness,
    monkeypatch: pytest.MonkeyPatch,
    waits_for: str,
    bound: str | None,
    fault: type[Exception],
) -> None:
    _, request = await gate_env.reminder()
    soon = claims.GATE_TIMEOUTS.replace(f"{bound} => '5s'", f"{bound} => '50ms'")
    monkeypatch.setattr("profiles.messaging.claims.GATE_TIMEOUTS", soon)
    monkeypatch.setattr("activities.gate.send_gate.GATE_DEADLINE_S", 0.05 if bound is None else 6.0)
    held, enough = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with gate_env.database.transaction() as connection:
            await connection.execute(waits_for)
            held.set()
            await enough.wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    with pytest.raises(fault):
        await gate_env.sends(request)
    enough.set()
    await holder

    assert gate_env.ledgers[Channel.EMAIL].calls == {}
    assert await gate_env.messages() == []
    monkeypatch.undo()
    assert (await gate_env.sends(request)).status is SendStatus.SENT


async def test_invariant_4_the_gates_patience_ends_with_its_transaction(gate_env: GateHarness) -> None:
    run_id = await gate_env.one_cart()
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    async with gate_env.database.transaction() as connection:
        before = [await connection.fetchval(f"SHOW {name}") for name in names]
        await claims.read_locked_snapshot(connection, SnapshotQuery(run_id, "s", "email", DEFAULT_START))
        inside = [await connection.fetchval(f"SHOW {name}") for name in names]
        backend = await connection.fetchval("SELECT pg_backend_pid()")
    async with gate_env.database.transaction() as connection:
        same = backend == await connection.fetchval("SELECT pg_backend_pid()")
        after = [await connection.fetchval(f"SHOW {name}") for name in names]

    assert inside == ["5s", "5s", "10s"]
    assert same
    assert after == before


async def test_invariant_4_nothing_is_sent_where_no_connection_is_free(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, request = await gate_env.reminder()
    small = Database(gate_env.url, pool_size=1)
    monkeypatch.setattr(small.engine.sync_engine.pool, "_timeout", 0.05)
    async with small.transaction(), small.transaction():
        with pytest.raises(SQLAlchemyError, match="QueuePool limit"):
            await gate_env.sends(request, sender=gate_env.sender(gate=SendGate(small, UNLIMITED)))
    await small.close()

    assert gate_env.ledgers[Channel.EMAIL].calls == {}
    assert await gate_env.messages() == []


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_invariant_4_the_books_balance_after_all_kinds_of_people_and_failures(
    gate_env: GateHarness,
) -> None:
    gate_env.gate = SendGate(gate_env.database, Limits())
    chance = random.Random(4)
    people, sender = size(24, 300), gate_env.sender()
    turns = asyncio.Semaphore(10)
    runs = [
        await gate_env.leaves_cart(["lamp", "chair"], cart_id=f"c-{n}", **shopper(n)) for n in range(people)
    ]
    for number in range(0, people, 3):
        await gate_env.takes("Consent Changed", {"channel": "email", "state": "withdrawn"}, **shopper(number))
    for ledger in gate_env.ledgers.values():
        ledger.answers = [NotSent("refused"), MaybeSent("reset"), NotSent("bad", permanent=True)] * (
            people // 4
        )

    async def one(number: int, step: int) -> None:
        channel = chance.choice([Channel.EMAIL, Channel.SMS])
        at = DEFAULT_START + timedelta(hours=chance.randrange(72))
        request = gate_env.ask(
            runs[number], f"step-{step}", "lamp", "chair", channel=channel, cart_id=f"c-{number}", at=at
        )
        async with turns:
            if chance.random() < 0.2:
                await gate_env.takes(
                    "Order Completed",
                    gate_env.order("lamp", order_id=f"o-{number}-{step}"),
                    **shopper(number),
                )
            for _ in range(2):
                try:
                    await gate_env.sends(request, at=at, sender=sender)
                except ApplicationError:
                    continue

    await asyncio.gather(*(one(number, step) for step in range(4) for number in range(people)))

    assert await unbalanced(gate_env) == []
    reasons = {
        row["reason"]
        for row in await gate_env.fetch_rows("SELECT DISTINCT reason FROM decision WHERE reason IS NOT NULL")
    }
    assert {"opted_out", "quiet_hours", "capped"} <= reasons
    assert gate_env.ledgers[Channel.EMAIL].accepted
