"""People are joined and parted while events of theirs come in: nothing is lost, and nothing goes astray."""

import asyncio
from typing import Any

from profiles.db.locks import lock_profiles
from profiles.db.sql import new_id
from profiles.ingest import resolution
from profiles.ingest.resolution import EventIdentifiers
from profiles.merging.unmerge import cut_identifiers, mend_cut
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness, order
from tests.support.queries.identity import people, people_in, resolved

JOURNEYS = (CARTS,)

ADA, PHONE, CARD = "ada@example.com", "+4915112345678", "L-1"

BY_EMAIL, BY_PHONE = f"email:{ADA}", f"phone:{PHONE}"


async def test_an_event_that_waits_while_its_person_is_merged_away_finds_the_new_one(
    facts: IngestHarness,
) -> None:
    """The identifier is held by the waiting event, so the merge skips it; the event brings it along."""
    await facts.happens("Seen", email=ADA)
    await facts.happens("Signed In", loyalty_id=CARD, phone=PHONE)
    old, young = await facts.who("email", ADA), await facts.who("phone", PHONE)
    held, go = asyncio.Event(), asyncio.Event()
    said: dict[str, Any] = {
        "source": "test",
        "id": "link",
        "time": facts.now,
        "at": facts.now,
    }
    both = EventIdentifiers.from_event(
        (("email", ADA), ("loyalty_id", CARD)), event_id=new_id(), verified=True, **said
    )

    async def merging() -> None:
        async with facts.database.transaction() as connection:
            await lock_profiles(connection, [old, young])
            held.set()
            await go.wait()
            await resolution.resolve_identities(connection, [both])

    task = asyncio.create_task(merging())
    await held.wait()
    waiting = asyncio.create_task(facts.happens("Order Completed", order(LAMP), phone=PHONE))
    await facts.someone_waits_for_a_lock()
    go.set()
    await asyncio.gather(task, waiting)

    assert await facts.values("SELECT merged_into FROM profile WHERE profile_id = $1", young) == [old]
    assert await facts.who("phone", PHONE) == old
    assert await facts.suppressed("phone", PHONE) == ["lamp"]
    assert await facts.values("SELECT DISTINCT profile_id FROM purchase") == [old]


async def test_events_for_the_loser_while_it_is_merged_are_not_lost(facts: IngestHarness) -> None:
    await facts.happens("Seen", email=ADA)
    await facts.happens("Seen", phone=PHONE)
    jobs = [facts.happens("Order Completed", order(LAMP, order_id=f"o-{n}"), phone=PHONE) for n in range(8)]
    jobs.insert(4, facts.happens("Linked", email=ADA, loyalty_id=CARD))
    jobs.insert(5, facts.happens("Linked", phone=PHONE, loyalty_id=CARD))
    await asyncio.gather(*jobs)

    assert len(await people_in(facts.database)) == 1
    assert await facts.values("SELECT DISTINCT profile_id FROM purchase") == [await facts.who("email", ADA)]
    assert await facts.values("SELECT orders FROM profile WHERE merged_into IS NULL") == [8]


async def test_parted_and_mended_over_and_over_while_events_come_in(facts: IngestHarness) -> None:
    await facts.happens("Signed In", email=ADA, phone=PHONE)
    events = [
        facts.event("Order Completed", order(LAMP, order_id=f"{kind}-{n}"), **{kind: value})
        for n in range(12)
        for kind, value in (("email", ADA), ("phone", PHONE))
    ]

    async def operator() -> None:
        for _ in range(4):
            made = await cut_identifiers(facts.database, BY_EMAIL, BY_PHONE, actor="ops", reason="two people")
            await mend_cut(facts.database, made.cut_id, actor="ops", reason="one after all")
        await cut_identifiers(facts.database, BY_EMAIL, BY_PHONE, actor="ops", reason="two people for good")

    async def channel() -> None:
        for event in events:
            await facts.ingest([event])

    await asyncio.gather(operator(), channel())

    told = [facts.event("Signed In", email=ADA, phone=PHONE), *events]
    assert people(resolved(told, [frozenset((BY_EMAIL, BY_PHONE))])) == await people_in(facts.database)
    assert await facts.values("SELECT orders FROM profile WHERE merged_into IS NULL") == [12, 12]
