"""Ingest among ten thousand people and among a million, on the same Postgres: the cost must not grow."""

import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench.population import Population, populate
from bench.report import BenchComparison, Measure
from bench.resolution import IdentityEventGenerator, IdentityEventKind
from bench.servers import BenchServers
from bench.sizes import SEED, Sizes
from bench.statements import CountingDatabase
from bench.traffic import split_batches
from bench.ways_in import CONCURRENCY, InProcessPath
from journeys.registry import load_journeys
from profiles.db.database import Database
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.runs.routing import Route

NAME = "identity"
MAX_RATIO = 1.3
"""So many times as much may an event cost among ``Sizes.many`` people as among ``Sizes.few``."""

_SINGLES = f"one by one, {CONCURRENCY} at once"
_EVENTS_PER_KIND = 5
"""Events of each kind whose statements are counted."""
_WARM_UP = 2
"""Batches, and as many events one by one as one of them holds."""

MAX_ROUND_TRIPS = 7
"""Of an event that says nothing new of who is who, with those that begin and commit."""

_RATIO_NOTE = f"the ratio is to stay under {MAX_RATIO}"

ProgressCallback = Callable[[str], None]


@dataclass(slots=True)
class _Side:
    """A population, and events of its people on their way in."""

    population: Population
    visitors: IdentityEventGenerator
    ingest_path: InProcessPath
    counting_database: CountingDatabase
    """The same database on a connection of its own; what counts takes time."""
    ms_per_event: dict[str, list[float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.population.count:,} people"

    async def singles(self, count: int) -> float:
        """Milliseconds an event, ``AT_ONCE`` at once."""
        return await self.ingest_path.singles(self.visitors.mixed(count)) * 1000 / count

    async def batches(self, count: int, size: int) -> float:
        """Milliseconds an event, a batch after the other."""
        events = self.visitors.mixed(count * size)
        return await self.ingest_path.batches(split_batches(events, size)) * 1000 / len(events)

    async def round_trips(self, kind: IdentityEventKind, routes: Sequence[Route]) -> float:
        """Round trips of a page view that says something of a kind."""
        way, counted = InProcessPath(Ingest(self.counting_database, routes).__call__), []
        for event in self.visitors.of_kind(kind, _EVENTS_PER_KIND):
            before = self.counting_database.statement_count
            await way.ingest_batch([{**event, "type": "Product Viewed", "properties": {"product_id": "p-1"}}])
            counted.append(float(self.counting_database.statement_count - before))
        return statistics.median(counted)


def steps(sizes: Sizes) -> int:
    """How often ``measure`` tells of progress."""
    return 2 + sizes.repeats * 2


async def measure(servers: BenchServers, sizes: Sizes, tell: ProgressCallback) -> list[BenchComparison]:
    """A shop's traffic handed to ingest, in the same mix on both sides, in turns.

    Raises RuntimeError when an event is not accepted.
    """
    routes = load_journeys().routes
    async with AsyncExitStack() as stack:
        sides = []
        for count in (sizes.few, sizes.many):
            tell(f"{NAME}: making {count:,} people")
            sides.append(await stack.enter_async_context(_open_side(servers, count, routes)))
        counted = {
            kind: [await side.statements(kind, routes) for side in sides] for kind in IdentityEventKind
        }
        for side in sides:
            await side.batches(_WARM_UP, sizes.batch)
            await side.singles(_WARM_UP * sizes.batch)
        for repeat in range(sizes.repeats):
            # Whoever comes second finds the machine as the first one left it: they take turns.
            turn = sides if repeat % 2 else sides[::-1]
            tell(f"{NAME}: {_SINGLES}")
            for side in turn:
                side.found.setdefault(_SINGLES, []).append(await side.singles(sizes.singles))
            tell(f"{NAME}: batches of {sizes.batch}")
            for side in turn:
                ms = await side.batches(sizes.batches, sizes.batch)
                side.found.setdefault(f"batches of {sizes.batch}", []).append(ms)
    return _comparisons(sides[0], sides[1], counted)


@asynccontextmanager
async def _open_side(servers: BenchServers, count: int, routes: Sequence[Route]) -> AsyncIterator[_Side]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(servers.database())
        population = await populate(url, count)
        database, counting = Database(url, pool_size=CONCURRENCY), CountingDatabase(url, pool_size=1)
        stack.push_async_callback(database.close)
        stack.push_async_callback(counting.close)
        way = InProcessPath(Ingest(database, routes, IngestConfig(local=True)).__call__)
        yield _Side(population, IdentityEventGenerator(SEED, count), way, counting)


def _comparisons(
    few: _Side, many: _Side, counted: dict[IdentityEventKind, list[float]]
) -> list[BenchComparison]:
    def row(
        name: str, unit: str, mine: Sequence[float], theirs: Sequence[float], note: str = ""
    ) -> BenchComparison:
        return BenchComparison(
            NAME, name, unit, Measure(tuple(mine)), Measure(tuple(theirs)),
            more_is_better=False, note=note, sides=(many.name, few.name),
        )  # fmt: skip

    big, small = many.population, few.population
    return [
        *(
            row(how, "ms/event", many.ms_per_event[how], few.ms_per_event[how], _RATIO_NOTE)
            for how in few.ms_per_event
        ),
        *(
            row(f"{kind}, one by one", "round trips", counts[1:], counts[:1])
            for kind, counts in counted.items()
        ),
        row("made in", "s", [big.seconds], [small.seconds]),
        row("size in Postgres", "MB", [big.bytes / 1e6], [small.bytes / 1e6]),
    ]
