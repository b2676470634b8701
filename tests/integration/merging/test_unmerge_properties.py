"""Whoever was wrongly joined is taken apart again: each is who they were, and has what is theirs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.identity.graph import Link, resolve_graph
from profiles.identity.identifiers import DEVICE_TYPES, identifier_key, type_of_key
from profiles.ingest.resolution import EventIdentifiers
from profiles.merging.cut_preview import preview_cut
from profiles.merging.unmerge import cut_identifiers, mend_cut
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS, PEOPLE, IngestHarness
from tests.support.generators.event_histories import HistoryEvent, as_events, lives_of_others, lives_of_some
from tests.support.proof_size import FULL, size
from tests.support.queries.snapshot import Record, forget_all, record

BY = {"actor": "test", "reason": "two people"}

NOTHING = HistoryEvent("Signed In", {}, {}, {}, "support", (), False, 60 * 24 * 20)

proof = settings(
    max_examples=size(5, 500),
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
)


def links(events: Sequence[IncomingEvent]) -> list[Link]:
    """What these events say of who is who."""
    named = [
        EventIdentifiers.from_event(
            event.identifiers,
            event_id=new_id(),
            source=event.source,
            id=event.id,
            time=event.time,
            at=event.time,
            verified=event.verified,
        )
        for event in events
    ]
    return [Link(one.keys, one.time, one.source, one.id, one.verified) for one in named if one.is_link]


def wrongly_joined(
    events: Sequence[IncomingEvent], others: Sequence[IncomingEvent], wrong: IncomingEvent, turn: int
) -> tuple[IncomingEvent, str, str] | None:
    """The wrong event, about the first pair of the two lives' identifiers that it joins, and this pair."""
    told = links([*events, *others])
    pairs = [
        (one, other)
        for one, other in product(
            dict.fromkeys(pair for event in events for pair in event.identifiers),
            dict.fromkeys(pair for event in others for pair in event.identifiers),
        )
    ]
    before = resolve_graph(told)
    for one, other in [*pairs[turn % len(pairs) :], *pairs[: turn % len(pairs)]]:
        linking = replace(wrong, identifiers=(one, other))
        first, second = identifier_key(*one), identifier_key(*other)
        if second in before.cluster_of(first):
            continue
        graph = resolve_graph([*told, *links([linking])])
        if second in graph.cluster_of(first):
            return linking, first, second
    return None


def without_consents(found: Record) -> Record:
    """Records but for what people said of messages."""
    return {
        who: {name: kept for name, kept in told.items() if name != "consents"} for who, told in found.items()
    }


