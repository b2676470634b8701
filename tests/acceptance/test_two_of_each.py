"""Two relays and two workers at once, as in production: order holds, and everything happens once."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.converter import default

from tests.support.environments.installation import LAMP, YES, Installation
from tests.support.proof_size import size

pytestmark = pytest.mark.proof

SHOPPERS = size(ci=12, full=200)
STEPS = 6
WITHIN_S = size(ci=20, full=90)


async def leaves_a_cart(installation: Installation, email: str, first: asyncio.Event) -> None:
    """Somebody adds one product after the other, and buys them in the end."""
    await first.wait()
    cart = {"cart_id": f"cart-of-{email.partition('@')[0]}"}
    products = [LAMP | {"product_id": f"lamp-{n}"} for n in range(STEPS)]
    for product in products:
        await installation.happens("Product Added", product | cart, traits=YES, email=email)
    order = {"order_id": f"order-of-{email.partition('@')[0]}", "products": products}
    await installation.happens("Order Completed", order, email=email)


async def signals(installation: Installation, workflow_id: str) -> list[str]:
    """Ids of the events that Temporal has of a run, in its order."""
    handle = (await installation.temporal()).get_workflow_handle(workflow_id)
    ids = []
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            attributes = event.workflow_execution_signaled_event_attributes
            [payload] = await default().decode(list(attributes.input.payloads))
            ids.append(payload["id"])
    return ids


async def test_invariant_2_two_relays_and_two_workers_keep_order_and_do_everything_once(
    installation: Installation,
) -> None:
    await asyncio.gather(installation.start_beside("relay"), installation.start_beside("worker"))
    people = [f"shopper-{n}@example.com" for n in range(SHOPPERS)]
    first = asyncio.Event()
    shopping = asyncio.gather(*(leaves_a_cart(installation, email, first) for email in people))
    first.set()
    await shopping
    for email in people:
        await installation.ended(email, "cart-abandonment", within_s=WITHIN_S)
        await installation.settled(email, "order_confirmation", "sent", within_s=WITHIN_S)
    ordered = await installation.rows(
        "SELECT workflow_id, array_agg(o.event_id::text ORDER BY o.seq) AS events FROM run r "
        "JOIN outbox o ON o.lane = r.run_id WHERE r.journey = 'cart-abandonment' GROUP BY workflow_id"
    )
    told = {row["workflow_id"]: await signals(installation, row["workflow_id"]) for row in ordered}

    assert len(ordered) == SHOPPERS
    assert told == {row["workflow_id"]: row["events"] for row in ordered}
    assert {len(events) for events in told.values()} == {STEPS + 1}
    runs = await installation.rows("SELECT journey, outcome, count(*) FROM run GROUP BY journey, outcome")
    assert {(run["journey"], run["outcome"]): run["count"] for run in runs} == {
        ("cart-abandonment", "bought"): SHOPPERS,
        ("post-purchase", None): SHOPPERS,
    }
    assert Counter(one.to for one in installation.mail.delivered) == dict.fromkeys(people, 1)


async def test_invariant_3_messages_of_many_runs_are_sent_once_by_two_workers(
    installation: Installation,
) -> None:
    people = [f"dreamer-{n}@example.com" for n in range(SHOPPERS)]
    for n, email in enumerate(people):
        await installation.happens("Product Added", LAMP | {"cart_id": f"dream-{n}"}, traits=YES, email=email)
    runs = [await installation.run(email, "cart-abandonment") for email in people]
    await asyncio.gather(*(installation.passes(run, timedelta(hours=2)) for run in runs))
    for email in people:
        await installation.settled(email, "cart_reminder", "sent")

    times = Counter(one.to for one in installation.mail.delivered)
    assert {email: times[email] for email in people} == dict.fromkeys(people, 1)
