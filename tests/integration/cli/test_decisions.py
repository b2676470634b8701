"""Recorded decisions of all kinds, made again: none comes out otherwise, unless it was tampered with."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from activities.audiences import AudienceActivities
from activities.gate.send_gate import SendGate
from authoring.testing.calendar import DEFAULT_START
from cli.decisions import format_replay, replay_decisions
from local.temporal_server import TemporalDevServer
from policy.hours.windows import QuietHours
from policy.limits import Cap, Limits
from policy.replay import limits_to_json, policy_version
from policy.verdict import Channel, MessageClass
from profiles.views.history import list_decisions
from tests.support.environments.command import call_waypost
from tests.support.environments.gate import GateHarness, shopper
from workers.startup import store_policy_limits

DAY = timedelta(days=1)

STRICT = Limits(
    caps=(Cap(1, DAY, Channel.EMAIL),),
    quiet_hours={Channel.SMS: QuietHours(time(14), time(21))},
    suppression_window=timedelta(days=30),
)

OFF = replace(STRICT, kill_switches=("push",), holdout=100.0)

_UNGUARDED = "ALTER TABLE decision DISABLE TRIGGER USER"
"""What the tables' owner may do, and nobody else: the table refuses to be changed."""

TAMPERED = {
    "a verdict": "UPDATE decision SET verdict = 'allow', reason = NULL WHERE reason = 'capped'",
    "a reason": "UPDATE decision SET reason = 'purchased' WHERE reason = 'capped'",
    "an instant": "UPDATE decision SET until = until + interval '1 second' WHERE verdict = 'defer'",
    "the items": "UPDATE decision SET items_removed = '{}' WHERE verdict = 'allow' AND items_removed <> '{}'",
    "a fact": "UPDATE decision SET basis = basis #- '{facts,sent}' WHERE reason = 'capped'",
    "the version": f"UPDATE decision SET policy = '{policy_version(OFF)}' WHERE reason = 'capped'",
    "a basis that is none": "UPDATE decision SET basis = '{}' WHERE reason = 'capped'",
}


