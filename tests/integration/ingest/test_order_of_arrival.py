"""In whatever order events come in, and however often: the same people, records and suppressions."""

import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.db.database import Database
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import IngestHarness
from tests.support.generators.event_histories import HistoryEvent, as_events, lives
from tests.support.proof_size import FULL
from tests.support.queries.snapshot import Record, forget_all, record

HISTORIES, ORDERS = (500, 20) if FULL else (10, 3)


async def lived(database: Database, events: list[IncomingEvent], cuts: list[int]) -> Record:
    """The records after these events, in batches cut at some places."""
    await forget_all(database)
    facts = IngestHarness(database)
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(events)}), len(events)]
    for start, end in pairwise(edges):
        await facts.ingest(events[start:end])
    return await record(database)


@pytest.mark.proof
@pytest.mark.timeout(7200 if FULL else 300)
@settings(
    max_examples=HISTORIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(life=lives, seed=st.integers(0, 2**32))
async def test_any_order_of_arrival_gives_the_same_people_records_and_suppressions(
    database: Database, life: list[HistoryEvent], seed: int
) -> None:
    dice, events = random.Random(seed), as_events(life)
    expected = await lived(database, sorted(events, key=lambda event: event.time), [])
    for _ in range(ORDERS):
        shuffled = [*events, *dice.choices(events, k=dice.randrange(4))]
        dice.shuffle(shuffled)
        cuts = [dice.randrange(len(shuffled)) for _ in range(dice.randrange(8))]
        found = await lived(database, shuffled, cuts)

        assert found == expected, [(event.id, event.type) for event in shuffled]
