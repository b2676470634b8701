"""Invariant 7: a merge moves everything, and can be undone from its log."""

from uuid import UUID

import asyncpg
import pytest

from profiles.db.database import Database
from profiles.merging import reassign, rebuild
from profiles.merging.unmerge import cut_identifiers
from profiles.runs.exposures import record_exposures
from tests.facts import CARTS, CHAIR, LAMP, PEOPLE, Facts, order

ADA, PHONE = "ada@example.com", "+4915112345678"
BY_EMAIL, BY_PHONE = f"email:{ADA}", f"phone:{PHONE}"

CHILDREN = (
    "identifier",
    "event",
    "cart",
    "purchase",
    "suppression",
    "consent",
    "consent_state",
    "message",
    "decision",
    "run",
    "audience_member",
    "exposure",
    "segment_member",
)

FOLLOWING = ("purchase", "run", "message", "decision", "audience_member", "exposure", "event", "consent")
"""What goes with its event, or its run, when two people are parted."""


async def one_life(facts: Facts, mark: str, **who: str) -> None:
    """Somebody with everything that a person can have."""
    added = LAMP | {"product_id": f"p-{mark}", "sku": None, "cart_id": f"c-{mark}"}
    said = {f"t{mark}": mark, "consents": {"email": True}}
    await facts.happens("Product Added", added, traits=said, **who)
    bought = order(CHAIR | {"product_id": f"b-{mark}"}, order_id=f"o-{mark}")
    await facts.happens("Order Completed", bought, **who)
    run = (await facts.runs())[-1]
    cart_run = [run for run in await facts.runs() if run["journey"] == "carts"][-1]
    message = await facts.sent(cart_run["run_id"])
    await facts.happens("Message Delivered", {"message_id": str(message)})
    await facts.joined(run["run_id"], f"p-{mark}")
    async with facts.database.transaction() as connection:
        await record_exposures(connection, run["run_id"], [("offer", "a", facts.now)])
    await facts.rows("INSERT INTO segment_member VALUES ($1, $2, now())", f"s-{mark}", run["profile_id"])


async def two_lives(facts: Facts) -> tuple[UUID, UUID]:
    """Somebody known by mail in the web shop and by phone in the store."""
    await one_life(facts, "1", email=ADA)
    await one_life(facts, "2", phone=PHONE)
    return await facts.who("email", ADA), await facts.who("phone", PHONE)


async def whose(facts: Facts) -> dict[str, dict[UUID, int]]:
    """How many rows of each table each person has, but for the event that says that they are one."""
    only = {"event": " WHERE type <> 'Signed In'"}
    query = "SELECT profile_id, count(*) AS many FROM {}{} GROUP BY profile_id"
    return {
        table: {
            row["profile_id"]: row["many"]
            for row in await facts.rows(query.format(table, only.get(table, "")))
        }
        for table in CHILDREN
    }


async def test_invariant_7_a_merge_moves_everything_to_the_older_profile(database: Database) -> None:
    facts = Facts(database, CARTS, PEOPLE)
    older, younger = await two_lives(facts)
    before = await whose(facts)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    # One word on email stands for both.
    both = {table: sum(rows.values()) for table, rows in before.items()} | {"consent_state": 1}
    assert {table: {older: many} for table, many in both.items()} == await whose(facts)
    assert await facts.values("SELECT merged_into FROM profile WHERE profile_id = $1", younger) == [older]
    [profile] = await facts.rows("SELECT traits::text, orders FROM profile WHERE merged_into IS NULL")
    assert profile == {"traits": '{"t1": "1", "t2": "2"}', "orders": 2}
    assert await facts.suppressed("phone", PHONE) == ["b-1", "b-2"]


