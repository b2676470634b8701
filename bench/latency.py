"""Latency from the acceptance of a purchase to the end of the run that waits for it, on a local stack."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import count, islice

from bench.cart_drivers import NOON, CartDriver, open_drivers, wait_until_armed
from bench.concurrency import time_workers
from bench.report import BenchComparison, Measure, percentile
from bench.servers import BenchServers, ProgressCallback
from bench.sizes import Sizes

NAME = "latency"
LOADS = (1, 8)
"""Numbers of concurrent purchases."""

_WARM_UP = 5
_RUN_TIMEOUT_S = 30.0


def steps(sizes: Sizes) -> int:
    """Return how often ``measure`` reports progress."""
    return sizes.repeats * len(LOADS) * 2


async def measure(
    servers: BenchServers, sizes: Sizes, report_progress: ProgressCallback
) -> list[BenchComparison]:
    """Measure the milliseconds from the 2xx response to a purchase to the end of the waiting run.

    Bare: from the return of the signal. All shipped journeys are loaded, so each purchase also starts a
    post-purchase run, as in production.
    """
    numbers = count(1)
    found: dict[tuple[int, str], list[list[float]]] = {}
    async with open_drivers(servers) as (_, drivers):
        for driver in drivers.values():
            await _measure_waits(driver, list(islice(numbers, _WARM_UP)), 1)
        for _ in range(sizes.repeats):
            for load in LOADS:
                for name, driver in drivers.items():
                    report_progress(f"{NAME}: {load} at once, {name}")
                    waits = await _measure_waits(driver, list(islice(numbers, sizes.purchases)), load)
                    found.setdefault((load, name), []).append(waits)
    return [row for load in LOADS for row in _comparisons(load, found[load, "waypost"], found[load, "bare"])]


async def _measure_waits(carts: CartDriver, people: Sequence[int], at_once: int) -> list[float]:
    await time_workers(people, [lambda each: carts.add(each, NOON)] * 8)
    handles = {each: await carts.wait_for_run(each) for each in people}
    await wait_until_armed(list(handles.values()))
    waits: list[float] = []

    async def buy(person: int) -> None:
        # The result is requested before the purchase, so that it arrives as soon as the run has ended.
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
    def row(name: str, our_measure: Measure, bare_measure: Measure, note: str) -> BenchComparison:
        return BenchComparison(NAME, name, "ms", our_measure, bare_measure, note=note)

    def medians(repeats: list[list[float]]) -> Measure:
        return Measure([percentile(waits, 0.5) for waits in repeats])

    def highest(repeats: list[list[float]]) -> Measure:
        # One repeat has too few values for a p99, so it is taken over all repeats.
        return Measure((percentile([wait for waits in repeats for wait in waits], 0.99),))

    name = f"purchase to end of run, {load} at once"
    of = f"of {sum(map(len, ours))} runs"
    return [
        row(f"{name}, p50", medians(ours), medians(bare), "bare: signal, one INSERT, end"),
        row(f"{name}, p99", highest(ours), highest(bare), of),
    ]
