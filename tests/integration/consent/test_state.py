"""Consents as they stand, kept from the ledger on a real Postgres: per person, and per address."""

from itertools import permutations

import pytest

from profiles.db.database import Database
from profiles.messaging.claims import record_address_problem
from tests.support.builders.consents import DAY, ConsentRows, day
from tests.support.queries.snapshot import erase

ADA, BOB, CALL = "ada@example.com", "bob@example.com", "+4915112345678"


@pytest.fixture
def ledger(database: Database) -> ConsentRows:
    return ConsentRows(database)


async def test_what_stands_is_kept_for_the_person_and_for_each_address(ledger: ConsentRows) -> None:
    ada = await ledger.person("user_id:1", f"email:{ADA}", f"phone:{CALL}")
    await ledger.says(ada, "granted", 1, "user_id:1", channel="all")
    await ledger.says(ada, "withdrawn", 2, f"email:{ADA}")
    await ledger.refresh(ada)

    assert await ledger.states(ada) == {
        ("all", "marketing"): ("granted", 1),
        ("email", "marketing"): ("withdrawn", 2),
    }
    assert await ledger.register() == [
        (CALL, "marketing", "granted", 1),
        (ADA, "marketing", "withdrawn", 2),
    ]


async def test_a_row_of_the_state_names_the_event_it_comes_from(ledger: ConsentRows) -> None:
    ada = await ledger.person("user_id:1")
    for on in (1, 2):
        await ledger.says(ada, "granted", on, "user_id:1")
    await ledger.refresh(ada)

    assert (
        await ledger.rows("SELECT event_id, source, at FROM consent_state")
        == await ledger.rows("SELECT event_id, source, at FROM consent WHERE time = $1", day(2))
        != []
    )


async def test_however_the_words_arrive_the_same_stands(ledger: ConsentRows) -> None:
    words = [("granted", 1, ADA), ("withdrawn", 2, BOB), ("granted", 3, ADA), ("granted", 6, ADA)]
    ends = []
    for order in permutations(words):
        await erase(ledger.database, "TRUNCATE consent, consent_state, opt_out, identifier, profile")
        ada = await ledger.person(f"email:{ADA}")
        await ledger.gets(ada, f"email:{BOB}", joined=5)
        for state, on, voice in order:
            await ledger.says(ada, state, on, f"email:{voice}")
            await ledger.refresh(ada)
        ends.append((await ledger.states(ada), await ledger.register()))

    expected = (
        {("email", "marketing"): ("granted", 6)},
        [(ADA, "marketing", "granted", 6), (BOB, "marketing", "granted", 6)],
    )
    assert ends == [expected] * 24


@pytest.mark.parametrize("joins", ["before", "between", "after"])
async def test_a_merge_takes_the_stricter_word_whenever_it_is_heard_of(
    ledger: ConsentRows, joins: str
) -> None:
    ada, bob = await ledger.person(f"email:{ADA}"), await ledger.person(f"email:{BOB}")
    if joins == "before":
        await ledger.moves(f"email:{BOB}", ada, joined=10)
    await ledger.says(ada, "withdrawn", 1, f"email:{ADA}")
    await ledger.refresh(ada, bob)
    if joins == "between":
        await ledger.moves(f"email:{BOB}", ada, joined=10)
    await ledger.says(ada if joins != "after" else bob, "granted", 2, f"email:{BOB}")
    await ledger.refresh(ada, bob)
    if joins == "after":
        assert await ledger.states(bob) == {("email", "marketing"): ("granted", 2)}
        await ledger.moves(f"email:{BOB}", ada, joined=10)
    await ledger.refresh(ada, bob)

    assert (await ledger.states(ada), await ledger.states(bob)) == (
        {("email", "marketing"): ("withdrawn", 1)},
        {},
    )
    assert await ledger.register() == [
        (ADA, "marketing", "withdrawn", 1),
        (BOB, "marketing", "withdrawn", 1),
    ]

    await ledger.says(ada, "granted", 11, f"email:{BOB}")
    await ledger.refresh(ada)
    assert await ledger.states(ada) == {("email", "marketing"): ("granted", 11)}


async def test_two_who_turn_out_to_be_two_have_their_own_words_back(ledger: ConsentRows) -> None:
    ada = await ledger.person(f"email:{ADA}", f"email:{BOB}")
    await ledger.says(ada, "withdrawn", 3, f"email:{ADA}")
    await ledger.says(ada, "granted", 2, f"email:{BOB}")
    await ledger.refresh(ada)
    bob = await ledger.person()
    await ledger.moves(f"email:{BOB}", bob, joined=0)
    await ledger.refresh(ada, bob)

    assert (await ledger.states(ada), await ledger.states(bob)) == (
        {("email", "marketing"): ("withdrawn", 3)},
        {("email", "marketing"): ("granted", 2)},
    )
    assert await ledger.register() == [
        (ADA, "marketing", "withdrawn", 3),
        (BOB, "marketing", "granted", 2),
    ]


