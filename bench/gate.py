"""Decisions of the send gate, their rate and length, beside the least that a locking transaction does."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from uuid import UUID

from activities.contracts import SendMessage
from activities.gate.batching import Sittings
from activities.gate.send_gate import Case, Claim, Gate
from bench.at_once import seconds_for
from bench.bare_gate import beside_the_gate
from bench.in_a_story import Person, in_a_story
from bench.population import populate
from bench.report import Comparison, Measure, percentile, rate
from bench.servers import Servers
from bench.sizes import Sizes
from policy.limits import Limits
from policy.verdict import Channel, MessageClass
from profiles.db.database import Database
from profiles.events import Item
from profiles.messaging.snapshot import READ_BACK

NAME = "gate"
WRITERS = (1, 8, 40)
ASKED_ABOUT = 800
"""People at most, spread over the whole population; more than writers, so that no two of these wait for each
other."""

_WARM_UP = 400
_TURNS = 5
_FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)
_APART = READ_BACK + timedelta(days=1)
"""So far apart, a decision counts no more earlier messages than a real one would."""
_LIMITS = Limits(caps=tuple(replace(cap, limit=10**6) for cap in Limits().caps))
"""The shipped caps, checked in full and never reached, so that every decision goes all the way to a claim."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One decision to be taken."""

    person: Person
    at: datetime
    """The run's now."""
    request: SendMessage


Work = Callable[[_Asked], Awaitable[None]]
Write = Callable[[UUID, UUID, str, datetime], Awaitable[None]]


@dataclass(slots=True)
class _Found:
    """What one way of working did in each repeat."""

    rates: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Case:
    """So many writers, among so many people."""

    population: int
    writers: int
    on_one: bool

    @property
    def name(self) -> str:
        writers = f"{self.writers} writer{'s' if self.writers > 1 else ''}"
        return f"{writers}, {'one person' if self.on_one else 'each another person'} of {self.population:,}"


def _cases(sizes: Sizes) -> list[_Case]:
    return [
        *(_Case(sizes.few, writers, on_one) for on_one in (False, True) for writers in WRITERS),
        *(_Case(sizes.many, writers, on_one=False) for writers in WRITERS),
    ]


def steps(sizes: Sizes) -> int:
    """How often ``measure`` tells of progress."""
    return 2 + sizes.repeats * len(_cases(sizes))


async def measure(servers: Servers, sizes: Sizes, tell: Tell) -> list[Comparison]:
    """Claims as a worker makes them, and bare transactions of two kinds, on the same pool and profiles.

    Raises RuntimeError when a message is not allowed: a refusal would be another, shorter way.
    """
    numbers = count()
    found = {case: (_Found(), _Found(), _Found()) for case in _cases(sizes)}
    async with AsyncExitStack() as stack:
        sides: dict[int, tuple[tuple[Work, ...], list[Person]]] = {}
        for population in (sizes.few, sizes.many):
            tell(f"{NAME}: making {population:,} people")
            database = await stack.enter_async_context(_peopled(servers, population))
            people = await in_a_story(database, population, ASKED_ABOUT)
            gate = partial(_claim, Sittings(Gate(database, _LIMITS)))
            await _decide(gate, people, numbers, max(WRITERS), _WARM_UP)
            bare = await beside_the_gate(database)
            works = gate, partial(_bare, bare.one_row), partial(_bare, bare.same_rows)
            sides[population] = works, people
            for work in works:
                await _decide(work, people, numbers, max(WRITERS), _WARM_UP)
        for _ in range(sizes.repeats):
            for case, sums in found.items():
                tell(f"{NAME}: {case.name}")
                works, people = sides[case.population]
                chosen = people[:1] if case.on_one else people
                await _in_turns(list(zip(works, sums, strict=True)), chosen, numbers, case.writers, sizes)
    return [row for case, sums in found.items() for row in _rows(case, *sums)]


def _rows(case: _Case, ours: _Found, one_row: _Found, same_rows: _Found) -> list[Comparison]:
    note = "all wait for one lock" if case.on_one and case.writers > 1 else ""
    rates = Measure(tuple(ours.rates))
    rows = [
        Comparison(NAME, case.name, "decisions/s", rates, Measure(tuple(one_row.rates)), note=note),
        Comparison(NAME, "  beside the same rows", "decisions/s", rates, Measure(tuple(same_rows.rates))),
    ]
    if not case.on_one:
        p99 = Measure(tuple(ours.p99_ms)), Measure(tuple(one_row.p99_ms))
        rows.append(Comparison(NAME, "  p99", "ms", *p99, more_is_better=False))
    return rows


@asynccontextmanager
async def _peopled(servers: Servers, population: int) -> AsyncIterator[Database]:
    async with servers.database() as url:
        await populate(url, population)
        database = Database(url, pool_size=max(WRITERS))
        try:
            yield database
        finally:
            await database.close()


async def _in_turns(
    sides: Sequence[tuple[Work, _Found]],
    people: Sequence[Person],
    numbers: "count[int]",
    writers: int,
    sizes: Sizes,
) -> None:
    """A part of one, a part of the next: a machine that is slow for a moment is slow for all of them."""
    seconds: list[float] = [0.0 for _ in sides]
    took: list[list[float]] = [[] for _ in sides]
    each = sizes.decisions // _TURNS
    for _ in range(_TURNS):
        for place, (work, _found) in enumerate(sides):
            spent, of_each = await _decide(work, people, numbers, writers, each)
            seconds[place] += spent
            took[place] += of_each
    for (_work, found), spent, of_each in zip(sides, seconds, took, strict=True):
        found.rates.append(rate(each * _TURNS, spent))
        found.p99_ms.append(percentile(of_each, 0.99) * 1000)


async def _decide(
    work: Work, people: Sequence[Person], numbers: "count[int]", writers: int, decisions: int
) -> tuple[float, list[float]]:
    """Seconds that all took together, and each alone."""
    asked = [_asked(number, people) for number, _ in zip(numbers, range(decisions), strict=False)]
    took: list[float] = []

    async def timed(one: _Asked) -> None:
        begun = time.perf_counter()
        await work(one)
        took.append(time.perf_counter() - begun)

    return await seconds_for(asked, [timed] * writers), took


def _asked(number: int, people: Sequence[Person]) -> _Asked:
    person = people[number % len(people)]
    # Each person has a calendar, which starts again before datetimes end.
    at = _FIRST + (number // len(people) % 80_000) * _APART
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
    return _Asked(person, at, request)


async def _claim(gate: Sittings, asked: _Asked) -> None:
    answer = await gate.hear(Case(asked.request, MessageClass.MARKETING, "marketing", asked.at))
    if not isinstance(answer, Claim):
        raise RuntimeError(f"expected the gate to allow {asked.request.step}; got {answer}")


async def _bare(write: Write, asked: _Asked) -> None:
    await write(asked.person.profile_id, asked.person.run_id, asked.request.step, asked.at)
