"""Rate and latency of the send gate's decisions, beside minimal transactions that lock the profile."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from uuid import UUID

from activities.contracts import SendMessage
from activities.gate.batching import GateBatcher
from activities.gate.send_gate import GateRequest, SendClaim, SendGate
from bench.bare_gate import create_bare_gate
from bench.concurrency import time_workers
from bench.people_with_runs import PersonWithRun, create_people_with_runs
from bench.population import populate
from bench.report import BenchComparison, Measure, per_second, percentile
from bench.servers import BenchServers, ProgressCallback
from bench.sizes import Sizes
from policy.limits import Limits
from policy.verdict import Channel, MessageClass
from profiles.db.database import Database
from profiles.events import Item
from profiles.messaging.snapshot import DEFAULT_LOOKBACK

NAME = "gate"
WRITERS = (1, 8, 40)
MAX_PEOPLE = 800
"""Maximum number of people; more than writers, so that writers do not wait for each other."""

_WARM_UP = 400
_ROUNDS = 5
_FIRST_DECISION_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
_DECISION_INTERVAL = DEFAULT_LOOKBACK + timedelta(days=1)
"""Interval between two decisions of a person, so that the caps count no earlier messages of the bench."""
_LIMITS = Limits(caps=tuple(replace(cap, limit=10**6) for cap in Limits().caps))
"""The shipped caps with limits that are never reached, so that every decision ends in a claim."""


@dataclass(frozen=True, slots=True)
class _DecisionTask:
    """One decision to be made."""

    person: PersonWithRun
    at: datetime
    """The run's time."""
    request: SendMessage


DecisionCall = Callable[[_DecisionTask], Awaitable[None]]
BareWrite = Callable[[UUID, UUID, str, datetime], Awaitable[None]]


@dataclass(slots=True)
class _GateFigures:
    """Figures of one implementation, one value per repeat."""

    rates: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _GateLoad:
    """A number of writers in a population of a size. ``on_one``: all decide on the same person."""

    population: int
    writers: int
    on_one: bool

    @property
    def name(self) -> str:
        writers = f"{self.writers} writer{'s' if self.writers > 1 else ''}"
        return f"{writers}, {'one person' if self.on_one else 'each another person'} of {self.population:,}"


def _all_loads(sizes: Sizes) -> list[_GateLoad]:
    return [
        *(_GateLoad(sizes.few, writers, on_one) for on_one in (False, True) for writers in WRITERS),
        *(_GateLoad(sizes.many, writers, on_one=False) for writers in WRITERS),
    ]


def steps(sizes: Sizes) -> int:
    """Return how often ``measure`` reports progress."""
    return 2 + sizes.repeats * len(_all_loads(sizes))


async def measure(
    servers: BenchServers, sizes: Sizes, report_progress: ProgressCallback
) -> list[BenchComparison]:
    """Measure claims as a worker makes them, and two kinds of bare transactions, on the same profiles.

    Raises RuntimeError if a message is not allowed, since a refusal takes a shorter path.
    """
    numbers = count()
    found = {case: (_GateFigures(), _GateFigures(), _GateFigures()) for case in _all_loads(sizes)}
    async with AsyncExitStack() as stack:
        sides: dict[int, tuple[tuple[DecisionCall, ...], list[PersonWithRun]]] = {}
        for population in (sizes.few, sizes.many):
            report_progress(f"{NAME}: making {population:,} people")
            url = await stack.enter_async_context(servers.database())
            await populate(url, population)
            database = Database(url, pool_size=max(WRITERS))
            stack.push_async_callback(database.close)
            people = await create_people_with_runs(database, population, MAX_PEOPLE)
            gate = partial(_claim_with_gate, GateBatcher(SendGate(database, _LIMITS)))
            await _run_tasks(gate, people, numbers, max(WRITERS), _WARM_UP)
            bare = await create_bare_gate(database)
            works: tuple[DecisionCall, ...] = (
                gate,
                partial(_write_bare, bare.insert_narrow_row),
                partial(_write_bare, bare.insert_same_rows),
            )
            sides[population] = works, people
            for work in works:
                await _run_tasks(work, people, numbers, max(WRITERS), _WARM_UP)
        for _ in range(sizes.repeats):
            for case, sums in found.items():
                report_progress(f"{NAME}: {case.name}")
                works, people = sides[case.population]
                chosen = people[:1] if case.on_one else people
                sides_and_sums = list(zip(works, sums, strict=True))
                await _measure_in_rounds(sides_and_sums, chosen, numbers, case.writers, sizes)
    return [row for case, sums in found.items() for row in _comparison_rows(case, *sums)]


