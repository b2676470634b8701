"""Invariant 7: a merge moves everything, and never blends strangers."""

from uuid import UUID

import pytest

from profiles import identifiers, merge
from profiles.database import Database
from tests.facts import CARTS, CHAIR, LAMP, PEOPLE, Facts, order

ADA, PHONE = "ada@example.com", "+4915112345678"


CHILDREN = (
    "identifier",
    "event",
    "cart",
    "purchase",
    "suppression",
    "consent",
    "message",
    "decision",
    "run",
    "audience_member",
)


PLACEHOLDERS = ("null", "undefined", "0000", "guest", "test@test.com", "-1", "N/A")


async def two_lives(facts: Facts) -> tuple[UUID, UUID]:
    """Somebody known by mail in the web shop and by phone in the store, with everything a person can have."""
    for mark, who in (("1", {"email": ADA}), ("2", {"phone": PHONE})):
        added = LAMP | {"product_id": f"p-{mark}", "sku": None, "cart_id": f"c-{mark}"}
        await facts.happens(
            "Product Added", added, traits={f"t{mark}": mark, "consents": {"email": True}}, **who
        )
        await facts.happens(
            "Order Completed", order(CHAIR | {"product_id": f"b-{mark}"}, order_id=f"o-{mark}"), **who
        )
        run = (await facts.runs())[-1]["run_id"]
        carts = [run["run_id"] for run in await facts.runs() if run["journey"] == "carts"]
        await facts.sent(carts[-1])
        await facts.joined(run, f"p-{mark}")
    return await facts.who("email", ADA), await facts.who("phone", PHONE)


async def test_invariant_7_a_merge_moves_everything_to_the_older_profile(database: Database) -> None:
    facts = Facts(database, CARTS, PEOPLE)
    older, younger = await two_lives(facts)
    counts = {table: await facts.values(f"SELECT count(*) FROM {table}") for table in CHILDREN}
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    for table in CHILDREN:
        assert await facts.values(f"SELECT DISTINCT profile_id FROM {table}") == [older], table
    assert await facts.values("SELECT merged_into FROM profile WHERE profile_id = $1", younger) == [older]
    [profile] = await facts.rows("SELECT traits::text, orders FROM profile WHERE merged_into IS NULL")
    assert profile == {"traits": '{"t1": "1", "t2": "2"}', "orders": 2}
    counts["event"] = [5]
    assert {table: await facts.values(f"SELECT count(*) FROM {table}") for table in CHILDREN} == counts
    assert await facts.suppressed("phone", PHONE) == ["b-1", "b-2"]


@pytest.mark.parametrize("table", CHILDREN[1:])
async def test_invariant_7_a_table_left_out_of_the_merge_is_noticed(
    database: Database, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Teeth: leave one table's move out, and rows of the younger profile stay behind."""
    moves = [move for move in merge._MOVES if f" {table} " not in move]
    monkeypatch.setattr(merge, "_MOVES", tuple(moves))
    nothing = "SELECT 1 WHERE $1::uuid IS NULL AND $2::uuid IS NULL"
    if table == "run":
        monkeypatch.setattr(merge, "_MOVE_RUNS", nothing)
    if table == "cart":

        async def no_carts(*_: object) -> None:
            return None

        monkeypatch.setattr(merge, "_carts", no_carts)
    facts = Facts(database, CARTS, PEOPLE)
    _, younger = await two_lives(facts)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert younger in await facts.values(f"SELECT DISTINCT profile_id FROM {table}")


def known_by(kind: str, value: str) -> dict[str, str]:
    """What a door makes of an identifier: nothing, where the value identifies nobody."""
    try:
        return {kind: identifiers.normalise(kind, value)}
    except ValueError:
        return {}


async def strangers_with_placeholders(facts: Facts) -> int:
    """Two people whose channels send the same placeholder; how many profiles that makes."""
    for value in PLACEHOLDERS:
        for n in (1, 2):
            kind = "email" if "@" in value else "user_id"
            event = facts.event("Product Viewed", LAMP, anonymous_id=f"{value.encode().hex()}-{n}")
            named = (*event.identifiers, *known_by(kind, value).items())
            await facts.ingest(
                [type(event)(event.source, event.id, event.type, event.channel, event.time, named)]
            )
    [count] = await facts.values("SELECT count(*) FROM profile WHERE merged_into IS NULL")
    return int(count)


async def test_invariant_7_placeholder_values_never_make_two_people_one(database: Database) -> None:
    assert await strangers_with_placeholders(Facts(database)) == 2 * len(PLACEHOLDERS)


async def test_invariant_7_without_the_list_of_placeholders_strangers_would_be_blended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    monkeypatch.setattr(identifiers, "is_placeholder", lambda _: False)
    identifiers._normalise.cache_clear()
    try:
        assert await strangers_with_placeholders(Facts(database)) < 2 * len(PLACEHOLDERS)
    finally:
        identifiers._normalise.cache_clear()
