"""Segments on real Postgres: who enters, and who does not, whatever is repeated, killed or merged."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from journeys.registry import JourneyRegistry
from journeys.vocabulary import PERSON, Segment, hours, journey
from journeys.vocabulary import Journey as Story
from profiles.db.database import Database
from profiles.events import SegmentEntered
from profiles.ingest.pipeline import Ingest
from profiles.sweeps.segments import SegmentQueryError, SegmentSweep, check_segment_queries, sweep_segment
from tests.support.environments.ingest import LAMP, IngestHarness, RoutedJourney
from tests.support.journeys.segments import GreetRegulars, ThankRegulars
from workers.startup import find_segment_conflicts

REGULARS = Segment("regulars", "SELECT profile_id, orders FROM person WHERE orders >= 2 -- or more")

THANKS = RoutedJourney(name="thanks", starts=("Segment Entered",), listens=(), key_property="person")


class Dying(Database):
    """A pool of a process that is killed before its nth piece of work."""

    def __init__(self, url: str, left: int) -> None:
        super().__init__(url)
        self.left = left

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ConnectionResetError("killed")
        return await super().run(work)


class SegmentHarness(IngestHarness):
    """Customers, and the segment that finds them."""

    async def buys(self, *users: str, times: int = 2) -> None:
        for user in users:
            for _ in range(times):
                self._events += 1
                order = {"order_id": f"o-{self._events}", "products": [LAMP]}
                await self.happens("Order Completed", order, user_id=user)

    async def sweep(self, segment: Segment = REGULARS, **more: Any) -> SegmentSweep:
        return await sweep_segment(self.database, self.ingest, segment, **more)

    async def entered(self) -> list[str]:
        """Who has entered, in order, once an event."""
        return await self.values(
            "SELECT identifiers->'user_id'->>0 FROM event WHERE type = 'Segment Entered' ORDER BY at, 1"
        )

    async def forgets_orders(self, user: str) -> None:
        await self.rows(
            "UPDATE profile SET orders = 0 FROM identifier i "
            "WHERE i.value = $1 AND profile.profile_id = i.profile_id",
            user,
        )


async def test_the_first_sweep_notes_whom_it_finds_and_the_next_enters_newcomers_once(
    database: Database,
) -> None:
    people = SegmentHarness(database, THANKS)
    await people.buys("old-1", "old-2")
    first = await people.sweep()
    await people.buys("new")
    second, third = await people.sweep(), await people.sweep()

    assert SegmentSweep(found=2, noted=2) == first
    assert SegmentSweep(found=3, newcomers=1) == second
    assert SegmentSweep(found=3) == third
    assert await people.entered() == ["new"]
    assert len(await people.runs()) == 1


async def test_a_first_sweep_that_finds_nobody_is_the_first_all_the_same(database: Database) -> None:
    people = SegmentHarness(database, THANKS)
    first = await people.sweep()
    await people.buys("new")
    second = await people.sweep()

    assert [SegmentSweep(found=0), SegmentSweep(found=1, newcomers=1)] == [first, second]


async def test_existing_members_enter_at_the_first_sweep_where_the_segment_says_so(
    database: Database,
) -> None:
    people = SegmentHarness(database, THANKS)
    await people.buys("old")
    everybody = Segment("regulars", REGULARS.query, existing=True)
    first, second = await people.sweep(everybody), await people.sweep(everybody)

    assert [SegmentSweep(found=1, newcomers=1), SegmentSweep(found=1)] == [first, second]
    assert await people.entered() == ["old"]


async def test_who_leaves_and_comes_back_is_a_newcomer_again(database: Database) -> None:
    people = SegmentHarness(database, THANKS)
    await people.sweep()
    sweeps = []
    for _ in range(2):
        await people.buys("ada")
        sweeps.append(await people.sweep())
        await people.forgets_orders("ada")
        sweeps.append(await people.sweep())

    assert [(one.found, one.newcomers, one.left) for one in sweeps] == [(1, 1, 0), (0, 0, 1)] * 2
    assert await people.entered() == ["ada", "ada"]


@pytest.mark.parametrize(
    ("existing", "left"),
    [
        pytest.param(False, 0, id="after the events, before the members"),
        pytest.param(False, 1, id="after the members, before the sweep is finished"),
        pytest.param(True, 0, id="in a first sweep, after the events"),
        pytest.param(True, 1, id="in a first sweep, after the members"),
    ],
)
async def test_a_sweep_that_is_killed_loses_nobody_and_enters_nobody_twice(
    database: Database, database_url: str, existing: bool, left: int
) -> None:
    people = SegmentHarness(database, THANKS)
    segment = Segment("regulars", REGULARS.query, existing=existing)
    if not existing:
        await people.sweep()
    await people.buys("ada", "bob")
    dying = Dying(database_url, left)
    with pytest.raises(ConnectionResetError):
        await sweep_segment(dying, people.ingest, segment)
    await dying.close()
    await people.buys("cy")
    await people.sweep(segment)

    assert sorted(await people.entered()) == ["ada", "bob", "cy"]


async def test_a_sweep_that_is_killed_before_it_writes_events_loses_nobody(
    database: Database, database_url: str
) -> None:
    people = SegmentHarness(database, THANKS)
    await people.sweep()
    await people.buys("ada")
    dying = Dying(database_url, 0)
    with pytest.raises(ConnectionResetError):
        await sweep_segment(database, Ingest(dying, people.routes), REGULARS)
    await dying.close()
    await people.sweep()

    assert await people.entered() == ["ada"]


async def test_a_first_sweep_killed_while_it_notes_is_still_the_first(
    database: Database, database_url: str
) -> None:
    people = SegmentHarness(database, THANKS)
    await people.buys("ada", "bob", "cy")
    dying = Dying(database_url, 1)
    with pytest.raises(ConnectionResetError):
        await sweep_segment(dying, people.ingest, REGULARS, batch_size=1)
    await dying.close()
    again = await people.sweep()

    assert SegmentSweep(found=3, noted=2) == again
    assert await people.entered() == []


async def test_two_sweeps_at_once_enter_everybody_once_in_batches(database: Database) -> None:
    people = SegmentHarness(database, THANKS)
    await people.sweep()
    users = [f"u-{number}" for number in range(7)]
    await people.buys(*users)
    heard: list[int] = []
    await asyncio.gather(people.sweep(batch_size=3, progress=heard.append), people.sweep(batch_size=2))

    assert users == sorted(await people.entered())
    assert heard[-1] == 7
    assert len(await people.runs()) == 7


async def test_membership_moves_with_a_merge_and_a_merge_enters_nobody(database: Database) -> None:
    people = SegmentHarness(database, THANKS)
    await people.happens("Product Viewed", {"product_id": "lamp"}, anonymous_id="a-1")
    await people.buys("member")
    await people.sweep()
    # The anonymous profile is older: it survives, and was in no segment.
    await people.happens("Product Viewed", {"product_id": "lamp"}, anonymous_id="a-1", user_id="member")
    after = await people.sweep()

    assert len(await people.rows("SELECT 1 FROM profile WHERE merged_into IS NOT NULL")) == 1
    assert SegmentSweep(found=1) == after
    assert await people.entered() == []


async def test_only_canonical_people_who_are_not_erased_count(database: Database) -> None:
    people = SegmentHarness(database, THANKS)
    everybody = Segment("everybody", "SELECT profile_id FROM profile", existing=True)
    await people.happens("Product Viewed", {"product_id": "lamp"}, anonymous_id="a-1")
    await people.buys("merged", "erased", "here")
    await people.happens("Product Viewed", {"product_id": "lamp"}, anonymous_id="a-1", user_id="merged")
    await people.rows(
        "UPDATE profile SET erased_at = now() FROM identifier i "
        "WHERE i.value = 'erased' AND profile.profile_id = i.profile_id"
    )
    swept = await people.sweep(everybody)

    assert SegmentSweep(found=2, newcomers=2) == swept
    assert sorted(await people.entered()) == ["here", "merged"]


async def test_people_whom_no_identifier_names_are_counted_and_enter_once_one_does(
    database: Database,
) -> None:
    people = SegmentHarness(database, THANKS)
    await people.sweep()
    await people.buys("ada", "bob")
    [nameless] = await people.values("DELETE FROM identifier WHERE value = 'ada' RETURNING profile_id")
    swept = await people.sweep()
    await people.rows(
        "INSERT INTO identifier (type, value, profile_id, origin, since, linked_at, created_at) "
        "VALUES ('user_id', 'ida', $1, $1, now(), now(), now())",
        nameless,
    )
    later = await people.sweep()

    assert SegmentSweep(found=2, newcomers=1, skipped=1) == swept
    assert SegmentSweep(found=2, newcomers=1) == later
    assert await people.entered() == ["bob", "ida"]


async def test_a_query_has_half_a_minute_and_may_not_write(database: Database) -> None:
    people = SegmentHarness(database, THANKS)
    await people.buys("ada")
    await people.rows(
        "CREATE FUNCTION sly() RETURNS bool LANGUAGE plpgsql AS "
        "$$ BEGIN DELETE FROM identifier; RETURN true; END $$"
    )
    sly = Segment("sly", "SELECT profile_id FROM person WHERE sly()")
    asks = Segment("slow", "SELECT profile_id FROM person WHERE current_setting('statement_timeout') = '30s'")
    with pytest.raises(
        SegmentQueryError, match="'sly' cannot be asked: cannot execute DELETE in a read-only transaction"
    ):
        await people.sweep(sly)

    assert (await people.sweep(asks)).found == 1
    assert len(await people.rows("SELECT 1 FROM identifier")) == 1


async def test_wrong_queries_are_told_all_at_once_in_postgress_own_words(database: Database) -> None:
    queries = {
        "right": "SELECT p.profile_id, i.value FROM person p JOIN identifier i USING (profile_id)",
        "with": "WITH few AS (SELECT profile_id FROM person) SELECT profile_id FROM few",
        "syntax": "SELECT profile_id FORM person",
        "column": "SELECT profile_id FROM person WHERE ordrs > 2",
        "first": "SELECT orders, profile_id FROM person",
        "text": "SELECT profile_id::text AS profile_id FROM person",
        "asks": "SELECT profile_id FROM person WHERE orders > $1",
        "writes": "WITH gone AS (DELETE FROM identifier RETURNING *) SELECT profile_id FROM gone",
        "zero": "SELECT profile_id FROM person WHERE orders > 1/0",
    }
    faults = await check_segment_queries(database, [Segment(name, query) for name, query in queries.items()])

    said = dict(fault.removeprefix("segment '").split("': ", 1) for fault in faults)
    assert set(queries) - {"right", "with"} == set(said)
    assert 'syntax error at or near "person"' in said["syntax"]
    assert 'column "ordrs" does not exist' in said["column"]
    assert "person has the columns profile_id, traits, orders" in said["column"]
    assert said["first"] == "its first column must be profile_id, a uuid; got orders of type int4"
    assert "got profile_id of type text" in said["text"]
    assert "parameters" in said["asks"]
    assert "data-modifying" in said["writes"]
    assert "division by zero" in said["zero"]


def test_journeys_may_share_a_segment_but_not_its_name_alone() -> None:
    @journey(
        starts_on=Segment(REGULARS.name, "SELECT profile_id FROM person", every=hours(1)), keyed_by=PERSON
    )
    class Other(Story):
        """Means other people by the same name."""

        async def run(self, entry: SegmentEntered) -> str:
            return "never"

    assert find_segment_conflicts(JourneyRegistry([ThankRegulars, GreetRegulars])) == []
    assert find_segment_conflicts(JourneyRegistry([ThankRegulars, Other])) == [
        "segment 'regulars': other and thank-regulars declare it with different query and every; "
        "share one Segment between them, or give it another name"
    ]
