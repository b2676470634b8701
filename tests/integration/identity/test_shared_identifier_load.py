"""A storm: an identifier that thousands share is nobody's within a minute, and nobody else is slowed."""

import asyncio
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from profiles.db.database import Database
from profiles.events import END_RUN
from profiles.identity import graph
from profiles.identity.component import lock_component
from profiles.identity.identifiers import DEFAULT_IDENTITY_RULES, IdentityRules, identifier_key
from profiles.ingest.pipeline import Ingest
from profiles.merging.unmerge import release_identifier
from tests.support.deadlines import scaled
from tests.support.environments.ingest import CARTS, IngestHarness
from tests.support.generators.shared_identifier_load import (
    SHAPES,
    IngestLoad,
    LoadShape,
    left_in_cart,
    order,
    told,
    weather,
)
from tests.support.proof_size import FULL, size

EVENTS = size(ci=300, full=10_000)

WITHIN_S = size(ci=4, full=60)

OTHERS = size(ci=30, full=1_800)

DESK = SHAPES["a mail address of the desk"]

shapes = pytest.mark.parametrize("shape", list(SHAPES.values()), ids=list(SHAPES))

_OWN = """
SELECT i.value, array_agg(p.order_id) AS orders FROM purchase p JOIN identifier i USING (profile_id)
WHERE i.type = $1 GROUP BY i.value
"""

_LOST = """
SELECT order_id FROM purchase WHERE profile_id NOT IN (SELECT profile_id FROM identifier WHERE type = $1)
"""

_WITHIN = """
SELECT EXTRACT(epoch FROM min(l.recorded_at) - (SELECT min(recorded_at) FROM event WHERE source = 'storm'))
FROM identity_log l WHERE l.kind = 'quarantined' AND l.key = $1
"""


async def storm_among_others(sky: IngestLoad, shape: LoadShape, count: int) -> None:
    """Orders of people who all name the bad one, carts that name nothing else, and others' own lives."""
    await sky.take("before", 0, left_in_cart("first", [shape.bad]))

    def somebody(number: int) -> Any:
        return left_in_cart(number, [shape.bad]) if number % 10 == 9 else order(number, shape.names(number))

    async with asyncio.TaskGroup() as both:
        both.create_task(sky.blow("storm", count, WITHIN_S, somebody))
        both.create_task(sky.blow("during", OTHERS, WITHIN_S, partial(other, "during")))


def other(phase: str, number: int) -> Any:
    """Somebody who has nothing to do with it."""
    return told(phase, number, "Product Viewed", [("user_id", f"other-{number % 200}")], {"product_id": "p"})


def alone(kind: str, number: int) -> Any:
    """An order of somebody who shares nothing."""
    return order(number, [(kind, f"a{number}@b.example")], source="calm")


def stormy(count: int) -> list[int]:
    """Who ordered."""
    return [number for number in range(count) if number % 10 != 9]


@pytest.mark.proof
@pytest.mark.timeout(900 if FULL else 120)
@shapes
async def test_a_shared_identifier_is_nobodys_within_a_minute_and_blends_nobody(
    database: Database, database_url: str, shape: LoadShape, capsys: pytest.CaptureFixture[str]
) -> None:
    facts, bad, kind = IngestHarness(database), identifier_key(*shape.bad), shape.person(0)[0]
    with capture_logs() as logs:
        async with weather(database_url) as sky:
            # As many events of people who share nothing: what is compared is the sharing, not the load.
            alike = partial(sky.blow, "alike", EVENTS, WITHIN_S, partial(alone, kind))
            if FULL:
                async with asyncio.TaskGroup() as both:
                    both.create_task(alike())
                    both.create_task(sky.blow("calm", OTHERS, WITHIN_S, partial(other, "calm")))
                await facts.rows("DELETE FROM purchase")
            await storm_among_others(sky, shape, EVENTS)
    [within] = await facts.values(_WITHIN, bad)
    own = {row["value"]: row["orders"] for row in await facts.rows(_OWN, kind)}
    entries = await facts.rows(
        "SELECT r.state, r.outcome, e.source FROM run r JOIN event e ON e.event_id = r.entry_event"
    )
    queued = await facts.rows("SELECT DISTINCT kind, name FROM outbox ORDER BY kind, name")
    if FULL:
        with capsys.disabled():
            print(f"\n{bad}: quarantined after {within:.2f} s; others' p99 {sky.p99_ms('calm'):.0f} ms calm, "
                  f"{sky.p99_ms('during'):.0f} ms in the storm")  # fmt: skip
    warned = [one for one in logs if one["event"] == "identifier quarantined"]

    assert within < 60
    assert own == {shape.person(one)[1]: [f"o-{one}"] for one in stormy(EVENTS)}
    assert await facts.values(_LOST, kind) == []
    assert {(row["state"], row["outcome"], row["source"]) for row in entries} == {
        ("ended", "quarantined", "nobody")
    }
    assert queued == [{"kind": "signal", "name": END_RUN}, {"kind": "start", "name": "Product Added"}]
    assert [one["type"] for one in warned] == [shape.bad[0]]
    if FULL:
        assert sky.p99_ms("during") < 2 * sky.p99_ms("calm")


