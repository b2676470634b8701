"""A cart that is filled on one device and continued on another is one cart, with one run."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from profiles.db.database import Database
from profiles.merging.unmerge import cut_identifiers
from profiles.messaging.claims import read_locked_snapshot
from profiles.messaging.snapshot import SnapshotQuery
from profiles.state.run_keys import run_key
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, RoutedJourney, order

JOURNEYS = (CARTS,)

ADA = "ada@example.com"

MINUTE = timedelta(minutes=1)


async def cart_at_the_gate(facts: IngestHarness, run_id: UUID, begun_as: str) -> list[str] | None:
    """Products that the gate sees in the cart of a run, which asks by the key it was started with."""
    async with facts.database.transaction() as connection:
        ask = SnapshotQuery(
            run_id, "reminder", "email", facts.now, cart_id=begun_as, promoted_items=(("lamp", None),)
        )
        snapshot = await read_locked_snapshot(connection, ask)
    assert snapshot is not None
    return None if snapshot.cart is None else sorted(line["product_id"] for line in snapshot.cart)


async def adds(facts: IngestHarness, product: dict[str, Any], minutes_ago: int, **who: str) -> None:
    await facts.happens("Product Added", product, ago=minutes_ago * MINUTE, **who)


async def on_phone_then_web(facts: IngestHarness, *, web_first: bool) -> dict[str, dict[str, Any]]:
    """The lamp on the phone, without a login, then the chair on the web; which is heard of first differs."""
    told = [
        ("phone", lambda: adds(facts, LAMP, 30, anonymous_id="m-5f2a")),
        ("web", lambda: adds(facts, CHAIR, 20, email=ADA)),
    ]
    runs: dict[str, dict[str, Any]] = {}
    for device, tell in reversed(told) if web_first else told:
        await tell()
        [runs[device]] = [run for run in await facts.runs() if run not in runs.values()]
    return runs


@pytest.mark.parametrize("web_first", [False, True], ids=["in order", "the phone was offline"])
async def test_a_cart_filled_on_the_phone_and_continued_on_the_web_is_one_cart_with_one_run(
    facts: IngestHarness, web_first: bool
) -> None:
    runs = await on_phone_then_web(facts, web_first=web_first)
    older, younger = runs["web" if web_first else "phone"], runs["phone" if web_first else "web"]
    await facts.happens("Signed In", anonymous_id="m-5f2a", email=ADA)

    assert list((await facts.carts()).values()) == [["chair", "lamp"]]
    [live], [ended] = await facts.runs(), await facts.runs("ended")
    assert (live["run_id"], ended["run_id"]) == (older["run_id"], younger["run_id"])
    assert ended["outcome"] == "merged"
    assert [live["key"]] == list(await facts.carts())
    lines = "SELECT jsonb_array_length(payload -> 'cart') FROM outbox WHERE lane = $1 ORDER BY seq DESC"
    assert (await facts.values(lines, live["run_id"]))[0] == 2
    assert await cart_at_the_gate(facts, live["run_id"], older["key"]) == ["chair", "lamp"]


async def test_a_cart_with_the_channels_own_id_stays_its_own(facts: IngestHarness) -> None:
    await adds(facts, LAMP, 30, anonymous_id="m-5f2a")
    await adds(facts, CHAIR | {"cart_id": "web-7"}, 20, email=ADA)
    before = {run["run_id"]: run["key"] for run in await facts.runs()}
    await facts.happens("Signed In", anonymous_id="m-5f2a", email=ADA)

    carts = await facts.carts()
    assert sorted(carts.values()) == [["chair"], ["lamp"]]
    assert carts["web-7"] == ["chair"]
    assert {run["run_id"]: run["key"] for run in await facts.runs()} == before
    for run_id, key in before.items():
        assert await cart_at_the_gate(facts, run_id, key) == carts[key]


async def test_parted_again_each_has_the_cart_that_was_theirs_and_a_run_that_knows_it(
    facts: IngestHarness,
) -> None:
    runs = await on_phone_then_web(facts, web_first=True)
    before = await facts.carts()
    await facts.happens("Signed In", anonymous_id="m-5f2a", email=ADA)
    await cut_identifiers(
        facts.database, f"email:{ADA}", "anonymous_id:m-5f2a", actor="ops", reason="two people"
    )

    assert await facts.carts() == before
    [live] = await facts.runs()
    web = runs["web"]
    assert (live["run_id"], live["key"]) == (web["run_id"], web["key"])
    assert await cart_at_the_gate(facts, live["run_id"], web["key"]) == ["chair"]


async def test_a_strangers_cart_of_the_same_name_keeps_nobody_from_being_joined(facts: IngestHarness) -> None:
    await adds(facts, CHAIR | {"cart_id": "web-7"}, 30, email="bob@example.com")
    await adds(facts, LAMP | {"cart_id": "web-7"}, 20, anonymous_id="m-5f2a")
    await adds(facts, CHAIR, 10, email=ADA)
    strangers, own, younger = [run["run_id"] for run in await facts.runs()]
    joined = await facts.happens("Signed In", anonymous_id="m-5f2a", email=ADA)

    assert joined.status == "accepted"
    assert await facts.who("anonymous_id", "m-5f2a") == await facts.who("email", ADA)
    assert [run["run_id"] for run in await facts.runs()] == [strangers, own]
    assert younger not in (strangers, own)
    assert await cart_at_the_gate(facts, own, "web-7") == ["chair", "lamp"]


async def test_a_run_follows_its_cart_to_an_id_that_a_stranger_has_too(facts: IngestHarness) -> None:
    await adds(facts, CHAIR | {"cart_id": "web-7"}, 30, email="bob@example.com")
    await facts.happens(
        "Cart Viewed", {"cart_id": "web-7", "products": [LAMP]}, ago=20 * MINUTE, anonymous_id="m-5f2a"
    )
    await adds(facts, CHAIR, 10, email=ADA)
    own = (await facts.runs())[-1]
    await facts.happens("Signed In", anonymous_id="m-5f2a", email=ADA)

    assert [run_key(run["key"]) for run in await facts.runs()] == ["web-7", "web-7"]
    assert await cart_at_the_gate(facts, own["run_id"], own["key"]) == ["chair", "lamp"]


async def test_of_several_carts_of_one_person_each_run_gets_its_own_back_when_parted(
    facts: IngestHarness,
) -> None:
    await adds(facts, LAMP, 10, email=ADA)
    await facts.happens("Order Completed", order(LAMP), email=ADA, ago=20 * MINUTE)
    await adds(facts, LAMP, 30, email=ADA)
    await adds(facts, CHAIR, 25, anonymous_id="m-5f2a")
    began = {run["run_id"]: run["key"] for run in await facts.runs()}
    await facts.happens("Signed In", anonymous_id="m-5f2a", email=ADA)
    await cut_identifiers(
        facts.database, f"email:{ADA}", "anonymous_id:m-5f2a", actor="ops", reason="two people"
    )

    [live] = await facts.runs()
    assert len(began) == 3
    assert live["key"] == began[live["run_id"]]


async def test_runs_may_take_each_others_keys(facts: IngestHarness) -> None:
    await adds(facts, LAMP | {"cart_id": "web-1"}, 30, email=ADA)
    await adds(facts, CHAIR | {"cart_id": "web-2"}, 20, email=ADA)
    before = {run["run_id"]: run["key"] for run in await facts.runs()}
    one, other = before
    for run_id, key in ((one, "away"), (other, before[one]), (one, before[other])):
        await facts.rows("UPDATE run SET key = $2 WHERE run_id = $1", run_id, key)
    await facts.happens("Product Viewed", LAMP, anonymous_id="m-5f2a")
    joined = await facts.happens("Signed In", anonymous_id="m-5f2a", email=ADA)

    assert joined.status == "accepted"
    assert {run["run_id"]: run["key"] for run in await facts.runs()} == before


async def test_a_run_that_is_about_no_cart_is_shown_none(database: Database) -> None:
    views = RoutedJourney(name="views", starts=("Product Viewed",), listens=(), key_property="product_id")
    facts = IngestHarness(database, views)
    await adds(facts, LAMP | {"cart_id": "lamp"}, 3, email=ADA)
    await facts.happens("Product Viewed", LAMP, email=ADA)
    [run] = await facts.runs()
    async with database.transaction() as connection:
        snapshot = await read_locked_snapshot(
            connection, SnapshotQuery(run["run_id"], "s", "email", facts.now)
        )

    assert snapshot is not None
    assert snapshot.cart is None
