"""A run that sent nothing uses up no entry, however it ended; one that may have sent something does."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from policy.reentry import After, AtMost, Once, Reentry
from profiles.db.database import Database
from profiles.runs import routing
from profiles.runs.lifecycle import request_run_end
from tests.support.environments.ingest import CHAIR, LAMP, IngestHarness, RoutedJourney, order

ADA = "ada@example.com"

RULES: list[Any] = [
    pytest.param(After(timedelta(days=3)), id="after"),
    pytest.param(AtMost(1), id="at most"),
]

# Every way in which a run of the shipped journeys and of the engine ends.
ENDINGS = (
    *("bought", "emptied", "engaged", "nudged", "quiet", "not_contacted", "cancelled", "refunded", "merged"),
    *(
        "overflow",
        "failed",
        "gone",
        "timed_out",
        "terminated",
        "superseded",
        "completed",
        "asked",
        "not_asked",
    ),
)

MAY_HAVE_BEEN_SENT = ("claimed", "sent", "delivered", "opened", "bounced", "unknown", "unknown_final", "new")
"""Statuses of messages; ``new`` stands for one of a later version."""


def carts(database: Database, reentry: Reentry) -> IngestHarness:
    return IngestHarness(database, RoutedJourney(reentry=reentry))


async def entered(facts: IngestHarness, product: dict[str, Any] = LAMP) -> UUID:
    """Something goes into Ada's cart; the live run of it."""
    await facts.happens("Product Added", product | {"cart_id": "c"}, email=ADA)
    [run] = await facts.runs()
    run_id: UUID = run["run_id"]
    return run_id


@pytest.mark.parametrize("outcome", ENDINGS)
@pytest.mark.parametrize("reentry", RULES)
async def test_a_run_that_sent_nothing_uses_up_no_entry(
    database: Database, reentry: Reentry, outcome: str
) -> None:
    facts = carts(database, reentry)
    first = await entered(facts)
    await facts.close(first, outcome=outcome)

    assert await entered(facts, CHAIR) != first


@pytest.mark.parametrize("outcome", ENDINGS)
async def test_a_run_that_sent_something_uses_up_an_entry(database: Database, outcome: str) -> None:
    facts = carts(database, After(timedelta(days=3)))
    run_id = await entered(facts)
    await facts.sent(run_id)
    await facts.close(run_id, outcome=outcome)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA)

    assert await facts.runs() == []


@pytest.mark.parametrize(
    ("status", "runs"),
    [
        *(pytest.param(status, 1, id=status) for status in MAY_HAVE_BEEN_SENT),
        *(pytest.param(status, 2, id=status) for status in ("withheld", "deferred", "released")),
    ],
)
async def test_a_message_that_may_have_been_sent_counts_as_sent(
    database: Database, status: str, runs: int
) -> None:
    facts = carts(database, AtMost(1))
    run_id = await entered(facts)
    message = await facts.sent(run_id)
    await facts.rows("UPDATE message SET status = $2 WHERE message_id = $1", message, status)
    await facts.close(run_id)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA)

    assert await facts.values("SELECT count(*) FROM run") == [runs]


async def test_once_is_once_whether_or_not_the_run_sent_something(database: Database) -> None:
    facts = carts(database, Once())
    await facts.close(await entered(facts), outcome="bought")
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA)

    assert await facts.runs() == []


async def test_a_run_ended_by_hand_uses_up_no_entry(database: Database) -> None:
    facts = carts(database, AtMost(1))
    first = await entered(facts)
    await request_run_end(database, facts.routes, first, "cancelled", "by an operator")
    await facts.close(first, outcome="cancelled")

    assert await entered(facts, CHAIR) != first


async def test_what_is_added_while_a_silent_run_ends_starts_the_next(database: Database) -> None:
    """One size is taken out of the cart and another one put in, before the run has closed."""
    facts = carts(database, After(timedelta(days=3)))
    first = await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email=ADA)
    [run] = await facts.runs()
    removed = await facts.happens("Product Removed", LAMP | {"cart_id": "c"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA)
    assert first.event_id
    assert removed.event_id
    closed = await facts.close(run["run_id"], seen=[first.event_id, removed.event_id], outcome="emptied")

    assert closed.rerouted == 1
    assert len(await facts.runs()) == 1


async def test_runs_that_end_in_silence_do_not_start_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "MAX_SILENT_RUNS", 3)
    facts = carts(database, After(timedelta(days=3)))
    for _ in range(3):
        await facts.close(await entered(facts), outcome="emptied")
    refused = await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA)
    other = await facts.happens("Product Added", CHAIR | {"cart_id": "another"}, email=ADA)

    assert [run["entry_event"] for run in await facts.runs()] == [other.event_id]
    [problem] = await facts.problems(refused.event_id)
    assert "3 runs of this key have ended within a day without a message" in problem
    await facts.rows("UPDATE run SET entered_at = entered_at - interval '25 hours'")
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA)
    assert len(await facts.runs()) == 2


async def test_an_event_that_each_run_leaves_unseen_is_routed_again_once_a_run(
    database: Database,
) -> None:
    """Each run ends without having seen the events after its entry: every event starts one run at most."""
    facts = carts(database, After(timedelta(days=3)))
    await entered(facts)
    for _ in range(4):
        await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA)
    ended = 0
    while live := await facts.runs():
        await facts.close(live[0]["run_id"], outcome="emptied")
        ended += 1
        assert ended <= 5

    assert ended == 5


ORDERS = RoutedJourney(
    name="orders",
    starts=("Order Completed",),
    key_property="order_id",
    reentry=Once(),
    ends=("Order Cancelled",),
    listens=("Order Updated",),
)


async def test_an_order_is_confirmed_once_however_often_it_is_told(database: Database) -> None:
    facts = IngestHarness(database, ORDERS)
    await facts.happens("Order Completed", order(LAMP, order_id="o-1"), email=ADA)
    [run] = await facts.runs()
    await facts.sent(run["run_id"])
    await facts.happens("Order Completed", order(LAMP, CHAIR, order_id="o-1"), email=ADA)
    await facts.close(run["run_id"], outcome="completed")
    await facts.happens("Order Completed", order(LAMP, order_id="o-1"), email=ADA)

    assert await facts.values("SELECT count(*) FROM run") == [1]


async def test_an_order_cancelled_before_its_confirmation_is_not_confirmed_by_a_redelivery(
    database: Database,
) -> None:
    facts = IngestHarness(database, ORDERS)
    placed = await facts.happens("Order Completed", order(LAMP, order_id="o-1"), email=ADA)
    [run] = await facts.runs()
    await facts.happens("Order Cancelled", {"order_id": "o-1"}, email=ADA)
    await facts.close(run["run_id"], seen=[placed.event_id] if placed.event_id else [], outcome="cancelled")
    await facts.happens("Order Completed", order(LAMP, order_id="o-1"), email=ADA)

    assert await facts.runs() == []