@shapes
async def test_it_takes_one_person_more_than_may_share_it_and_the_log_says_so_once(
    database: Database, shape: LoadShape
) -> None:
    facts, most = IngestHarness(database), DEFAULT_IDENTITY_RULES.shared_by[shape.bad[0]]
    with capture_logs() as logs:
        for first in range(0, most + 9, 6):
            at_once = (order(one, shape.names(one)) for one in range(first, first + 6))
            await asyncio.gather(*(facts.ingest([one]) for one in at_once))
        # A process that has just been started, and knows of nothing yet.
        await Ingest(database, (CARTS,))([order("late", shape.names(1_000))])
    warned = [one for one in logs if one["event"] == "identifier quarantined"]
    causes = await facts.rows(
        "SELECT kind, key FROM identity_log WHERE kind = 'quarantined' AND key NOT LIKE 'email_sha256:%'"
    )

    assert causes == [{"kind": "quarantined", "key": identifier_key(*shape.bad)}]
    assert [(one["type"], one["people"], one["log_level"]) for one in warned] == [
        (shape.bad[0], most + 1, "warning")
    ]
    assert shape.bad[1] not in str(warned)
    assert "waypost identity quarantined" in warned[0]["advice"]


async def test_while_the_shared_row_is_locked_other_people_go_on_and_so_does_a_process_that_knows(
    facts: IngestHarness, database_url: str
) -> None:
    for one in range(DEFAULT_IDENTITY_RULES.shared_by["email"] + 2):
        await facts.ingest([order(one, DESK.names(one))])
    stranger, holder = Ingest(facts.database, (CARTS,)), Database(database_url)
    async with holder.transaction() as connection, asyncio.timeout(scaled(20)):
        await connection.execute("SELECT FROM identifier WHERE value = $1 FOR UPDATE", DESK.bad[1])
        waits = asyncio.create_task(stranger([order("waits", DESK.names(1_000))]))
        await facts.someone_waits_for_a_lock()
        await stranger([other("during", 1)])
        await facts.ingest([order("known", DESK.names(1_001)), left_in_cart("known", [DESK.bad])])

        assert not waits.done()
    await waits
    await holder.close()

    assert await facts.values("SELECT count(*) FROM event WHERE id IN ('storm-known', 'storm-waits')") == [2]


@pytest.mark.parametrize(
    ("rules", "blended"),
    [
        pytest.param(DEFAULT_IDENTITY_RULES, 0, id="with the guard: nobody"),
        pytest.param(
            IdentityRules(shared_by={}), 5, id="without it: as many as one person may have addresses"
        ),
    ],
)
async def test_without_the_limit_on_sharing_the_same_storm_blends_people(
    database: Database,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    rules: IdentityRules,
    blended: int,
) -> None:
    """Teeth."""
    monkeypatch.setattr(
        "profiles.identity.component.resolve_graph", partial(graph.resolve_graph, rules=rules)
    )
    facts, shape = IngestHarness(database), SHAPES["a user id of the kiosk"]
    async with weather(database_url) as sky:
        await storm_among_others(sky, shape, 60)
    together = await facts.values(
        "SELECT count(*) FROM identifier WHERE type = 'email' GROUP BY profile_id HAVING count(*) > 1"
    )
    live = await facts.values("SELECT count(*) FROM run WHERE state <> 'ended'")

    assert together == ([blended] if blended else [])
    assert (live[0] > 0) is bool(blended)


async def test_a_storm_of_unverified_events_takes_no_vouched_address_and_its_cost_does_not_grow(
    facts: IngestHarness,
) -> None:
    await facts.ingest([order("till", [DESK.bad])])
    for one in range(40):
        await facts.ingest([order(one, DESK.names(one), verified=False)])
    [who] = await facts.values("SELECT profile_id FROM identifier WHERE value = $1", DESK.bad[1])
    async with facts.database.transaction() as connection:
        found = await lock_component(connection, {identifier_key(*DESK.bad): who}, {})

    assert await facts.values("SELECT count(*) FROM identifier WHERE status = 'quarantined'") == [0]
    # The address and its hash, and the one link that vouches for it.
    assert (len(found.identifiers), len(found.links)) == (2, 1)


async def shared_by_strangers(facts: IngestHarness, **more: Any) -> None:
    """One more than may share it."""
    for one in range(DEFAULT_IDENTITY_RULES.shared_by["email"] + 1):
        await facts.ingest([order(one, DESK.names(one), **more)])


async def statuses(facts: IngestHarness) -> list[str]:
    return await facts.values("SELECT status FROM identifier WHERE value = $1", DESK.bad[1])


async def test_a_released_identifier_is_somebodys_again_and_stays_it(facts: IngestHarness) -> None:
    await shared_by_strangers(facts)
    quarantined = await statuses(facts)
    await release_identifier(
        facts.database, identifier_key(*DESK.bad), actor="operator", reason="it is Ada's"
    )
    later = Ingest(facts.database, (CARTS,))
    for one in range(100, 115):
        await later([order(one, DESK.names(one))])
    await later([order("hers", [DESK.bad])])
    [whose] = await facts.values(
        "SELECT i.value FROM event e JOIN identifier i USING (profile_id) "
        "WHERE e.id = 'storm-hers' AND i.type = 'user_id'"
    )

    assert quarantined == ["quarantined"]
    assert await statuses(facts) == ["released"]
    assert whose == "u-0"
    assert await facts.values(
        "SELECT count(*) FROM identity_log WHERE kind = 'quarantined' AND key LIKE 'email:%'"
    ) == [1]


@pytest.mark.parametrize(
    ("verified", "status"),
    [
        pytest.param(False, "good", id="made-up events took it away: one that is verified gives it back"),
        pytest.param(True, "quarantined", id="verified events took it away: another one changes nothing"),
    ],
)
async def test_a_verified_event_that_names_a_quarantined_address_has_it_counted_anew(
    facts: IngestHarness, verified: bool, status: str
) -> None:
    await shared_by_strangers(facts, verified=verified)
    before = await statuses(facts)
    # The same process, which remembers that the address is nobody's.
    await facts.ingest([order("ada", [("user_id", "ada"), DESK.bad])])

    assert before == ["quarantined"]
    assert await statuses(facts) == [status]
