"""Cost of ingest with ten thousand profiles and with a million, on the same Postgres; it must not grow."""

import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from bench.counting_database import CountingDatabase
from bench.events import split_batches
from bench.identity_events import IdentityEventGenerator, IdentityEventKind
from bench.ingest_paths import CONCURRENCY, IngestPath, in_process_path, ingest_batch
from bench.population import Population, populate
from bench.report import BenchComparison, Measure
from bench.servers import BenchServers, ProgressCallback
from bench.sizes import SEED, Sizes
from journeys.registry import load_journeys
from profiles.db.database import Database
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.runs.routing import Route

NAME = "identity"
MAX_RATIO = 1.3
"""Maximum ratio of the cost of an event with ``Sizes.many`` people to that with ``Sizes.few``."""

_SINGLES = f"one by one, {CONCURRENCY} at once"
_EVENTS_PER_KIND = 5
"""Number of events of each kind for which statements are counted."""
_WARM_UP = 2
"""Number of batches, and of batches sent event by event."""

MAX_ROUND_TRIPS = 7
"""Maximum for an event without new identity evidence, BEGIN and COMMIT included."""

_RATIO_NOTE = f"the ratio is to stay under {MAX_RATIO}"


@dataclass(slots=True)
class _Side:
    """A population, its events, and the ingest path that is measured."""

    population: Population
    visitors: IdentityEventGenerator
    ingest_path: IngestPath
    counting_database: CountingDatabase
    """The same database on a separate connection, since counting takes time."""
    ms_per_event: dict[str, list[float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.population.count:,} people"

    async def singles(self, count: int) -> float:
        """Return milliseconds per event, ``CONCURRENCY`` at once."""
        return await self.ingest_path.singles(self.visitors.mixed(count)) * 1000 / count

    async def batches(self, count: int, size: int) -> float:
        """Return milliseconds per event, one batch after the other."""
        events = self.visitors.mixed(count * size)
        return await self.ingest_path.batches(split_batches(events, size)) * 1000 / len(events)

    async def round_trips(self, kind: IdentityEventKind, routes: Sequence[Route]) -> float:
        """Return the median number of round trips of a page view with identity evidence of a kind."""
        ingest, counted = Ingest(self.counting_database, routes).__call__, []
        page_view = {"type": "Product Viewed", "properties": {"product_id": "p-1"}}
        for event in self.visitors.of_kind(kind, _EVENTS_PER_KIND):
            before = self.counting_database.statement_count
            await ingest_batch(ingest, [event | page_view])
            counted.append(self.counting_database.statement_count - before)
        return statistics.median(counted)


def steps(sizes: Sizes) -> int:
    """Return how often ``measure`` reports progress."""
    return 2 + sizes.repeats * 2


async def measure(
    servers: BenchServers, sizes: Sizes, report_progress: ProgressCallback
) -> list[BenchComparison]:
    """Ingest the same mix of events on both sides, in turns. Raises RuntimeError unless all are accepted."""
    routes = load_journeys().routes
    async with AsyncExitStack() as stack:
        sides = []
        for count in (sizes.few, sizes.many):
            report_progress(f"{NAME}: making {count:,} people")
            sides.append(await _open_side(stack, servers, count, routes))
        counted = {
            kind: [await side.round_trips(kind, routes) for side in sides] for kind in IdentityEventKind
        }
        for side in sides:
            await side.batches(_WARM_UP, sizes.batch)
            await side.singles(_WARM_UP * sizes.batch)
        for repeat in range(sizes.repeats):
            # The first side affects the state of the machine for the second, so the order alternates.
            turn = sides if repeat % 2 else sides[::-1]
            report_progress(f"{NAME}: {_SINGLES}")
            for side in turn:
                side.ms_per_event.setdefault(_SINGLES, []).append(await side.singles(sizes.singles))
            report_progress(f"{NAME}: batches of {sizes.batch}")
            for side in turn:
                ms = await side.batches(sizes.batches, sizes.batch)
                side.ms_per_event.setdefault(f"batches of {sizes.batch}", []).append(ms)
    return _comparisons(sides[0], sides[1], counted)


async def _open_side(
    stack: AsyncExitStack, servers: BenchServers, count: int, routes: Sequence[Route]
) -> _Side:
    url = await stack.enter_async_context(servers.database())
    population = await populate(url, count)
    database, counting = Database(url, pool_size=CONCURRENCY), CountingDatabase(url, pool_size=1)
    stack.push_async_callback(database.close)
    stack.push_async_callback(counting.close)
    path = in_process_path(Ingest(database, routes, IngestConfig(local=True)).__call__)
    return _Side(population, IdentityEventGenerator(SEED, count), path, counting)


def _comparisons(
    few: _Side, many: _Side, counted: dict[IdentityEventKind, list[float]]
) -> list[BenchComparison]:
    def row(
        name: str, unit: str, many_values: Sequence[float], few_values: Sequence[float], note: str = ""
    ) -> BenchComparison:
        values = Measure(many_values), Measure(few_values)
        return BenchComparison(NAME, name, unit, *values, note=note, sides=(many.name, few.name))

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