@pytest_asyncio.fixture(loop_scope="session")
async def shop(
    database_url: str, temporal: TemporalDevServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[GateHarness]:
    """A shop whose gate has decided in every way it can."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    async with GateHarness(database_url, temporal.client, limits=STRICT) as shop:
        await decide_in_every_way(shop)
        yield shop


async def decide_in_every_way(shop: GateHarness) -> None:
    """Under two versions of the policy, both kept."""
    await store_policy_limits(shop.database, STRICT)
    await store_policy_limits(shop.database, OFF)
    run_id = await shop.leaves_cart(["lamp", "chair"], cart_id="c-1", **shopper(1))
    await shop.takes("Order Completed", shop.order("chair", order_id="o-1"), **shopper(1))
    both = shop.ask(run_id, "first", "lamp", "chair", cart_id="c-1")
    await shop.claims(both)
    await shop.claims(shop.ask(run_id, "capped", "lamp"))
    await shop.claims(shop.ask(run_id, "bought", "chair"))
    await shop.claims(shop.ask(run_id, "quiet", "lamp", channel=Channel.SMS))
    await shop.claims(shop.ask(run_id, "no-push", "lamp", channel=Channel.PUSH))
    await shop.claims(shop.ask(run_id, "late", "lamp"), at=DEFAULT_START + 9 * DAY)
    await shop.claims(
        shop.ask(run_id, "receipt").model_copy(update={"promoting": None}),
        message_class=MessageClass.TRANSACTIONAL,
    )
    naive = shop.ask(run_id, "error", "lamp")
    await shop.claims(naive.model_copy(update={"expires_at": naive.expires_at.replace(tzinfo=None)}))
    await shop.allowed(shop.ask(run_id, "ads", "lamp", channel=Channel.ADS))
    off = SendGate(shop.database, OFF)
    await shop.claims(shop.ask(run_id, "killed", "lamp", channel=Channel.PUSH), gate=off)
    await shop.claims(shop.ask(run_id, "held-out", "lamp"), gate=off)
    await AudienceActivities(shop.database, OFF).decide_and_add(
        shop.ask(run_id, "no-ads", "lamp", channel=Channel.ADS), DEFAULT_START
    )


async def test_decisions_of_every_kind_come_out_as_they_were_recorded(shop: GateHarness) -> None:
    outcome = await replay_decisions(None)
    rows = await shop.decisions()

    assert outcome.flipped == []
    assert outcome.replayed == len(rows) == 12
    assert dict(outcome.policies) == {policy_version(STRICT): 9, policy_version(OFF): 3}
    assert {row["verdict"] for row in rows} == {"allow", "withhold", "defer"}
    assert {row["reason"] for row in rows} >= {
        *("capped", "purchased", "quiet_hours", "expired", "error", "holdout", "kill_switch"),
    }
    assert any(row["verdict"] == "allow" and row["items_removed"] for row in rows)
    assert format_replay(outcome) == "12 decisions replayed, by 2 version(s) of the policy: all as recorded."


async def test_a_decision_that_was_tampered_with_is_found(shop: GateHarness) -> None:
    await shop.fetch_rows(_UNGUARDED)
    await shop.fetch_rows("CREATE TABLE untouched AS TABLE decision")
    for name, tampering in TAMPERED.items():
        [touched] = await shop.fetch_rows(f"{tampering} RETURNING decision_id")
        outcome = await replay_decisions(None)
        [flip] = outcome.flipped

        assert touched["decision_id"] == flip.decision_id, name
        assert flip.recorded != flip.now, name
        assert "1 differ" in format_replay(outcome), name
        await shop.fetch_rows("DELETE FROM decision")
        await shop.fetch_rows("INSERT INTO decision SELECT * FROM untouched")

    assert (await replay_decisions(None)).flipped == []


async def test_what_is_kept_names_nobody_and_carries_its_version(shop: GateHarness) -> None:
    kept = await shop.fetch_rows("SELECT basis::text AS basis, length(basis::text) AS size FROM decision")
    async with shop.database.transaction() as connection:
        [run] = await shop.fetch_rows("SELECT DISTINCT run_id FROM decision")
        page = await list_decisions(connection, run_id=run["run_id"], limit=50)
    limits = await shop.fetch_rows("SELECT version, limits::text AS limits FROM policy ORDER BY recorded_at")

    assert not [one for one in kept for word in ("@", "+49", "shopper") if word in one["basis"]]
    assert max(one["size"] for one in kept) < 1500
    assert {view.policy for view in page.rows} == {policy_version(STRICT), policy_version(OFF)}
    assert {row["version"]: json.loads(row["limits"]) for row in limits} == {
        policy_version(each): limits_to_json(each) for each in (STRICT, OFF)
    }


async def test_what_cannot_be_made_again_is_counted_and_what_is_older_left_out_where_asked(
    shop: GateHarness,
) -> None:
    await shop.fetch_rows(_UNGUARDED)
    await shop.fetch_rows(
        "UPDATE decision SET recorded_at = now() - interval '3 days' WHERE verdict = 'allow'"
    )
    assert (await replay_decisions(2 * DAY)).replayed < (await replay_decisions(4 * DAY)).replayed == 12

    await shop.fetch_rows("UPDATE decision SET basis = NULL, policy = NULL WHERE reason = 'capped'")
    await shop.fetch_rows("DELETE FROM policy WHERE version = $1", policy_version(OFF))
    outcome = await replay_decisions(None)

    assert (outcome.replayed, outcome.without_basis, outcome.flipped) == (8, 1, [])
    assert dict(outcome.unknown_policies) == {policy_version(OFF): 3}
    assert "1 are older than the record of what they were based on." in format_replay(outcome)
    assert f"3 name policy {policy_version(OFF)}, which no process has kept" in format_replay(outcome)


async def test_the_command_ends_with_1_when_a_decision_flips(
    shop: GateHarness, database_url: str, tmp_path: Path
) -> None:
    await shop.fetch_rows(_UNGUARDED)
    await shop.fetch_rows(TAMPERED["a reason"])
    replay = ("decisions", "replay", "--since", "7d", "--json")
    done = call_waypost(*replay, folder=tmp_path, DATABASE_URL=database_url)
    told: dict[str, Any] = json.loads(done.stdout)

    assert done.exit_code == 1, done.stderr
    assert [(one["recorded"]["reason"], one["now"]["reason"]) for one in told["flipped"]] == [
        ("purchased", "capped")
    ]
