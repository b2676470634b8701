"""Runs a second, processor time and billed actions of the cart journey, beside its shape on the bare SDK."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count

from bench.actions import actions
from bench.at_once import seconds_for, until
from bench.carts import NOON, Carts, Handle, both, shoppers, until_armed
from bench.machine import CpuClock
from bench.report import Comparison, Measure, rate
from bench.servers import Servers
from bench.sizes import Sizes
from local.time_travel import fast_forward

NAME = "journeys"
AT_ONCE = 16
BUDGET = 10
"""Actions of the whole story: entry, one more cart event, settle re-armed once, waits, three sends, close."""

_UNTIL_REMINDED = timedelta(hours=2)
_UNTIL_NUDGED = timedelta(days=4)
_WARM_UP = 8
_WITHIN_S = 60.0
_PROCESSES = ("api", "relay", "worker", "bench.bare_worker")

Tell = Callable[[str], None]


def steps(sizes: Sizes) -> int:
    """How often ``measure`` tells of progress."""
    return sizes.repeats * 2 + 1


@dataclass(slots=True)
class _Found:
    """Figures of one side, a value a repeat."""

    rates: list[float] = field(default_factory=list)
    cpu_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bought: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)


async def measure(servers: Servers, sizes: Sizes, tell: Tell) -> list[Comparison]:
    """Carts are filled, time travels two hours, a reminder and an audience place go out, all is bought.

    Only the cart journey is loaded, so that a purchase starts no other. Raises RuntimeError when a run
    ends in another way.
    """
    numbers = count(1)
    async with (
        servers.database() as url,
        servers.running(url, *_PROCESSES, journeys="bench.cart_only") as processes,
        both(servers.client, processes, url) as carts,
    ):
        cpu = CpuClock({**processes.pids, "temporal": servers.temporal_pid})
        sides: dict[str, tuple[Carts, _Found]] = {
            name: (each, _Found()) for name, each in zip(("waypost", "bare"), carts, strict=True)
        }
        for told_to, _ in sides.values():
            await _bought(told_to, shoppers(numbers, _WARM_UP), servers)
        for _ in range(sizes.repeats):
            for name, (told_to, found) in sides.items():
                tell(f"{NAME}: {name}")
                cpu.start()
                begun = time.perf_counter()
                handles = await _bought(told_to, shoppers(numbers, sizes.runs), servers)
                found.rates.append(rate(sizes.runs, time.perf_counter() - begun))
                for process, used in cpu.per(sizes.runs).items():
                    found.cpu_ms[process].append(used)
                found.bought = await _actions(handles[0])
        tell(f"{NAME}: actions")
        for told_to, found in sides.values():
            found.told = await _actions(await _nudged(told_to, next(numbers), servers))
    return _compared(sides["waypost"][1], sides["bare"][1])


async def _bought(carts: Carts, people: Sequence[int], servers: Servers) -> list[Handle]:
    """From the first event to the end of every run; returns the runs."""
    await seconds_for(people, [lambda each: carts.add(each, NOON)] * AT_ONCE)
    handles = [await carts.run_of(each) for each in people]

    async def on(handle: Handle) -> None:
        await fast_forward(servers.client, handle.id, _UNTIL_REMINDED)

    await seconds_for(handles, [on] * AT_ONCE)
    await seconds_for(people, [lambda each: carts.buy(each, NOON + _UNTIL_REMINDED)] * AT_ONCE)
    for handle in handles:
        await _expect("bought", handle)
    return handles


async def _nudged(carts: Carts, person: int, servers: Servers) -> Handle:
    """The whole story: one more event re-arms the quiet hour, and nobody buys."""
    await carts.add(person, NOON)
    handle = await carts.run_of(person)
    await until_armed([handle])
    await fast_forward(servers.client, handle.id, timedelta(minutes=30))
    await carts.add(person, NOON + timedelta(minutes=30))
    await until(partial(_heard, handle, 2))
    await fast_forward(servers.client, handle.id, _UNTIL_NUDGED)
    await _expect("nudged", handle)
    return handle


async def _heard(handle: Handle, signals: int) -> bool:
    return (await _actions(handle, started_with_signal=False))["signal"] >= signals


async def _expect(outcome: str, handle: Handle) -> None:
    try:
        result = await asyncio.wait_for(handle.result(), _WITHIN_S)
    except TimeoutError:
        raise RuntimeError(
            f"{handle.id} has not ended within {_WITHIN_S:.0f} s; expected {outcome!r}"
        ) from None
    came = result["outcome"] if isinstance(result, dict) else result
    if came != outcome:
        raise RuntimeError(f"expected {handle.id} to end as {outcome!r}; it ended as {came!r} ({result})")


async def _actions(handle: Handle, *, started_with_signal: bool = True) -> Counter[str]:
    history = await handle.fetch_history()
    return actions(history.events, started_with_signal=started_with_signal)


def _compared(ours: _Found, bare: _Found) -> list[Comparison]:
    def cpu(name: str, process: str, bare_process: str | None, note: str = "") -> list[Comparison]:
        if not ours.cpu_ms[process]:
            return []
        beside = Measure(tuple(bare.cpu_ms[bare_process])) if bare_process else None
        mine = Measure(tuple(ours.cpu_ms[process]))
        return [Comparison(NAME, name, "CPU ms/run", mine, beside, more_is_better=False, note=note)]

    def billed(name: str, mine: Counter[str], theirs: Counter[str], note: str) -> Comparison:
        told = ", ".join(f"{number} {kind}" for kind, number in sorted(mine.items()))
        return Comparison(
            NAME, name, "actions/run", _total(mine), _total(theirs), more_is_better=False,
            note=f"{note}{told}",
        )  # fmt: skip

    end_to_end = "bare: no HTTP, no outbox, no relay"
    return [
        Comparison(NAME, "runs, entry to end", "runs/s", _values(ours.rates), _values(bare.rates),
                   note=end_to_end),
        *cpu("worker", "worker", "bench.bare_worker"),
        *cpu("Temporal server", "temporal", "temporal"),
        *cpu("relay", "relay", None),
        *cpu("API", "api", None, "two events a run"),
        billed("billed: reminded, then bought", ours.bought, bare.bought, ""),
        billed("billed: the whole story, nothing bought", ours.told, bare.told, f"budget {BUDGET}: "),
    ]  # fmt: skip


def _values(values: Sequence[float]) -> Measure:
    return Measure(tuple(values))


def _total(counted: Counter[str]) -> Measure:
    return Measure((float(counted.total()),))