async def test_invariant_7_a_merge_is_undone_by_what_its_log_says(database: Database) -> None:
    facts = Facts(database, CARTS, PEOPLE)
    older, younger = await two_lives(facts)
    before = await whose(facts)
    answer = await facts.happens("Signed In", email=ADA, phone=PHONE)
    [merged] = await facts.rows("SELECT * FROM identity_log WHERE kind = 'merged'")
    [joined] = await facts.rows(
        "SELECT * FROM identity_log WHERE kind = 'joined' AND cause = $1", answer.event_id
    )
    apart = await cut_identifiers(
        database, joined["key"], joined["other_key"], actor="ops", reason="two people"
    )

    assert (merged["profile_id"], merged["other_profile_id"]) == (older, younger)
    assert {joined["key"], joined["other_key"]} == {BY_EMAIL, BY_PHONE}
    assert {older, younger} == {*apart.profile_ids}
    # Who was in a segment leaves it by its own rule, at the next sweep.
    segments = before.pop("segment_member")
    after = await whose(facts)
    assert all(after["segment_member"][who] >= many for who, many in segments.items())
    assert before == {table: rows for table, rows in after.items() if table != "segment_member"}
    assert await facts.suppressed("phone", PHONE) == ["b-2"]
    assert await facts.suppressed("email", ADA) == ["b-1"]
    assert await facts.carts() == {"c-1": ["p-1"], "c-2": ["p-2"]}
    traits = "SELECT traits::text FROM profile WHERE merged_into IS NULL ORDER BY profile_id"
    assert await facts.values(traits) == ['{"t1": "1"}', '{"t2": "2"}']
    assert await facts.values("SELECT kind FROM identity_log ORDER BY seq DESC LIMIT 1") == ["cut"]


@pytest.mark.parametrize("table", [move.split()[1] for move in reassign.MOVE_PROFILE_ROWS])
async def test_invariant_7_a_table_left_out_of_the_merge_is_noticed(
    database: Database, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Teeth: leave one table's move out, and rows of the younger profile stay behind."""
    monkeypatch.setattr(
        reassign,
        "MOVE_PROFILE_ROWS",
        tuple(move for move in reassign.MOVE_PROFILE_ROWS if f" {table} " not in move),
    )
    facts = Facts(database, CARTS, PEOPLE)
    _, younger = await two_lives(facts)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert younger in (await whose(facts))[table]


async def test_invariant_7_suppressions_left_out_of_the_merge_are_noticed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: what is folded anew instead of moved."""

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(rebuild, "reach", nothing)
    facts = Facts(database, CARTS, PEOPLE)
    await two_lives(facts)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.suppressed("phone", PHONE) == ["b-1"]


@pytest.mark.parametrize("table", FOLLOWING)
async def test_invariant_7_a_table_left_out_of_a_parting_is_noticed(
    database: Database, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Teeth: what does not follow its event stays with the other person."""
    left = tuple(move for move in reassign._FOLLOW_EVENTS if not move.startswith(f"UPDATE {table} "))
    assert len(left) < len(reassign._FOLLOW_EVENTS)
    monkeypatch.setattr(reassign, "_FOLLOW_EVENTS", left)
    facts = Facts(database, CARTS, PEOPLE)
    await two_lives(facts)
    before = await whose(facts)
    await facts.happens("Signed In", email=ADA, phone=PHONE)
    await cut_identifiers(database, BY_EMAIL, BY_PHONE, actor="ops", reason="two people")

    assert before[table] != (await whose(facts))[table]


async def test_invariant_7_every_table_of_a_person_is_in_the_list(database: Database) -> None:
    """A table that is added later must be moved, or folded anew."""
    tables = await Facts(database).values(
        "SELECT table_name::text FROM information_schema.columns JOIN information_schema.tables "
        "USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE' "
        "AND column_name = 'profile_id'"
    )

    assert {*CHILDREN, "profile", "identity_log"} == set(tables)
    assert {move.split()[1] for move in (*reassign.MOVE_PROFILE_ROWS, *reassign._FOLLOW_EVENTS)} <= set(
        CHILDREN
    )


LOGGED = ("UPDATE identity_log SET detail = 'never happened'", "DELETE FROM identity_log")


@pytest.mark.parametrize("forged", LOGGED)
async def test_invariant_7_the_log_can_only_be_added_to(database: Database, forged: str) -> None:
    facts = Facts(database)
    for who in ({"email": ADA}, {"phone": PHONE}, {"email": ADA, "phone": PHONE}):
        await facts.happens("Seen", **who)
    written = await facts.rows("SELECT * FROM identity_log ORDER BY seq")

    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await facts.rows(forged)

    assert {"joined", "merged"} <= {row["kind"] for row in written}
    assert written == await facts.rows("SELECT * FROM identity_log ORDER BY seq")
    # Teeth: it is the trigger that refuses.
    await facts.rows("DROP TRIGGER identity_log_stays ON identity_log")
    await facts.rows(forged)
    assert written != await facts.rows("SELECT * FROM identity_log ORDER BY seq")
