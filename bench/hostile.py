"""A till's purchases while a stranger sends hostile requests under the public write key: time and memory."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson

from bench.events import EventBody, product_line
from bench.report import BenchComparison, Measure, percentile
from bench.servers import ROOT, SERVER_HEADERS, BenchServers, ProgressCallback
from bench.sizes import Sizes
from local.processes import ChildProcess, Command

NAME = "hostile"

SIDES = ("under attack", "calm")

DEFAULT_BUDGETS = {"WAYPOST_ADDRESS_EVENTS_PER_S": "100", "WAYPOST_KEY_EVENTS_PER_S": "500"}

_PURCHASES = 400
"""Purchases of the till, one after the other, in each repeat on each side. A p99 needs a few hundred."""

_PAUSE_S = 0.01
"""Seconds between two purchases: tills of a busy shop."""

_ATTACK_BEGIN_S = 3.0
"""Seconds of attack before the till is measured: the budget is used up, as it is most of the time."""

_READY_LINE = re.compile(r"^ready$")
_READY_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0


def steps(sizes: Sizes) -> int:
    """Return how often ``measure`` reports progress."""
    return sizes.repeats * 2


@dataclass(slots=True)
class _Figures:
    """One value per repeat and side."""

    p50: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})
    p99: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})
    memory: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})
    attack_rate: list[float] = field(default_factory=list)


async def measure(
    servers: BenchServers, sizes: Sizes, report_progress: ProgressCallback
) -> list[BenchComparison]:
    """Send a till's purchases to a ``waypost api`` process, calm and under attack, alternately.

    The attack is one process with all hostile requests of ``bench.hostile_sender``, as fast as one core can.
    Budgets have their defaults. Raises RuntimeError if a purchase is not accepted.
    """
    found, sent = _Figures(), 0
    async with (
        servers.database() as url,
        servers.run_processes(url, "api", settings=DEFAULT_BUDGETS) as processes,
        aiohttp.ClientSession(processes.api_url, headers=SERVER_HEADERS) as till,
    ):
        count = min(_PURCHASES, sizes.singles)
        await _buy(till, _purchases(sent, 20))
        sent += 20
        for _ in range(sizes.repeats):
            for side in reversed(SIDES):
                report_progress(f"{NAME}: {side}")
                async with _attack(processes.api_url, side == SIDES[0]):
                    before, began = await _refusals(till), time.perf_counter()
                    waits = await _buy(till, _purchases(sent, count))
                    sent += count
                    refusals = await _refusals(till) - before
                    seconds = time.perf_counter() - began
                    found.memory[side].append(_resident_mib(processes.pids["api"]))
                found.p50[side].append(percentile(waits, 0.5))
                found.p99[side].append(percentile(waits, 0.99))
                if side == SIDES[0]:
                    found.attack_rate.append(refusals / seconds)
    return _comparisons(found, count)


@asynccontextmanager
async def _attack(api_url: str, is_on: bool) -> AsyncIterator[None]:
    if not is_on:
        yield
        return
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PUBLIC_URL": api_url, "PYTHONUNBUFFERED": "1"}
    argv = [sys.executable, "-m", "bench.hostile_sender"]
    command = Command(
        name="bench.hostile_sender",
        argv=argv,
        environment=environment,
        working_dir=ROOT,
        ready_line=_READY_LINE,
    )
    child = ChildProcess(command)
    await child.start()
    try:
        await child.wait_until_ready(None, timeout_s=_READY_TIMEOUT_S)
        await asyncio.sleep(_ATTACK_BEGIN_S)
        yield
    finally:
        await child.stop(_STOP_TIMEOUT_S)


def _purchases(first: int, count: int) -> list[EventBody]:
    return [
        {
            "id": f"sale-{number}",
            "type": "Order Completed",
            "source": "pos/berlin-3",
            "channel": "store",
            "identifiers": {"loyalty_id": f"L{number}"},
            "properties": {"order_id": f"o-{number}", "products": [product_line(number % 200)]},
        }
        for number in range(first, first + count)
    ]


async def _buy(till: aiohttp.ClientSession, purchases: Sequence[EventBody]) -> list[float]:
    """Send purchases one by one. Return the milliseconds of each. Raises RuntimeError if one is refused."""
    waits = []
    for purchase in purchases:
        began = time.perf_counter()
        async with till.post("/v1/events", data=orjson.dumps(purchase)) as answer:
            body = await answer.read()
        waits.append((time.perf_counter() - began) * 1000)
        if answer.status != 200 or orjson.loads(body)["results"][0]["status"] != "accepted":
            raise RuntimeError(f"a purchase was not accepted but answered {answer.status}: {body[:300]!r}")
        await asyncio.sleep(_PAUSE_S)
    return waits


async def _refusals(till: aiohttp.ClientSession) -> float:
    """Return the number of requests that were refused unread."""
    async with till.get("/metrics") as answer:
        text = await answer.text()
    lines = (line for line in text.splitlines() if line.startswith("waypost_requests_refused_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _resident_mib(pid: int) -> float:
    """Return the resident memory of a process; 1 where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 1.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _comparisons(found: _Figures, count: int) -> list[BenchComparison]:
    attack, calm = SIDES

    def row(name: str, unit: str, values: dict[str, list[float]], note: str = "") -> BenchComparison:
        return BenchComparison(
            NAME,
            name,
            unit,
            Measure(values[attack]),
            Measure(values[calm]),
            note=note,
            sides=SIDES,
        )

    return [
        row("purchase of a till, p50", "ms", found.p50),
        row("purchase of a till, p99", "ms", found.p99, f"of {count} purchases a repeat, all accepted"),
        row("memory of the API process", "MiB", found.memory),
        BenchComparison(
            NAME,
            "hostile requests refused unread",
            "requests/s",
            Measure(found.attack_rate),
            note="one process, eight connections, as fast as it can",
            sides=SIDES,
        ),
    ]
