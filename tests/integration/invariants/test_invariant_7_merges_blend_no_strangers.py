"""Invariant 7: strangers are never blended. Each guard, and what its absence would do."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from profiles.db.database import Database
from profiles.identity import component, identifiers
from profiles.identity.graph import Clusters, IdentityGraph, Link, resolve_graph
from profiles.identity.identifiers import DEFAULT_IDENTITY_RULES, IDENTIFIER_TYPES
from profiles.ingest.pipeline import IngestConfig
from profiles.merging import reassign, rebuild
from profiles.merging.unmerge import cut_identifiers
from profiles.runs.exposures import record_exposures
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, PEOPLE, IngestHarness, order
from tests.support.queries.identity import of_kind, people_in, quarantined_in

JOURNEYS = (CARTS, PEOPLE)

ADA, PHONE = "ada@example.com", "+4915112345678"

PLACEHOLDERS = ("null", "undefined", "0000", "guest", "test@test.com", "-1", "N/A")


def known_by(kind: str, value: str) -> dict[str, str]:
    """What a door makes of an identifier: nothing, where the value identifies nobody."""
    try:
        return {kind: identifiers.normalize_identifier(kind, value)}
    except ValueError:
        return {}


async def claims(
    facts: IngestHarness, name: str = "Seen", properties: dict[str, Any] | None = None, **who: str
) -> None:
    """Somebody with a public key says who somebody is."""
    await facts.ingest([replace(facts.event(name, properties, **who), verified=False)])


def without(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """Take a rule out."""
    rules = replace(DEFAULT_IDENTITY_RULES, **changed)
    monkeypatch.setattr(
        component, "resolve_graph", lambda links, **how: resolve_graph(links, rules=rules, **how)
    )


async def strangers_with_placeholders(facts: IngestHarness) -> int:
    """Two people whose channels send the same placeholder; how many profiles that makes."""
    for value in PLACEHOLDERS:
        for n in (1, 2):
            kind = "email" if "@" in value else "user_id"
            event = facts.event("Product Viewed", LAMP, anonymous_id=f"{value.encode().hex()}-{n}")
            named = (*event.identifiers, *known_by(kind, value).items())
            await facts.ingest([replace(event, identifiers=named)])
    return len(await people_in(facts.database))


async def test_invariant_7_placeholder_values_never_make_two_people_one(database: Database) -> None:
    assert await strangers_with_placeholders(IngestHarness(database)) == 2 * len(PLACEHOLDERS)


async def test_invariant_7_without_the_list_of_placeholders_strangers_would_be_blended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    monkeypatch.setattr(identifiers, "is_placeholder", lambda _: False)
    identifiers._normalize_stripped.cache_clear()
    try:
        assert await strangers_with_placeholders(IngestHarness(database)) < 2 * len(PLACEHOLDERS)
    finally:
        identifiers._normalize_stripped.cache_clear()


async def siblings(facts: IngestHarness) -> None:
    """Two accounts with one mail address, a purchase each."""
    for n in (1, 2):
        await facts.happens("Signed Up", user_id=f"u-{n}", email=ADA)
        await facts.happens("Order Completed", order(LAMP | {"product_id": f"p-{n}"}), user_id=f"u-{n}")


async def test_invariant_7_two_accounts_are_two_people_whatever_they_share(facts: IngestHarness) -> None:
    await siblings(facts)

    assert sorted(of_kind(one, "user_id") for one in await people_in(facts.database)) == [["u-1"], ["u-2"]]
    assert await facts.suppressed("user_id", "u-2") == ["p-2"]
    assert await facts.values("SELECT DISTINCT detail LIKE '%more than 1 user_id%' FROM identity_log "
                              "WHERE kind = 'demoted'") == [True]  # fmt: skip


async def test_invariant_7_without_the_limit_two_accounts_would_be_blended(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    without(monkeypatch, limits={})
    await siblings(facts)

    assert len(await people_in(facts.database)) == 1
    assert await facts.suppressed("user_id", "u-2") == ["p-1", "p-2"]


SPELLED: dict[str, Callable[[int], str]] = {
    "loyalty_id": "L-{}".format,
    "email": "u{}@x.org".format,
    "phone": "+49151123456{:02}".format,
    "push_token": "token-{}".format,
    "anonymous_id": "a-{}".format,
}


@pytest.mark.parametrize("kind", SPELLED)
@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "over time"])
async def test_invariant_7_one_person_has_so_many_of_a_type_and_no_more_within_its_window(
    facts: IngestHarness, kind: str, slowly: bool
) -> None:
    most, within = DEFAULT_IDENTITY_RULES.limits[kind].max_values, DEFAULT_IDENTITY_RULES.limits[kind].period
    assert within is not None
    span = within / (most if slowly else 10_000)
    for n in range(most + 2):
        named = {kind: SPELLED[kind](n)}
        await facts.happens("Signed In", user_id="u-1", ago=span * (most + 2 - n), **named)
    [ada] = [one for one in await people_in(facts.database) if "user_id:u-1" in one]

    assert len(of_kind(ada, kind)) == (most + 2 if slowly else most)


async def on_one_device(facts: IngestHarness) -> None:
    """Two people who each came by one browser, and one of them bought."""
    await facts.happens("Signed In", email=ADA, anonymous_id="browser")
    await facts.happens("Order Completed", order(LAMP), email=ADA)
    await facts.happens("Signed In", phone="+4915112345678", anonymous_id="browser")


async def test_invariant_7_what_names_a_device_never_joins_two_people(facts: IngestHarness) -> None:
    await on_one_device(facts)

    assert await facts.who("email", ADA) != await facts.who("phone", "+4915112345678")
    assert await facts.suppressed("phone", "+4915112345678") == []


async def test_invariant_7_if_weak_identifiers_counted_as_strong_two_people_would_be_blended(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    without(monkeypatch, strong=frozenset(IDENTIFIER_TYPES))
    await on_one_device(facts)

    assert await facts.suppressed("phone", "+4915112345678") == ["lamp"]


async def at_the_till(facts: IngestHarness) -> None:
    """Six people log in at one till, and somebody who did not buys there."""
    for n in range(6):
        await facts.happens("Signed In", user_id=f"u-{n}", anonymous_id="till")
    await facts.happens("Order Completed", order(LAMP), anonymous_id="till")


async def test_invariant_7_what_many_people_share_is_nobodys(facts: IngestHarness) -> None:
    await at_the_till(facts)

    assert await quarantined_in(facts.database) == {"anonymous_id:till"}
    assert len(await people_in(facts.database)) == 7
    assert await facts.values("SELECT count(*) FROM purchase") == [0]
    assert [await facts.suppressed("user_id", f"u-{n}") for n in range(6)] == [[]] * 6
    [problem] = await facts.values(
        "SELECT problems -> 0 ->> 'detail' FROM event WHERE type = 'Order Completed' AND profile_id IS NULL"
    )
    assert "shared by so many that it is nobody's" in problem


async def test_invariant_7_without_quarantine_a_stranger_would_have_what_was_bought_there(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    without(monkeypatch, shared_by={})
    await at_the_till(facts)

    assert await facts.suppressed("user_id", "u-0") == ["lamp"]


async def forged(facts: IngestHarness) -> None:
    """Somebody names a customer's address beside a browser of their own, and buys in that browser."""
    await facts.happens("Signed Up", user_id="u-1", email=ADA)
    await claims(facts, email=ADA, anonymous_id="stranger")
    await claims(facts, "Order Completed", order(LAMP), anonymous_id="stranger")


