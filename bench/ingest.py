"""Events a second: through the HTTP API, through its parts in this process, and as bare inserts."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import orjson

from bench.at_once import seconds_for
from bench.machine import CpuClock
from bench.report import Comparison, Measure, rate
from bench.servers import Servers
from bench.sizes import SEED, Sizes
from bench.traffic import Event, Traffic, in_batches
from bench.ways_in import AT_ONCE, Http, Way, in_this_process, read, session

NAME = "ingest"
SINGLES = f"one by one, {AT_ONCE} at once"
BATCHES = "in batches, one at a time"
_WARM_UP = 64

Tell = Callable[[str], None]


def steps(sizes: Sizes) -> int:
    """How often ``measure`` tells of progress."""
    return sizes.repeats * 2


@dataclass(slots=True)
class _Found:
    """Figures by what they are of, a value a repeat."""

    rates: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    api_cpu_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


async def measure(servers: Servers, sizes: Sizes, tell: Tell) -> list[Comparison]:
    """Every way in takes the same made-up shop's events, new ones for each way and each repeat.

    Relay and worker do not run: what events start waits in the outbox, as while Temporal is down.
    Raises RuntimeError when an event is not accepted.
    """
    found, traffic = _Found(), Traffic(SEED)
    async with (
        servers.database() as url,
        servers.running(url, "api") as processes,
        in_this_process(url) as others,
        session(processes) as requests,
    ):
        ways = {"HTTP": Http(requests), **others}
        cpu = CpuClock({"api": processes.pids["api"]})
        for way in ways.values():
            await way.singles(traffic.events(_WARM_UP))
            await way.batches([traffic.events(_WARM_UP)])
        for _ in range(sizes.repeats):
            for how in (SINGLES, BATCHES):
                tell(f"{NAME}: {how}")
                for name, way in ways.items():
                    await _run(way, name, how, sizes, traffic, cpu, found)
            found.rates["", "door"].append(await _door(requests, sizes.singles))
            found.rates["", "reading"].append(_reading(traffic.events(sizes.batch)))
    return _compared(found, sizes)


async def _run(
    way: Way, name: str, how: str, sizes: Sizes, traffic: Traffic, cpu: CpuClock, found: _Found
) -> None:
    count = sizes.singles if how == SINGLES else sizes.batches * sizes.batch
    events = traffic.events(count)
    cpu.start()
    seconds = await (way.singles(events) if how == SINGLES else way.batches(in_batches(events, sizes.batch)))
    found.rates[how, name].append(rate(count, seconds))
    if name == "HTTP":
        found.api_cpu_ms[how].extend(cpu.per(count).values())


async def _door(requests: aiohttp.ClientSession, count: int) -> float:
    """Requests a second that this client and that server manage when nothing is to be done."""

    async def ask(path: str) -> None:
        async with requests.get(path) as answer:
            await answer.read()

    return rate(count, await seconds_for(["/healthz"] * count, [ask] * AT_ONCE))


def _reading(events: Sequence[Event]) -> float:
    bodies = [orjson.dumps(event) for event in events]
    begun = time.perf_counter()
    for body in bodies:
        read(orjson.loads(body)).content_hash()
    return rate(len(bodies), time.perf_counter() - begun)


_NOTES = {
    "HTTP": "a `waypost api` process",
    "Batcher": "the same without HTTP: reading, group commit, Ingest",
    "Ingest": "the same without group commit: a transaction a call",
}


def _compared(found: _Found, sizes: Sizes) -> list[Comparison]:
    def measured(how: str, way: str) -> Measure:
        return Measure(tuple(found.rates[how, way]))

    rows = []
    for how in (SINGLES, BATCHES):
        for way, note in _NOTES.items():
            name, bare = f"{way}, {_sized(how, sizes)}", measured(how, "bare")
            rows.append(Comparison(NAME, name, "events/s", measured(how, way), bare, note=note))
    for how, values in found.api_cpu_ms.items():
        name = f"CPU of the API process, {_sized(how, sizes)}"
        rows.append(Comparison(NAME, name, "ms/event", Measure(tuple(values)), more_is_better=False))
    door = "GET /healthz: what client and server manage when nothing is to be done"
    return [
        *rows,
        Comparison(NAME, f"HTTP alone, {SINGLES}", "requests/s", measured("", "door"), note=door),
        Comparison(NAME, "reading and checking events", "events/s", measured("", "reading"), note="one core"),
    ]


def _sized(how: str, sizes: Sizes) -> str:
    return f"batches of {sizes.batch}" if how == BATCHES else how
