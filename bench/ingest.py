"""Events a second: through the HTTP API, through its parts in this process, and as bare inserts."""

import time
from collections import defaultdict
from collections.abc import Sequence

import aiohttp
import orjson

from bench.concurrency import time_workers
from bench.events import EventBody, EventGenerator, split_batches
from bench.ingest_paths import (
    CONCURRENCY,
    http_path,
    open_in_process_paths,
    open_session,
    parse_event,
)
from bench.machine import CpuClock
from bench.report import BenchComparison, Measure, per_second
from bench.servers import BenchServers, ProgressCallback
from bench.sizes import SEED, Sizes

NAME = "ingest"
SINGLES = f"one by one, {CONCURRENCY} at once"
BATCHES = "in batches, one at a time"
_WARM_UP = 64

Rates = dict[tuple[str, str], list[float]]
"""Events per second by (mode, path), one value per repeat."""


def steps(sizes: Sizes) -> int:
    """Return how often ``measure`` reports progress."""
    return sizes.repeats * 2


async def measure(
    servers: BenchServers, sizes: Sizes, report_progress: ProgressCallback
) -> list[BenchComparison]:
    """Send events of one simulated shop by every ingest path; each path and repeat gets new events.

    Relay and worker do not run, so starts and signals of runs wait in the outbox, as while Temporal is down.
    Raises RuntimeError if an event is not accepted.
    """
    rates: Rates = defaultdict(list)
    api_cpu_ms: dict[str, list[float]] = defaultdict(list)
    traffic = EventGenerator(SEED)
    async with (
        servers.database() as url,
        servers.run_processes(url, "api") as processes,
        open_in_process_paths(url) as others,
        open_session(processes) as requests,
    ):
        ways = {"HTTP": http_path(requests), **others}
        cpu = CpuClock({"api": processes.pids["api"]})
        for way in ways.values():
            await way.singles(traffic.events(_WARM_UP))
            await way.batches([traffic.events(_WARM_UP)])
        for _ in range(sizes.repeats):
            for how in (SINGLES, BATCHES):
                report_progress(f"{NAME}: {how}")
                count = sizes.singles if how == SINGLES else sizes.batches * sizes.batch
                for name, way in ways.items():
                    events = traffic.events(count)
                    cpu.start()
                    batches = split_batches(events, sizes.batch)
                    seconds = await (way.singles(events) if how == SINGLES else way.batches(batches))
                    rates[how, name].append(per_second(count, seconds))
                    if name == "HTTP":
                        api_cpu_ms[how].extend(cpu.ms_per_item(count).values())
            rates["", "door"].append(await _measure_healthz(requests, sizes.singles))
            rates["", "reading"].append(_measure_parsing(traffic.events(sizes.batch)))
    return _comparisons(rates, api_cpu_ms, sizes)


async def _measure_healthz(requests: aiohttp.ClientSession, count: int) -> float:
    """Return the requests per second to an endpoint that does no work."""

    async def ask(path: str) -> None:
        async with requests.get(path) as answer:
            await answer.read()

    return per_second(count, await time_workers(["/healthz"] * count, [ask] * CONCURRENCY))


def _measure_parsing(events: Sequence[EventBody]) -> float:
    bodies = [orjson.dumps(event) for event in events]
    begun = time.perf_counter()
    for body in bodies:
        parse_event(orjson.loads(body)).content_hash()
    return per_second(len(bodies), time.perf_counter() - begun)


_NOTES = {
    "HTTP": "a `waypost api` process",
    "Batcher": "the same without HTTP: reading, group commit, Ingest",
    "Ingest": "the same without group commit: a transaction a call",
}


def _comparisons(rates: Rates, api_cpu_ms: dict[str, list[float]], sizes: Sizes) -> list[BenchComparison]:
    measures = {key: Measure(values) for key, values in rates.items()}
    labels = {SINGLES: SINGLES, BATCHES: f"batches of {sizes.batch}"}
    door = "GET /healthz: what client and server manage when nothing is to be done"
    reading = measures["", "reading"]
    return [
        *(
            BenchComparison(
                NAME, f"{way}, {label}", "events/s", measures[how, way], measures[how, "bare"], note=note
            )
            for how, label in labels.items()
            for way, note in _NOTES.items()
        ),
        *(
            BenchComparison(NAME, f"CPU of the API process, {labels[how]}", "ms/event", Measure(values))
            for how, values in api_cpu_ms.items()
        ),
        BenchComparison(NAME, f"HTTP alone, {SINGLES}", "requests/s", measures["", "door"], note=door),
        BenchComparison(NAME, "reading and checking events", "events/s", reading, note="one core"),
    ]