async def test_forged_grants_count_for_nothing_whether_or_not_the_person_is_vouched_for(
    ledger: ConsentRows,
) -> None:
    ada = await ledger.person(f"email:{ADA}", vouched=False)
    await ledger.says(ada, "granted", 1, f"email:{ADA}", verified=False)
    await ledger.refresh(ada)
    assert await ledger.states(ada) == {}

    await ledger.gets(ada, "user_id:1")
    await ledger.refresh(ada)
    assert await ledger.states(ada) == {}

    await ledger.says(ada, "withdrawn", 2, "user_id:1")
    await ledger.says(ada, "granted", 3, f"email:{ADA}", verified=False)
    await ledger.refresh(ada)
    assert await ledger.states(ada) == {("email", "marketing"): ("withdrawn", 2)}
    assert await ledger.register() == [(ADA, "marketing", "withdrawn", 2)]


async def test_an_address_that_joins_later_is_entered_with_what_the_person_said(ledger: ConsentRows) -> None:
    ada = await ledger.person("user_id:1")
    await ledger.says(ada, "withdrawn", 1, "user_id:1", channel="all")
    await ledger.refresh(ada)
    assert await ledger.register() == []

    await ledger.gets(ada, f"phone:{CALL}", joined=2)
    await ledger.refresh(ada)
    assert await ledger.register() == [(CALL, "marketing", "withdrawn", 1)]


async def test_a_quarantined_address_is_nobodys(ledger: ConsentRows) -> None:
    ada = await ledger.person("user_id:1", f"email:{ADA}")
    await ledger.rows("UPDATE identifier SET status = 'quarantined' WHERE type = 'email'")
    await ledger.says(ada, "withdrawn", 1, "user_id:1")
    await ledger.refresh(ada)

    assert await ledger.register() == []


async def test_a_providers_stop_is_lifted_only_by_a_later_word_on_everything(ledger: ConsentRows) -> None:
    ada = await ledger.person(f"phone:{CALL}")
    async with ledger.database.transaction() as connection:
        await record_address_problem(connection, "sms", CALL, "opted_out", day(3))
    stop = (CALL, "all", "withdrawn", 3)
    for on, topic, expected in (
        (9, "marketing", [stop, (CALL, "marketing", "granted", 9)]),
        (2, "all", [stop, (CALL, "marketing", "granted", 9)]),
        (4, "all", [(CALL, "all", "granted", 4), (CALL, "marketing", "granted", 9)]),
    ):
        await ledger.says(ada, "granted", on, f"phone:{CALL}", channel="sms", topic=topic)
        await ledger.refresh(ada)
        assert await ledger.register() == expected


async def test_a_stop_of_the_provider_closes_an_address_that_was_opened_before(ledger: ConsentRows) -> None:
    ada = await ledger.person(f"phone:{CALL}")
    await ledger.says(ada, "granted", 2, f"phone:{CALL}", channel="sms", topic="all")
    await ledger.refresh(ada)
    async with ledger.database.transaction() as connection:
        await record_address_problem(connection, "sms", CALL, "opted_out", day(3))

    assert await ledger.register() == [(CALL, "all", "withdrawn", 3)]


async def test_it_takes_no_statement_for_nobody_one_to_read_and_one_to_write_for_a_crowd(
    ledger: ConsentRows,
) -> None:
    crowd = [await ledger.person(f"user_id:{n}", f"email:{n}@example.com") for n in range(7)]
    for n, one in enumerate(crowd):
        await ledger.says(one, "withdrawn", 1, f"user_id:{n}")

    assert await ledger.refresh() == 0
    assert await ledger.refresh(*crowd) == 2
    assert await ledger.refresh(*crowd) == 1
    assert len(await ledger.register()) == 7


async def test_words_repeated_without_end_are_read_once_each(ledger: ConsentRows) -> None:
    ada = await ledger.person("user_id:1", f"email:{ADA}")
    await ledger.rows(
        "INSERT INTO consent (profile_id, channel, topic, state, source, voice, time, at) "
        "SELECT $1, 'email', 'marketing', CASE n % 2 WHEN 0 THEN 'granted' ELSE 'withdrawn' END, 'test', "
        "'user_id:1', $2::timestamptz + n * interval '1 second', $2 FROM generate_series(1, 5001) n",
        ada,
        DAY,
    )
    await ledger.refresh(ada)

    assert await ledger.states(ada) == {("email", "marketing"): ("withdrawn", 0)}
