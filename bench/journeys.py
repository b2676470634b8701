"""Runs per second, CPU time and billed actions of the cart journey, beside its bare SDK counterpart."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count, islice

from bench.billed_actions import count_billed_actions
from bench.cart_drivers import NOON, CartDriver, RunHandle, open_drivers, wait_until_armed
from bench.concurrency import poll_until, time_workers
from bench.machine import CpuClock
from bench.report import BenchComparison, Measure, per_second
from bench.servers import BenchServers, ProgressCallback
from bench.sizes import Sizes
from local.time_travel import fast_forward

NAME = "journeys"
CONCURRENCY = 16
ACTION_BUDGET = 10
"""Maximum actions of a complete run: entry, a second cart event, waits, three sends, close."""

_WHOLE_STORY = "billed: the whole story, nothing bought"
_CPU_ROWS = (
    ("worker", "worker", "bench.bare_worker", ""),
    ("Temporal server", "temporal", "temporal", ""),
    ("relay", "relay", None, ""),
    ("API", "api", None, "two events a run"),
)
"""Name of the row, our process, its bare counterpart, and a note."""

_REMINDED_AFTER = timedelta(hours=2)
_ENDED_AFTER = timedelta(days=4)
_WARM_UP = 8
_RUN_TIMEOUT_S = 60.0


def steps(sizes: Sizes) -> int:
    """Return how often ``measure`` reports progress."""
    return sizes.repeats * 2 + 1


@dataclass(slots=True)
class _JourneyFigures:
    """Figures of one side, one value per repeat."""

    rates: list[float] = field(default_factory=list)
    cpu_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bought_actions: Counter[str] = field(default_factory=Counter)
    nudged_actions: Counter[str] = field(default_factory=Counter)


async def measure(
    servers: BenchServers, sizes: Sizes, report_progress: ProgressCallback
) -> list[BenchComparison]:
    """Fill carts, move the clocks two hours, until reminder and audience entry are sent, then buy the carts.

    Only the cart journey is loaded: a purchase starts no other run. Raises RuntimeError for another outcome.
    """
    numbers = count(1)
    figures = {"waypost": _JourneyFigures(), "bare": _JourneyFigures()}
    async with open_drivers(servers, journeys="bench.cart_only") as (processes, drivers):
        cpu = CpuClock({**processes.pids, "temporal": servers.temporal_pid})
        for driver in drivers.values():
            await _run_until_bought(driver, list(islice(numbers, _WARM_UP)), servers)
        for _ in range(sizes.repeats):
            for name, driver in drivers.items():
                report_progress(f"{NAME}: {name}")
                found = figures[name]
                cpu.start()
                begun = time.perf_counter()
                handles = await _run_until_bought(driver, list(islice(numbers, sizes.runs)), servers)
                found.rates.append(per_second(sizes.runs, time.perf_counter() - begun))
                for process, used in cpu.ms_per_item(sizes.runs).items():
                    found.cpu_ms[process].append(used)
                found.bought_actions = await _count_actions(handles[0])
        report_progress(f"{NAME}: actions")
        for name, driver in drivers.items():
            nudged = await _run_until_nudged(driver, next(numbers), servers)
            figures[name].nudged_actions = await _count_actions(nudged)
    return _comparisons(figures["waypost"], figures["bare"])


async def _run_until_bought(
    carts: CartDriver, people: Sequence[int], servers: BenchServers
) -> list[RunHandle]:
    """Run every journey from its first event to its end by a purchase; returns the runs."""
    await time_workers(people, [lambda each: carts.add(each, NOON)] * CONCURRENCY)
    handles = [await carts.wait_for_run(each) for each in people]

    async def move_clock(handle: RunHandle) -> None:
        await fast_forward(servers.temporal.client, handle.id, _REMINDED_AFTER)

    await time_workers(handles, [move_clock] * CONCURRENCY)
    await time_workers(people, [lambda each: carts.buy(each, NOON + _REMINDED_AFTER)] * CONCURRENCY)
    for handle in handles:
        await _expect_outcome("bought", handle)
    return handles


async def _run_until_nudged(carts: CartDriver, person: int, servers: BenchServers) -> RunHandle:
    """Run the complete journey without a purchase; a second event restarts the quiet hour."""
    await carts.add(person, NOON)
    handle = await carts.wait_for_run(person)
    await wait_until_armed([handle])
    await fast_forward(servers.temporal.client, handle.id, timedelta(minutes=30))
    await carts.add(person, NOON + timedelta(minutes=30))
    await poll_until(partial(_has_signals, handle, 2))
    await fast_forward(servers.temporal.client, handle.id, _ENDED_AFTER)
    await _expect_outcome("nudged", handle)
    return handle


async def _has_signals(handle: RunHandle, signals: int) -> bool:
    return (await _count_actions(handle, started_with_signal=False))["signal"] >= signals


async def _expect_outcome(outcome: str, handle: RunHandle) -> None:
    try:
        result = await asyncio.wait_for(handle.result(), _RUN_TIMEOUT_S)
    except TimeoutError:
        raise RuntimeError(
            f"{handle.id} has not ended within {_RUN_TIMEOUT_S:.0f} s; expected {outcome!r}"
        ) from None
    actual = result["outcome"] if isinstance(result, dict) else result
    if actual != outcome:
        raise RuntimeError(f"expected {handle.id} to end as {outcome!r}; it ended as {actual!r} ({result})")


async def _count_actions(handle: RunHandle, *, started_with_signal: bool = True) -> Counter[str]:
    history = await handle.fetch_history()
    return count_billed_actions(history.events, started_with_signal=started_with_signal)


def _comparisons(ours: _JourneyFigures, bare: _JourneyFigures) -> list[BenchComparison]:
    end_to_end = "bare: no HTTP, no outbox, no relay"
    rates = Measure(ours.rates), Measure(bare.rates)
    rows = [BenchComparison(NAME, "runs, entry to end", "runs/s", *rates, note=end_to_end)]
    for name, process, bare_process, note in _CPU_ROWS:
        if used := ours.cpu_ms[process]:
            beside = Measure(bare.cpu_ms[bare_process]) if bare_process else None
            cpu = Measure(used), beside
            rows.append(BenchComparison(NAME, name, "CPU ms/run", *cpu, note=note))
    for name, our_actions, bare_actions, note in (
        ("billed: reminded, then bought", ours.bought_actions, bare.bought_actions, ""),
        (_WHOLE_STORY, ours.nudged_actions, bare.nudged_actions, f"budget {ACTION_BUDGET}: "),
    ):
        note += ", ".join(f"{number} {kind}" for kind, number in sorted(our_actions.items()))
        billed = Measure([our_actions.total()]), Measure([bare_actions.total()])
        rows.append(BenchComparison(NAME, name, "actions/run", *billed, note=note))
    return rows
