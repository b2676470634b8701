"""Two profiles turn out to be one person while journeys of both wait."""

from datetime import UTC, datetime, timedelta

from temporalio.client import WorkflowExecutionStatus

from authoring.testing.environment import Row, Waypost
from local.temporal_server import TemporalDevServer
from tests.support.journeys.small import Watch

LAMP = {"product_id": "lamp", "name": "Aria lamp", "cart_id": "c-1"}
YES = {"consents": {"email": True}}


async def test_a_purchase_whose_event_merges_two_people_ends_the_cart_run_of_the_other(
    waypost: Waypost,
) -> None:
    await waypost.ingest_event("Product Added", LAMP, traits=YES, email="ada@example.com")
    run = await waypost.run("cart-abandonment")
    await waypost.ingest_event(
        "Product Viewed", {"product_id": "chair"}, loyalty_id="card-7", channel="store"
    )
    people_before = await waypost.fetch_rows("SELECT 1 FROM profile WHERE merged_into IS NULL")
    receipt = {"order_id": "r-1", "products": [{"product_id": "lamp", "sku": "lamp-red"}]}
    await waypost.ingest_event(
        "Order Completed", receipt, channel="store", loyalty_id="card-7", email="ada@example.com"
    )

    assert (await waypost.run_result(run)).outcome == "bought"
    assert len(people_before) == 2
    assert len(await waypost.fetch_rows("SELECT 1 FROM profile WHERE merged_into IS NULL")) == 1
    assert [m for m in await waypost.messages() if m["journey"] == "cart-abandonment"] == []


async def test_a_purchase_under_the_older_identity_ends_the_run_that_came_with_the_younger_one(
    waypost: Waypost,
) -> None:
    await waypost.ingest_event(
        "Product Viewed", {"product_id": "chair"}, loyalty_id="card-7", channel="store"
    )
    await waypost.ingest_event("Product Added", LAMP, traits=YES, email="ada@example.com")
    run = await waypost.run("cart-abandonment")
    await waypost.ingest_event("Identify", {}, loyalty_id="card-7", email="ada@example.com")
    await waypost.ingest_event(
        "Order Completed", {"order_id": "r-1", "products": [{"product_id": "lamp"}]}, channel="store",
        loyalty_id="card-7",
    )  # fmt: skip

    assert (await waypost.run_result(run)).outcome == "bought"


async def test_of_two_live_runs_of_one_person_the_older_stays_and_the_younger_ends_as_merged(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(Watch,)) as waypost:
        await waypost.ingest_event("Product Viewed", {"product_id": "lamp"}, email="ada@example.com")
        older = await waypost.run("watch")
        await waypost.ingest_event("Product Viewed", {"product_id": "lamp"}, loyalty_id="card-7")
        younger = await waypost.run("watch")
        await waypost.ingest_event("Identify", {}, email="ada@example.com", loyalty_id="card-7")

        assert (await waypost.run_result(younger)).outcome == "merged"
        status = {
            row["run_id"]: (await waypost.handle(row).describe()).status
            for row in await waypost.fetch_rows("SELECT * FROM run")
        }
        states = await waypost.fetch_rows(
            "SELECT run_id, state, outcome, key, profile_id::text AS p FROM run ORDER BY 1"
        )
        assert status == {
            older["run_id"]: WorkflowExecutionStatus.RUNNING,
            younger["run_id"]: WorkflowExecutionStatus.COMPLETED,
        }
        assert [(row["run_id"], row["state"], row["outcome"]) for row in states] == [
            (older["run_id"], "running", None),
            (younger["run_id"], "ended", "merged"),
        ]
        assert {row["p"] for row in states} == {older["key"]}


async def test_after_a_merge_the_run_that_stayed_hears_events_of_both_identities(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(Watch,)) as waypost:
        await waypost.ingest_event("Product Viewed", {"product_id": "lamp"}, email="ada@example.com")
        older = await waypost.run("watch")
        await waypost.ingest_event("Product Viewed", {"product_id": "lamp"}, loyalty_id="card-7")
        await waypost.ingest_event("Identify", {}, email="ada@example.com", loyalty_id="card-7")
        for identity in ({"email": "ada@example.com"}, {"loyalty_id": "card-7"}):
            await waypost.ingest_event("Product Viewed", {"product_id": "chair"}, **identity)
        details = await waypost.run_details(older)

        assert details.count("Product Viewed") == 3
        assert len(await waypost.fetch_rows("SELECT 1 FROM run")) == 2


async def cart_is_called_otherwise(waypost: Waypost) -> Row:
    """A run whose cart turns out to be older than it: the phone was offline, and is heard of last."""
    now, minute = datetime.now(UTC), timedelta(minutes=1)
    lamp, chair = ({"product_id": name, "name": name.title()} for name in ("lamp", "chair"))
    ada = {"email": "ada@example.com"}
    await waypost.ingest_event("Product Added", chair, traits=YES, time=now - 20 * minute, **ada)
    run = await waypost.run("cart-abandonment")
    await waypost.ingest_event("Product Added", lamp, time=now - 30 * minute, anonymous_id="m-5f2a")
    await waypost.ingest_event("Signed In", {}, time=now - minute, anonymous_id="m-5f2a", **ada)
    [row] = await waypost.fetch_rows("SELECT key, state FROM run WHERE run_id = $1", run["run_id"])
    assert row["state"] == "running"
    assert row["key"] != run["key"]
    return run


async def test_a_run_whose_cart_is_called_otherwise_since_a_merge_still_hears_that_it_was_bought(
    waypost: Waypost,
) -> None:
    run = await cart_is_called_otherwise(waypost)
    receipt = {"order_id": "r-1", "products": [{"product_id": "lamp"}, {"product_id": "chair"}]}
    await waypost.ingest_event(
        "Order Completed", receipt, channel="store", time=datetime.now(UTC), email="ada@example.com"
    )

    assert (await waypost.run_result(run)).outcome == "bought"
    assert [m for m in await waypost.messages() if m["journey"] == "cart-abandonment"] == []


async def test_a_run_whose_cart_is_called_otherwise_since_a_merge_still_reminds_of_all_of_it(
    waypost: Waypost,
) -> None:
    run = await cart_is_called_otherwise(waypost)
    await waypost.advance_run(run, timedelta(hours=2))
    sent = [m for m in await waypost.messages() if m["run_id"] == run["run_id"] and m["sent_at"]]

    assert [{"lamp", "chair"}] == [set(message["items"]) for message in sent[:1]]