def _comparison_rows(
    case: _GateLoad, ours: _GateFigures, one_row: _GateFigures, same_rows: _GateFigures
) -> list[BenchComparison]:
    note = "all wait for one lock" if case.on_one and case.writers > 1 else ""
    rates = Measure(ours.rates)
    rows = [
        BenchComparison(NAME, case.name, "decisions/s", rates, Measure(one_row.rates), note=note),
        BenchComparison(NAME, "  beside the same rows", "decisions/s", rates, Measure(same_rows.rates)),
    ]
    if not case.on_one:
        rows.append(BenchComparison(NAME, "  p99", "ms", Measure(ours.p99_ms), Measure(one_row.p99_ms)))
    return rows


async def _measure_in_rounds(
    sides: Sequence[tuple[DecisionCall, _GateFigures]],
    people: Sequence[PersonWithRun],
    numbers: "count[int]",
    writers: int,
    sizes: Sizes,
) -> None:
    """Measure the sides alternately in short rounds, so that a slow moment of the machine affects all."""
    each = sizes.decisions // _ROUNDS
    rounds = [
        [await _run_tasks(work, people, numbers, writers, each) for work, _ in sides] for _ in range(_ROUNDS)
    ]
    for (_, found), results in zip(sides, zip(*rounds, strict=True), strict=True):
        found.rates.append(per_second(each * _ROUNDS, sum(spent for spent, _ in results)))
        found.p99_ms.append(percentile([took for _, of_each in results for took in of_each], 0.99) * 1000)


async def _run_tasks(
    work: DecisionCall, people: Sequence[PersonWithRun], numbers: "count[int]", writers: int, decisions: int
) -> tuple[float, list[float]]:
    """Run decisions with concurrent writers; returns the total seconds and the seconds of each."""
    tasks = [_create_task(number, people) for number, _ in zip(numbers, range(decisions), strict=False)]
    took: list[float] = []

    async def timed(task: _DecisionTask) -> None:
        begun = time.perf_counter()
        await work(task)
        took.append(time.perf_counter() - begun)

    return await time_workers(tasks, [timed] * writers), took


def _create_task(number: int, people: Sequence[PersonWithRun]) -> _DecisionTask:
    person = people[number % len(people)]
    # Each person has a calendar of its own, which restarts before the largest datetime.
    at = _FIRST_DECISION_AT + (number // len(people) % 80_000) * _DECISION_INTERVAL
    request = SendMessage(
        run_id=str(person.run_id),
        step=f"step {number}",
        journey="cart-abandonment",
        template="cart_reminder",
        channel=Channel.EMAIL,
        promoting=(Item(product_id=person.product_id, sku=person.sku),),
        expires_at=at + timedelta(days=2),
        cart_id=person.cart_id,
    )
    return _DecisionTask(person, at, request)


async def _claim_with_gate(gate: GateBatcher, task: _DecisionTask) -> None:
    answer = await gate.decide(GateRequest(task.request, MessageClass.MARKETING, "marketing", task.at))
    if not isinstance(answer, SendClaim):
        raise RuntimeError(f"expected the gate to allow {task.request.step}; got {answer}")


async def _write_bare(write: BareWrite, task: _DecisionTask) -> None:
    await write(task.person.profile_id, task.person.run_id, task.request.step, task.at)