def words(told: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(channel, topic) → granted or withdrawn."""
    return {(channel, topic): state for channel, topic, state, *_ in told["consents"] or []}


def strict(apart: Record, merged: Record, pair: tuple[str, str]) -> dict[tuple[str, ...], dict[Any, str]]:
    """What each one's word is: their own, but for what was withdrawn while they were one."""
    [whole] = [who for who in merged if pair[0] in who and pair[1] in who]
    held = {about: state for about, state in words(merged[whole]).items() if state == "withdrawn"}
    return {who: words(told) | (held if set(who) & set(whole) else {}) for who, told in apart.items()}


async def shared_carts(facts: IngestHarness) -> list[str]:
    """Carts of Waypost's own naming that several people have."""
    query = "SELECT cart_id FROM cart WHERE cart_id LIKE 'cart-%' GROUP BY cart_id HAVING count(*) > 1"
    return await facts.values(query)


async def profile_of(facts: IngestHarness, one: str) -> UUID:
    """Whose an identifier is."""
    query = "SELECT profile_id FROM identifier WHERE type || ':' || value = $1"
    [found] = await facts.values(query, one)
    assert isinstance(found, UUID)
    return found


@pytest.mark.proof
@pytest.mark.timeout(7200 if FULL else 600)
@proof
@given(
    life=lives_of_some,
    other_life=lives_of_others,
    wrong=st.one_of(st.just([NOTHING]), lives_of_some.map(lambda life: life[:1])),
    verified=st.booleans(),
    later=lives_of_some,
    other_later=lives_of_others,
    turn=st.integers(0, 100),
)
async def test_after_a_cut_all_is_as_if_nobody_had_ever_taken_the_two_for_one(
    database: Database,
    life: list[HistoryEvent],
    other_life: list[HistoryEvent],
    wrong: list[HistoryEvent],
    verified: bool,
    later: list[HistoryEvent],
    other_later: list[HistoryEvent],
    turn: int,
) -> None:
    one, other = as_events(life, "one"), as_events(other_life, "other")
    [event] = as_events([replace(wrong[0], verified=verified)], "wrong")
    found = wrongly_joined(one, other, event, turn)
    assume(found is not None)
    assert found is not None
    event, *pair = found
    arrival = [
        [*one, *other],
        [event],
        [*as_events(later, "one-later"), *as_events(other_later, "other-later")],
    ]

    await forget_all(database)
    facts = IngestHarness(database)
    for batch in arrival:
        await facts.ingest(batch)
    assume(await profile_of(facts, pair[0]) == await profile_of(facts, pair[1]))
    merged = await record(database)
    done = await cut_identifiers(database, pair[0], pair[1], **BY)
    apart = await record(database)
    shared = await shared_carts(facts)
    await mend_cut(database, done.cut_id, **BY)
    mended = await record(database)

    await forget_all(database)
    first, second = sorted(pair)
    await facts.rows(
        "INSERT INTO identity_cut (one, other, actor, reason, at) VALUES ($1, $2, 'test', '', now())",
        first,
        second,
    )
    for batch in arrival:
        await facts.ingest(batch)
    expected = await record(database)

    assert shared == []
    assert without_consents(apart) == without_consents(expected)
    assert {who: words(told) for who, told in apart.items()} == strict(expected, merged, (pair[0], pair[1]))
    assert without_consents(mended) == without_consents(merged)
    assert {who: words(told) for who, told in mended.items()} == {
        who: words(told) for who, told in merged.items()
    }


def is_neutral(pair: tuple[str, str], events: Sequence[IncomingEvent]) -> bool:
    """Whether a verified link of these two says nothing of them but that they are one person."""
    vouched = resolve_graph(links(events)).vouched
    return all(one in vouched or type_of_key(one) in DEVICE_TYPES for one in pair)


def as_before(told: dict[str, Any]) -> dict[str, Any]:
    """A person's record but for words, messages and runs, and without the wrong event."""
    kept = {name: value for name, value in told.items() if name not in ("consents", "messages", "runs")}
    kept["events"] = [event for event in kept["events"] or [] if event[1] != "wrong-0"]
    kept["seen"] = {channel: seen for channel, seen in kept["seen"].items() if channel != "support"}
    return kept


async def written_to(facts: IngestHarness, step: str) -> list[UUID]:
    """Messages, one of every live run."""
    return [await facts.sent(run["run_id"], step=step) for run in await facts.runs()]


def begun(told: dict[str, Any]) -> list[Any]:
    """A person's runs, but for whether they go on: one that had to give way to another has ended for good."""
    return [run[:4] for run in told["runs"] or []]


async def astray(facts: IngestHarness) -> list[Any]:
    """Messages and decisions that are not with the person of their run."""
    return [
        row
        for table in ("message", "decision")
        for row in await facts.rows(
            f"SELECT t.* FROM {table} t JOIN run r USING (run_id) WHERE r.profile_id <> t.profile_id"
        )
    ]


@pytest.mark.proof
@pytest.mark.timeout(7200 if FULL else 600)
@proof
@given(life=lives_of_some, other_life=lives_of_others, verified=st.booleans(), turn=st.integers(0, 100))
async def test_a_cut_gives_back_what_there_was_bit_for_bit_and_names_every_message_sent_meanwhile(
    database: Database, life: list[HistoryEvent], other_life: list[HistoryEvent], verified: bool, turn: int
) -> None:
    recent: dict[str, Any] = {
        "start": datetime.now(UTC) - timedelta(hours=60),
        "minute": timedelta(seconds=7),
    }
    one, other = as_events(life, "one", **recent), as_events(other_life, "other", **recent)
    [event] = as_events([replace(NOTHING, verified=verified)], "wrong", **recent)
    found = wrongly_joined(one, other, event, turn)
    assume(found is not None)
    assert found is not None
    event, *pair = found
    assume(not verified or is_neutral((pair[0], pair[1]), [*one, *other]))

    await forget_all(database)
    facts = IngestHarness(database, CARTS, PEOPLE)
    await facts.ingest([*one, *other])
    await written_to(facts, "before")
    before = await record(database, exactly=True)
    await facts.ingest([event])
    together = await profile_of(facts, pair[0])
    await written_to(facts, "meanwhile")
    meanwhile = await facts.values(
        "SELECT message_id FROM message WHERE step = 'meanwhile' AND profile_id = $1 ORDER BY message_id",
        together,
    )
    merged = await record(database, exactly=True)
    ahead = await database.run(lambda connection: preview_cut(connection, together, pair[0], pair[1]))
    done = await cut_identifiers(database, pair[0], pair[1], **BY)
    await written_to(facts, "after")
    after = await record(database, exactly=True)

    assert {who: as_before(told) for who, told in after.items()} == {
        who: as_before(told) for who, told in before.items()
    }
    assert {who: begun(told) for who, told in after.items()} == {
        who: begun(told) for who, told in before.items()
    }
    assert {who: words(told) for who, told in after.items()} == strict(before, merged, (pair[0], pair[1]))
    assert await astray(facts) == []
    assert list(done.sent_message_ids) == meanwhile == [message.message_id for message in ahead.messages]
    own = {*chain.from_iterable(ahead.parts)}
    assert sorted(map(sorted, ahead.parts)) == sorted(sorted(own & {*who}) for who in after if own & {*who})

    await mend_cut(database, done.cut_id, **BY)
    mended = await record(database, exactly=True)
    await written_to(facts, "again")
    again = await facts.values(
        "SELECT message_id FROM message WHERE step = 'again' AND profile_id = $1 ORDER BY message_id",
        together,
    )
    second = await cut_identifiers(database, pair[0], pair[1], **BY)

    assert {who: as_before(told) for who, told in mended.items()} == {
        who: as_before(told) for who, told in merged.items()
    }
    assert list(second.sent_message_ids) == again
    assert {who: as_before(told) for who, told in (await record(database, exactly=True)).items()} == {
        who: as_before(told) for who, told in after.items()
    }