async def test_invariant_7_a_public_key_joins_nobody_to_a_known_customer(facts: IngestHarness) -> None:
    await forged(facts)

    assert await facts.who("anonymous_id", "stranger") != await facts.who("email", ADA)
    assert await facts.suppressed("email", ADA) == []
    assert await facts.suppressed("anonymous_id", "stranger") == ["lamp"]


MALLORY = {"user_id": "mallory", "email": "mallory@example.net", "phone": "+4915100000001"}


async def forged_device(database: Database, *, with_server: bool = False) -> IngestHarness:
    """A stranger links a browser with a customer, and then addresses of their own with the browser."""
    facts = IngestHarness(database, *JOURNEYS, rules=IngestConfig(accept_page_devices=True))
    await facts.happens("Signed Up", user_id="u-1", email=ADA)
    if with_server:
        await facts.happens("Signed Up", anonymous_id="stranger", email=MALLORY["email"])
    await claims(facts, user_id="u-1", anonymous_id="stranger")
    for kind, value in (MALLORY | {"push_token": "token-of-mallory"}).items():
        for named in ({"anonymous_id": "stranger"}, {"user_id": "u-1"}, {"email": ADA}):
            if kind not in named:
                await claims(facts, **named, **{kind: value})
    return facts


@pytest.mark.parametrize("with_server", [False, True])
async def test_invariant_7_an_accepted_device_of_a_page_brings_nothing_to_a_known_customer(
    database: Database, with_server: bool
) -> None:
    facts = await forged_device(database, with_server=with_server)
    [ada] = [one for one in await people_in(facts.database) if "user_id:u-1" in one]

    assert {key for key in ada if not key.startswith("email_sha256:")} == {"user_id:u-1", f"email:{ADA}"}


