"""How long after a purchase is accepted its waiting run has ended, through the whole local stack."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

from bench.at_once import time_workers
from bench.carts import NOON, CartDriver, next_shoppers, open_drivers, wait_until_armed
from bench.report import BenchComparison, Measure, percentile
from bench.servers import BenchServers
from bench.sizes import Sizes

NAME = "latency"
LOADS = (1, 8)
"""Purchases at once."""

_WARM_UP = 5
_RUN_TIMEOUT_S = 30.0
_PROCESSES = ("api", "relay", "worker", "bench.bare_worker")

ProgressCallback = Callable[[str], None]


def steps(sizes: Sizes) -> int:
    """How often ``measure`` tells of progress."""
    return sizes.repeats * len(LOADS) * 2


async def measure(servers: BenchServers, sizes: Sizes, tell: ProgressCallback) -> list[BenchComparison]:
    """Milliseconds from the 2xx of a purchase (bare: of its signal) to the end of the run that waits for it.

    All shipped journeys are loaded: each purchase also starts a post-purchase run, as it does for a user.
    """
    numbers = count(1)
    found: dict[tuple[int, str], list[list[float]]] = {}
    async with (
        servers.database() as url,
        servers.run_processes(url, *_PROCESSES) as processes,
        open_drivers(servers.client, processes, url) as carts,
    ):
        sides: dict[str, CartDriver] = dict(zip(("waypost", "bare"), carts, strict=True))
        for told_to in sides.values():
            await _measure_waits(told_to, next_shoppers(numbers, _WARM_UP), 1)
        for _ in range(sizes.repeats):
            for load in LOADS:
                for name, told_to in sides.items():
                    tell(f"{NAME}: {load} at once, {name}")
                    waits = await _measure_waits(told_to, next_shoppers(numbers, sizes.purchases), load)
                    found.setdefault((load, name), []).append(waits)
    return [row for load in LOADS for row in _comparisons(load, found[load, "waypost"], found[load, "bare"])]


async def _measure_waits(carts: CartDriver, people: Sequence[int], at_once: int) -> list[float]:
    """Milliseconds of each purchase."""
    await time_workers(people, [lambda each: carts.add(each, NOON)] * 8)
    handles = {each: await carts.wait_for_run(each) for each in people}
    await wait_until_armed(list(handles.values()))
    waits: list[float] = []

    async def buy(person: int) -> None:
        # Asked for before the purchase, so that the answer is on its way the moment the run has ended.
        ended = asyncio.create_task(_end_time(handles[person].result()))
        await carts.buy(person, NOON + timedelta(minutes=1))
        accepted = time.perf_counter()
        async with asyncio.timeout(_RUN_TIMEOUT_S):
            waits.append(max(0.0, (await ended - accepted) * 1000))

    await time_workers(people, [buy] * at_once)
    return waits


async def _end_time(result: "asyncio.Future[object] | object") -> float:
    await result  # type: ignore[misc]
    return time.perf_counter()


def _comparisons(load: int, ours: list[list[float]], bare: list[list[float]]) -> list[BenchComparison]:
    def row(name: str, mine: Measure, theirs: Measure, note: str) -> BenchComparison:
        return BenchComparison(NAME, name, "ms", mine, theirs, more_is_better=False, note=note)

    def medians(repeats: list[list[float]]) -> Measure:
        return Measure(tuple(percentile(waits, 0.5) for waits in repeats))

    def highest(repeats: list[list[float]]) -> Measure:
        # One repeat is too few for a p99: taken over all of them.
        return Measure((percentile([wait for waits in repeats for wait in waits], 0.99),))

    name = f"purchase to end of run, {load} at once"
    of = f"of {sum(map(len, ours))} runs"
    return [
        row(f"{name}, p50", medians(ours), medians(bare), "bare: signal, one INSERT, end"),
        row(f"{name}, p99", highest(ours), highest(bare), of),
    ]
