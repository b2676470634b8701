"""Operators who ask for what cannot be, at the same time as others, or in the middle of it all."""

import asyncio
from typing import Any

import pytest

from profiles.merging.unmerge import IdentityCut, cut_identifiers, mend_cut
from tests.support.builders.wrong_merge import ADA, ADA_KEY, BY, PHONE, joined, parted
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, order
from tests.support.queries.snapshot import TABLES, record

JOURNEYS = (CARTS,)


async def left_behind(facts: IngestHarness) -> dict[str, list[Any]]:
    """All there is in Postgres."""
    return {table: await facts.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


async def test_a_wish_that_cannot_be_is_told_in_words_and_leaves_no_trace(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP, email=ADA)
    await joined(facts)
    first = await parted(facts)
    before = await left_behind(facts)
    again = await parted(facts)
    for one, other in ((ADA_KEY, "email:bob@example.com"), ("user_id:x", "email:bob@example.com")):
        with pytest.raises(KeyError, match="not on file: email:bob@example"):
            await cut_identifiers(facts.database, one, other, **BY)
    with pytest.raises(ValueError, match="cannot be cut from itself"):
        await cut_identifiers(facts.database, ADA_KEY, ADA_KEY, **BY)
    with pytest.raises(KeyError, match="no cut 7777 is in force"):
        await mend_cut(facts.database, 7777, **BY)

    assert (again.cut_id, again.sent_message_ids, set(again.profile_ids)) == (
        first.cut_id,
        (),
        set(first.profile_ids),
    )
    assert await left_behind(facts) == before

    await mend_cut(facts.database, first.cut_id, **BY)
    mended = await left_behind(facts)
    with pytest.raises(KeyError, match=f"no cut {first.cut_id} is in force"):
        await mend_cut(facts.database, first.cut_id, **BY)

    assert await left_behind(facts) == mended


async def test_people_come_apart_while_events_of_both_stream_in(facts: IngestHarness) -> None:
    await joined(facts)

    async def lives(kind: str, value: str, mark: str) -> None:
        for n in range(9):
            bought = order(LAMP, order_id=f"{mark}-{n}")
            await facts.happens("Product Added", CHAIR | {"cart_id": f"{mark}-{n}"}, **{kind: value})
            await facts.happens("Order Completed", bought, **{kind: value, "anonymous_id": f"{mark}-{n}"})

    async def parts() -> IdentityCut:
        await facts.until("SELECT 1 FROM purchase")
        return await parted(facts)

    lived = lives("email", ADA, "ada"), lives("phone", PHONE, "other")
    done, *_ = await asyncio.gather(parts(), *lived, *(joined(facts) for _ in range(3)))
    ada, other = await facts.who("email", ADA), await facts.who("phone", PHONE)
    query = "SELECT DISTINCT split_part(order_id, '-', 1) FROM purchase WHERE profile_id = $1"
    runs = "SELECT DISTINCT split_part(key, '-', 1) FROM run WHERE profile_id = $1"

    assert len(done.profile_ids) == 2
    assert [await facts.values(query, who) for who in (ada, other)] == [["ada"], ["other"]]
    assert [await facts.values(runs, who) for who in (ada, other)] == [["ada"], ["other"]]
    assert await facts.values("SELECT orders FROM profile WHERE merged_into IS NULL") == [9, 9]
    assert len(await record(facts.database)) == 2
    assert await facts.values("SELECT count(DISTINCT profile_id) FROM identifier") == [2]


async def test_operators_who_cut_and_mend_the_same_two_at_once_make_one_cut_or_none(
    facts: IngestHarness,
) -> None:
    await joined(facts)
    cuts = await asyncio.gather(*(parted(facts) for _ in range(4)))
    mended = await asyncio.gather(
        *(mend_cut(facts.database, cuts[0].cut_id, **BY) for _ in range(4)), return_exceptions=True
    )

    assert len({done.cut_id for done in cuts}) == 1
    assert sorted(type(answer).__name__ for answer in mended) == ["KeyError"] * 3 + ["tuple"]
    assert await facts.who("email", ADA) == await facts.who("phone", PHONE)