async def test_invariant_7_without_the_rule_of_contradictions_an_accepted_device_would_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    accept = Clusters.accept_device

    def trusting(self: Clusters, *named: Any, **how: Any) -> tuple[str, str]:
        return accept(self, *named, **how | {"customers_by_device": {}})

    monkeypatch.setattr(Clusters, "accept_device", trusting)
    facts = IngestHarness(database, *JOURNEYS, rules=IngestConfig(accept_page_devices=True))
    for n in (1, 2):
        await facts.happens("Signed Up", user_id=f"u-{n}")
        await claims(facts, user_id=f"u-{n}", anonymous_id="shared")

    assert await facts.who("anonymous_id", "shared") == await facts.who("user_id", "u-1")


async def test_invariant_7_if_every_sender_were_believed_a_stranger_would_get_in(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""

    def believing(links: list[Link], **how: Any) -> IdentityGraph:
        return resolve_graph([replace(link, verified=True) for link in links], **how)

    monkeypatch.setattr(component, "resolve_graph", believing)
    await forged(facts)

    assert await facts.suppressed("email", ADA) == ["lamp"]


async def test_invariant_7_two_whom_an_operator_parted_stay_apart_whatever_is_said(
    facts: IngestHarness,
) -> None:
    await facts.happens("Signed In", email=ADA, phone="+4915112345678")
    await cut_identifiers(
        facts.database, f"email:{ADA}", "phone:+4915112345678", actor="ops", reason="siblings"
    )
    for n in range(3):
        await facts.happens("Signed In", email=ADA, phone="+4915112345678", anonymous_id=f"a-{n}")
    await facts.happens("Signed In", email=ADA, loyalty_id="L-1")
    await facts.happens("Signed In", phone="+4915112345678", loyalty_id="L-1")

    assert await facts.who("email", ADA) != await facts.who("phone", "+4915112345678")


@pytest.mark.parametrize("known_before", [False, True], ids=["new", "with a profile of their own"])
async def test_invariant_7_who_was_parted_by_a_quarantine_never_moves_in_with_the_other(
    database: Database, known_before: bool
) -> None:
    """Both were first seen under one profile, and nothing leads from the one to the other any more."""
    facts, day = IngestHarness(database), timedelta(days=1)
    eve, phone = "eve@x.org", "+4915112345678"
    await facts.happens("Seen", anonymous_id="tablet", ago=3 * day)
    await facts.happens("Signed In", email=eve, anonymous_id="tablet", ago=day)
    if known_before:
        await facts.happens("Seen", phone=phone)
        await facts.happens("Signed In", email=eve, phone=phone)
    # Heard of late: the tablet had been somebody else's before.
    await facts.happens("Signed In", user_id="u-1", anonymous_id="tablet", ago=2 * day)
    await facts.happens("Order Completed", order(LAMP), user_id="u-1")
    for n in range(2, 8):
        await facts.happens("Signed In", user_id=f"u-{n}", anonymous_id="tablet")
    await facts.happens("Signed In", email=eve, phone=phone, loyalty_id="L-1")

    assert await facts.who("user_id", "u-1") != await facts.who("email", eve)
    assert await facts.suppressed("email", eve) == []
    assert len(await people_in(database)) == 9


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


async def one_life(facts: IngestHarness, mark: str, **who: str) -> None:
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


async def two_lives(facts: IngestHarness) -> tuple[UUID, UUID]:
    """Somebody known by mail in the web shop and by phone in the store."""
    await one_life(facts, "1", email=ADA)
    await one_life(facts, "2", phone=PHONE)
    return await facts.who("email", ADA), await facts.who("phone", PHONE)


async def whose(facts: IngestHarness) -> dict[str, dict[UUID, int]]:
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


async def test_invariant_7_a_merge_moves_everything_to_the_older_profile(facts: IngestHarness) -> None:
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


async def test_invariant_7_a_merge_is_undone_by_what_its_log_says(facts: IngestHarness) -> None:
    older, younger = await two_lives(facts)
    before = await whose(facts)
    answer = await facts.happens("Signed In", email=ADA, phone=PHONE)
    [merged] = await facts.rows("SELECT * FROM identity_log WHERE kind = 'merged'")
    [joined] = await facts.rows(
        "SELECT * FROM identity_log WHERE kind = 'joined' AND cause = $1", answer.event_id
    )
    apart = await cut_identifiers(
        facts.database, joined["key"], joined["other_key"], actor="ops", reason="two people"
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
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Teeth: leave one table's move out, and rows of the younger profile stay behind."""
    monkeypatch.setattr(
        reassign,
        "MOVE_PROFILE_ROWS",
        tuple(move for move in reassign.MOVE_PROFILE_ROWS if f" {table} " not in move),
    )
    _, younger = await two_lives(facts)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert younger in (await whose(facts))[table]


async def test_invariant_7_suppressions_left_out_of_the_merge_are_noticed(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: what is folded anew instead of moved."""

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(rebuild, "sync_suppressions", nothing)
    await two_lives(facts)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.suppressed("phone", PHONE) == ["b-1"]


@pytest.mark.parametrize("table", FOLLOWING)
async def test_invariant_7_a_table_left_out_of_a_parting_is_noticed(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Teeth: what does not follow its event stays with the other person."""
    left = tuple(move for move in reassign._FOLLOW_EVENTS if not move.startswith(f"UPDATE {table} "))
    assert len(left) < len(reassign._FOLLOW_EVENTS)
    monkeypatch.setattr(reassign, "_FOLLOW_EVENTS", left)
    await two_lives(facts)
    before = await whose(facts)
    await facts.happens("Signed In", email=ADA, phone=PHONE)
    await cut_identifiers(facts.database, BY_EMAIL, BY_PHONE, actor="ops", reason="two people")

    assert before[table] != (await whose(facts))[table]


async def test_invariant_7_every_table_of_a_person_is_in_the_list(database: Database) -> None:
    """A table that is added later must be moved, or folded anew."""
    tables = await IngestHarness(database).values(
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
async def test_invariant_7_the_log_can_only_be_added_to(facts: IngestHarness, forged: str) -> None:
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
