"""Unverified links extend a component to a limit: what happens beyond it, and what stays as it was."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.identity import link_limit
from profiles.identity.component import Component, IdentifierRow
from profiles.identity.graph import Link
from profiles.ingest.event_store import IngestResult, IngestStatus
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness, order

JOURNEYS = (CARTS,)

LIMIT = 40

WHO = {"user_id": "u-1"}

IDENTIFIERS = "SELECT count(*) FROM identifier"

LINKS = "SELECT count(*) FROM identity_link WHERE NOT verified"


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_limit, "MAX_COMPONENT_IDENTIFIERS", LIMIT)
    monkeypatch.setattr(link_limit, "MIN_CHARGED_IDENTIFIERS", LIMIT // 2)


def page(
    facts: IngestHarness, name: str = "Page Viewed", properties: Any = None, **who: Any
) -> IncomingEvent:
    """An event with the write key; a list names several identifiers of one type."""
    lists = {kind: values for kind, values in who.items() if isinstance(values, list)}
    event = facts.event(name, properties, **{kind: value for kind, value in who.items() if kind not in lists})
    more = tuple((kind, value) for kind, values in lists.items() for value in values)
    return replace(event, identifiers=(*event.identifiers, *more), verified=False)


def devices(first: int, count: int = 10) -> list[str]:
    return [f"d-{number}" for number in range(first, first + count)]


async def grow(facts: IngestHarness, events: int = 8) -> list[IngestResult]:
    """Ever more devices of one user, one transaction each."""
    results = []
    for number in range(events):
        results += await facts.ingest([page(facts, **WHO, anonymous_id=devices(number * 10))])
    return results


async def is_refused(facts: IngestHarness, result: IngestResult) -> bool:
    return any(
        "unverified events have named too many" in each for each in await facts.problems(result.event_id)
    )


async def test_beyond_the_limit_an_unverified_event_joins_nothing_and_counts_for_its_strongest(
    facts: IngestHarness,
) -> None:
    results = await grow(facts)

    assert {each.status for each in results} == {IngestStatus.ACCEPTED}
    assert [await is_refused(facts, each) for each in results] == [False] * 3 + [True] * 5
    assert await facts.values(IDENTIFIERS) == [31]
    owners = await facts.values("SELECT DISTINCT profile_id FROM event")
    assert owners == [await facts.who("user_id", "u-1")]


async def test_without_the_limit_a_component_grows_with_every_event(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_limit, "MAX_COMPONENT_IDENTIFIERS", 10**9)
    await grow(facts)

    assert await facts.values(IDENTIFIERS) == [81]


async def test_one_batch_passes_the_limit_no_more_than_many_do(facts: IngestHarness) -> None:
    neighbours = [page(facts, user_id="u-9", anonymous_id=f"n-{number}") for number in (1, 2)]
    batch = [page(facts, **WHO, anonymous_id=devices(number * 10)) for number in range(50)]
    results = await facts.ingest([*batch[:25], *neighbours, *batch[25:]])

    assert await facts.values(IDENTIFIERS) == [4]
    assert [await is_refused(facts, each) for each in results] == [True] * 25 + [False] * 2 + [True] * 25
    assert await facts.who("anonymous_id", "n-2") == await facts.who("anonymous_id", "n-1")


async def test_links_of_known_identifiers_have_a_limit_too(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_limit, "MAX_COMPONENT_LINKS", 12)
    for one in range(5):
        for other in range(one):
            await facts.ingest([page(facts, **WHO, anonymous_id=[f"d-{one}", f"d-{other}"])])
            await facts.ingest([page(facts, anonymous_id=[f"d-{one}", f"d-{other}"])])

    assert await facts.values(LINKS) == [12]


@pytest.mark.parametrize("known", ["user_id", "anonymous_id", "email"])
async def test_a_verified_link_joins_its_people_whatever_strangers_linked_before(
    facts: IngestHarness, known: str
) -> None:
    await grow(facts)
    named = {"user_id": "u-1", "anonymous_id": "d-0", "email": "u1@example.com"}
    await facts.ingest([page(facts, **WHO, email="u1@example.com", anonymous_id=devices(900))])
    [result] = await facts.ingest([facts.event("Signed In", loyalty_id="L-1", **{known: named[known]})])

    assert not await is_refused(facts, result)
    assert await facts.who("loyalty_id", "L-1") == await facts.who(known, named[known])


async def test_a_known_link_an_address_alone_and_other_people_are_not_refused(facts: IngestHarness) -> None:
    await grow(facts)
    others = [
        page(facts, **WHO, anonymous_id=devices(0)),
        page(facts, user_id="u-2", anonymous_id="other"),
        page(facts, **WHO),
        page(facts, email="u2@example.com"),
    ]
    for event in others:
        [result] = await facts.ingest([event])
        assert not await is_refused(facts, result)
    assert await facts.who("user_id", "u-2") == await facts.who("anonymous_id", "other")


async def test_strangers_on_one_full_device_stay_strangers(facts: IngestHarness) -> None:
    await grow(facts)
    events = [page(facts, user_id=f"new-{number}", anonymous_id="d-0") for number in range(3)]
    for batch in (events[:1], events[1:]):
        for result in await facts.ingest(batch):
            assert await is_refused(facts, result)
    profiles = {await facts.who("user_id", f"new-{number}") for number in range(3)}

    assert len(profiles | {await facts.who("anonymous_id", "d-0")}) == 4


async def test_beyond_the_limit_a_purchase_and_a_no_count_for_the_known_identifiers(
    facts: IngestHarness,
) -> None:
    await grow(facts)
    await facts.ingest([page(facts, user_id="u-2", anonymous_id="other")])
    both = {"user_id": "u-1", "anonymous_id": ["other", *devices(900)]}
    bought, no = await facts.ingest(
        [
            page(facts, "Order Completed", order(LAMP), **both),
            page(facts, "Consent Changed", {"channel": "email", "state": "withdrawn"}, **both),
        ]
    )

    assert await is_refused(facts, bought)
    assert await is_refused(facts, no)
    assert await facts.who("user_id", "u-1") != await facts.who("user_id", "u-2")
    for user in ("u-1", "u-2"):
        assert await facts.suppressed("user_id", user) == ["lamp"]
        profile_id = await facts.who("user_id", user)
        assert await facts.values("SELECT count(*) FROM consent WHERE profile_id = $1", profile_id)


async def test_a_refused_link_is_counted_and_paid_for_by_its_sender(database: Database) -> None:
    counts: Counter[tuple[str, str]] = Counter()

    def count(key: str, code: str, times: int) -> None:
        counts[key, code] += times

    facts = IngestHarness(database)
    ingest = Ingest(database, (CARTS,), IngestConfig(on_left_out=count))
    costs = []
    for number in range(6):
        event = replace(page(facts, **WHO, anonymous_id=devices(number * 10)), sender="page")
        [result] = await ingest([event])
        costs.append(result.replayed_events)

    # New people at a full device are not grouped with it, which would have the whole component read.
    people = [page(facts, user_id=f"new-{number}", anonymous_id="d-0") for number in range(2)]
    assert [each.replayed_events for each in await ingest(people)] == [0, 0]
    assert counts == {("page", "link"): 3, ("", "link"): 2}
    # The component is read for the first refused link. For those that follow it is known to be full.
    assert costs == [0, 21, 31, 41, 0, 0]


async def test_concurrent_batches_end_with_the_component_bounded(database: Database) -> None:
    facts = IngestHarness(database)
    events = [page(facts, **WHO, anonymous_id=devices(number * 10)) for number in range(30)]
    several = [Ingest(database, (CARTS,)) for _ in range(3)]
    await asyncio.gather(*(several[number % 3]([event]) for number, event in enumerate(events)))

    assert await facts.values(IDENTIFIERS) == [31]


async def test_other_tasks_run_while_a_large_component_is_resolved() -> None:
    component = large_component(8_000)
    waits, done = [], False

    async def bystander() -> None:
        while not done:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            waits.append(time.monotonic() - began)

    task = asyncio.create_task(bystander())
    await asyncio.sleep(0)
    began = time.monotonic()
    await component.resolve()
    took, done = time.monotonic() - began, True
    await task

    assert len(waits) > 3
    assert max(waits) < took


def large_component(count: int) -> Component:
    at, component = datetime(2026, 1, 1, tzinfo=UTC), Component()
    for key in ("user_id:u", *(f"anonymous_id:{number}" for number in range(count))):
        profile_id = new_id()
        component.identifiers[key] = IdentifierRow(
            key, profile_id, profile_id, profile_id, at, at, "good", False
        )
    for number in range(count):
        keys = ("user_id:u", f"anonymous_id:{number}")
        component.links[number] = Link(keys, at, "page", str(number), False, new_id())
    return component
