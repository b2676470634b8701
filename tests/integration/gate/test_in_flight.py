"""What is under way when a purchase lands: the time from claim to the provider's yes, and who fell in."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from activities.gate.send_gate import SendClaim
from api.http.metrics import Metrics
from policy.verdict import Channel
from profiles.db.sql import new_id
from profiles.messaging.claims import record_sent
from profiles.views import backlog
from tests.support.environments.api import opened
from tests.support.environments.gate import GateHarness, shopper

ADA = shopper(1)

NOW = datetime.now(UTC)


async def figures(gate_env: GateHarness) -> backlog.Backlog:
    """What operators see."""
    async with gate_env.database.transaction() as connection:
        return await backlog.load_backlog(connection, include_in_flight=True)


async def asks(
    gate_env: GateHarness,
    run_id: UUID,
    step: str = "mail",
    product: str = "lamp",
    channel: Channel = Channel.EMAIL,
) -> SendClaim:
    """The claim of a message that promotes something, made now."""
    claim = await gate_env.claims(gate_env.ask(run_id, step, product, channel=channel, at=NOW), at=NOW)
    assert isinstance(claim, SendClaim)
    return claim


async def accepted(gate_env: GateHarness, claim: SendClaim) -> None:
    """The provider takes a message."""
    async with gate_env.database.transaction() as connection:
        await record_sent(
            connection, claim.message_id, claim.token, provider="ledger", provider_id="1", at=NOW
        )


async def buys(gate_env: GateHarness, product: str = "lamp") -> None:
    """Ada buys something."""
    await gate_env.takes("Order Completed", gate_env.order(product, order_id=f"o-{product}"), **ADA)


@pytest.fixture
async def run_id(gate_env: GateHarness) -> UUID:
    return await gate_env.one_cart()


async def test_a_message_keeps_when_postgres_heard_that_the_provider_took_it(
    gate_env: GateHarness, run_id: UUID
) -> None:
    claim = await asks(gate_env, run_id)
    claimed = await gate_env.message(run_id, "mail")
    await accepted(gate_env, claim)
    first = await gate_env.message(run_id, "mail")
    await accepted(gate_env, claim)

    assert claimed["accept_recorded_at"] is None
    # By the clock of Postgres, whatever instant the run goes by.
    assert first["accept_recorded_at"] > first["claim_recorded_at"]
    assert first["sent_at"] == NOW
    assert (await gate_env.message(run_id, "mail"))["accept_recorded_at"] == first["accept_recorded_at"]


async def test_the_time_from_claim_to_accept_is_told_by_channel_over_the_last_hour(
    gate_env: GateHarness, run_id: UUID
) -> None:
    insert = (
        "INSERT INTO message (message_id, profile_id, run_id, step, journey, channel, template, "
        "message_class, items, status, decided_at, claim_recorded_at, accept_recorded_at) "
        "SELECT gen_random_uuid(), $1, $1, $2 || n, 'j', $2, 't', 'marketing', '{}', 'sent', now(), "
        "now() - $3::interval - n * interval '1 s', now() - $3::interval FROM generate_series(1, 101) n"
    )
    await gate_env.fetch_rows(insert, new_id(), "email", timedelta(minutes=1))
    await gate_env.fetch_rows(insert, new_id(), "sms", timedelta(minutes=61))
    page = Metrics().render(await figures(gate_env), 0).decode()

    assert 'waypost_claim_to_accept_seconds{channel="email",quantile="0.5"} 51.0' in page
    assert 'waypost_claim_to_accept_seconds{channel="email",quantile="0.99"} 100.0' in page
    assert 'channel="sms"' not in page


async def test_what_a_purchase_finds_under_way_is_counted_once_the_provider_took_it(
    gate_env: GateHarness, run_id: UUID
) -> None:
    claim = await asks(gate_env, run_id)
    await buys(gate_env)
    await buys(gate_env, "chair")
    before = (await figures(gate_env)).in_flight_at_purchase
    await accepted(gate_env, claim)
    async with opened(gate_env.url) as api:
        page = (await api.client.get("/metrics")).text

    assert before == 0
    assert "\nwaypost_messages_in_flight_at_purchase 1.0\n" in page
    assert 'waypost_claim_to_accept_seconds{channel="email",quantile="0.99"} ' in page


async def test_what_was_accepted_before_the_purchase_or_promotes_something_else_is_not_counted(
    gate_env: GateHarness, run_id: UUID
) -> None:
    await accepted(gate_env, await asks(gate_env, run_id))
    other = await asks(gate_env, run_id, "text", "chair", Channel.SMS)
    await buys(gate_env)
    await accepted(gate_env, other)
    counted = (await figures(gate_env)).in_flight_at_purchase
    await gate_env.fetch_rows("UPDATE message SET accept_recorded_at = now() WHERE step = 'mail'")
    within = (await figures(gate_env)).in_flight_at_purchase
    await gate_env.fetch_rows(
        "UPDATE message SET accept_recorded_at = accept_recorded_at - interval '25 h', "
        "claimed_at = claimed_at - interval '25 h', claim_recorded_at = claim_recorded_at - interval '25 h'"
    )
    await gate_env.fetch_rows("UPDATE purchase SET recorded_at = recorded_at - interval '25 h'")

    assert (counted, within) == (0, 1)
    assert (await figures(gate_env)).in_flight_at_purchase == 0


async def test_a_purchase_that_began_before_the_claim_it_waited_for_comes_after_it(
    gate_env: GateHarness, run_id: UUID
) -> None:
    waits = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "HAVING count(*) = $1"
    )
    async with gate_env.database.transaction() as connection:
        await connection.execute("SELECT 1 FROM profile FOR NO KEY UPDATE")
        claiming = asyncio.create_task(asks(gate_env, run_id))
        await gate_env.wait_for_rows(waits, 1)
        buying = asyncio.create_task(buys(gate_env))
        await gate_env.wait_for_rows(waits, 2)
    claim = await claiming
    await buying
    [bought] = await gate_env.fetch_rows(
        "SELECT p.recorded_at, e.recorded_at AS began FROM purchase p JOIN event e USING (event_id)"
    )
    message = await gate_env.message(run_id, "mail")
    await accepted(gate_env, claim)

    assert bought["began"] < message["claim_recorded_at"] < bought["recorded_at"]
    assert (await figures(gate_env)).in_flight_at_purchase == 1


async def test_the_figures_are_read_by_index(gate_env: GateHarness) -> None:
    rows = await gate_env.fetch_rows(f"EXPLAIN {backlog._SELECT_BACKLOG}", True)
    plan = "\n".join(row["QUERY PLAN"] for row in rows)

    assert "message_accepted" in plan
    assert "purchase_recorded" in plan
    assert "audience_member_leaving" in plan
