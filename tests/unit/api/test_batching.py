"""Group commit: who shares a transaction, who waits, and that one broken event hurts nobody."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from api.batching import (
    Batcher,
    BatchSize,
    Overloaded,
    PartlyCommitted,
    _collect_results,
    _complete_request,
    _PendingRequest,
)
from api.http.outage import Outage
from profiles.ingest.event_store import IngestResult, IngestStatus
from profiles.state.event_records import IncomingEvent
from tests.support.deadlines import scaled


def event(name: str) -> IncomingEvent:
    """An event known by its id."""
    return IncomingEvent("test", name, "T", "web", datetime(2026, 1, 1, tzinfo=UTC), (("user_id", "u"),))


class RecordingIngest:
    """Stands where Postgres would: keeps what was committed, call by call, when the gate is open."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.kept: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken: Exception | None = None
        self.break_after: int | None = None
        """Number of calls after which Postgres is away."""

    async def __call__(self, events: Sequence[IncomingEvent]) -> list[IngestResult]:
        names = [one.id for one in events]
        self.calls.append(names)
        await self.gate.wait()
        if self.break_after is not None and len(self.calls) > self.break_after:
            raise ConnectionRefusedError("nobody there")
        if self.broken:
            raise self.broken
        if any("poison" in name for name in names):
            raise ValueError("cannot be stored")
        self.kept += names
        return [IngestResult(name, IngestStatus.ACCEPTED) for name in names]


async def alive() -> None:
    """Postgres gives a sign of life."""


@pytest.fixture
def ledger() -> RecordingIngest:
    """An ingest whose gate is closed: the first transaction takes until the test opens it."""
    ingest = RecordingIngest()
    ingest.gate.clear()
    return ingest


async def submitted(batcher: Batcher, *requests: Sequence[str]) -> list[asyncio.Task[list[IngestResult]]]:
    """Requests of events with these ids, all of them under way."""
    tasks = [asyncio.create_task(batcher.submit([event(name) for name in names])) for names in requests]
    await asyncio.sleep(0.01)
    return tasks


async def test_requests_that_arrive_during_a_transaction_share_the_next_one(ledger: RecordingIngest) -> None:
    batcher = Batcher(ledger, alive, max_concurrent_batches=1)
    requests = await submitted(batcher, ["e0"], ["e1"], ["e2"], ["e3"], ["e4"])
    ledger.gate.set()
    answers = await asyncio.gather(*requests)

    assert ledger.calls == [["e0"], ["e1", "e2", "e3", "e4"]]
    assert [[one.id for one in answer] for answer in answers] == [["e0"], ["e1"], ["e2"], ["e3"], ["e4"]]


async def test_nobody_is_answered_before_the_commit(ledger: RecordingIngest) -> None:
    [request] = await submitted(Batcher(ledger, alive), ["e"])
    early = request.done()
    ledger.gate.set()
    await request

    assert not early
    assert ledger.kept == ["e"]


async def test_no_more_events_share_a_transaction_than_are_set_but_a_request_is_never_split(
    ledger: RecordingIngest,
) -> None:
    batcher = Batcher(ledger, alive, max_concurrent_batches=1, max_batch_events=3)
    sizes = (1, 2, 1, 7, 1)
    requests = await submitted(batcher, *([f"{n}.{i}" for i in range(size)] for n, size in enumerate(sizes)))
    ledger.gate.set()
    await asyncio.gather(*requests)

    assert [len(call) for call in ledger.calls] == [1, 3, 7, 1]


async def test_a_request_that_meets_a_defect_of_ours_fails_alone_and_is_not_answered_as_rejected(
    ledger: RecordingIngest,
) -> None:
    names = ["first", "a", "poison", "b", "c"]
    requests = await submitted(Batcher(ledger, alive, max_concurrent_batches=1), *([name] for name in names))
    ledger.gate.set()
    answers = dict(zip(names, await asyncio.gather(*requests, return_exceptions=True), strict=True))

    assert sorted(ledger.kept) == ["a", "b", "c", "first"]
    assert {"poison"} == {name for name, answer in answers.items() if isinstance(answer, Exception)}


async def test_too_much_waiting_is_refused_and_nothing_of_it_written(ledger: RecordingIngest) -> None:
    batcher = Batcher(ledger, alive, max_concurrent_batches=1, max_queued_events=2)
    taken = await submitted(batcher, ["flying"], ["one"], ["two"])
    with pytest.raises(Overloaded):
        await batcher.submit([event("three")])
    ledger.gate.set()
    await asyncio.gather(*taken)

    assert ledger.kept == ["flying", "one", "two"]


async def test_a_request_that_waits_too_long_is_sent_away_and_never_written(ledger: RecordingIngest) -> None:
    batcher = Batcher(ledger, alive, max_concurrent_batches=1, queue_timeout_s=0.02)
    [flying] = await submitted(batcher, ["flying"])
    with pytest.raises(Overloaded):
        await batcher.submit([event("waiting")])
    ledger.gate.set()
    await flying
    await batcher.close()

    assert ledger.kept == ["flying"]
    assert batcher.queued_events == 0


async def test_an_outage_is_told_to_everybody_in_the_queue_at_once(ledger: RecordingIngest) -> None:
    ledger.broken = ConnectionRefusedError("nobody there")
    requests = await submitted(Batcher(ledger, alive, max_concurrent_batches=1), ["e0"], ["e1"], ["e2"])
    ledger.gate.set()
    answers = await asyncio.gather(*requests, return_exceptions=True)

    assert [isinstance(answer, Outage) for answer in answers] == [True] * 3
    assert ledger.calls == [["e0"]]
    assert ledger.kept == []


async def test_postgres_that_gives_no_sign_of_life_is_given_up_within_a_second(
    ledger: RecordingIngest,
) -> None:
    async def silent() -> None:
        await asyncio.sleep(60)

    started = asyncio.get_running_loop().time()
    with pytest.raises(Outage):
        await Batcher(ledger, silent).submit([event("e")])

    assert asyncio.get_running_loop().time() - started < scaled(1.0)


async def test_slow_work_is_waited_for_while_postgres_is_alive(ledger: RecordingIngest) -> None:
    asyncio.get_running_loop().call_later(1.2, ledger.gate.set)
    (answer,) = await Batcher(ledger, alive).submit([event("e")])

    assert IngestStatus.ACCEPTED is answer.status


async def test_a_request_that_goes_away_takes_nobody_with_it(ledger: RecordingIngest) -> None:
    requests = await submitted(
        Batcher(ledger, alive, max_concurrent_batches=1), ["flying"], ["gone"], ["stays"]
    )
    requests[1].cancel()
    ledger.gate.set()
    _, _, stays = await asyncio.gather(*requests, return_exceptions=True)

    assert isinstance(stays, list)
    assert IngestStatus.ACCEPTED is stays[0].status


async def submitted_by_strangers(
    batcher: Batcher, *requests: Sequence[str]
) -> list[asyncio.Task[list[IngestResult]]]:
    """Unverified requests, all of them under way."""
    tasks = [
        asyncio.create_task(batcher.submit([event(name) for name in names], verified=False))
        for names in requests
    ]
    await asyncio.sleep(0.01)
    return tasks


def numbered(prefix: str, count: int) -> list[str]:
    """So many names."""
    return [f"{prefix}{number}" for number in range(count)]


async def test_a_verified_event_is_next_however_many_unverified_ones_wait(ledger: RecordingIngest) -> None:
    batcher = Batcher(ledger, alive, max_concurrent_batches=1, max_batch_events=3)
    strangers = await submitted_by_strangers(batcher, *([f"s{n}"] for n in range(9)))
    tills = await submitted(batcher, ["till"])
    ledger.gate.set()
    await asyncio.gather(*strangers, *tills)

    assert [call[0] for call in ledger.calls[:2]] == ["s0", "till"]
    assert not any("till" in call and len(call) > 1 for call in ledger.calls)


async def test_unverified_events_leave_a_transaction_free(ledger: RecordingIngest) -> None:
    batcher = Batcher(ledger, alive, max_concurrent_batches=2)
    ledger.gate.set()
    await batcher.submit([event("till-0")])
    ledger.gate.clear()
    strangers = await submitted_by_strangers(batcher, ["s0"], ["s1"], ["s2"])
    tills = await submitted(batcher, ["till-1"])
    under_way = list(ledger.calls)
    ledger.gate.set()
    await asyncio.gather(*strangers, *tills)

    assert under_way == [["till-0"], ["s0"], ["till-1"]]
    assert ledger.calls[3:] == [["s1", "s2"]]


async def test_where_no_verified_sender_is_unverified_ones_use_everything(ledger: RecordingIngest) -> None:
    batcher = Batcher(ledger, alive, max_concurrent_batches=2)
    strangers = await submitted_by_strangers(batcher, ["s0"], ["s1"], numbered("t", 400))
    under_way = list(ledger.calls)
    ledger.gate.set()
    await asyncio.gather(*strangers)

    assert under_way == [["s0"], ["s1"]]
    assert [len(call) for call in ledger.calls] == [1, 1, 400]


async def test_a_large_unverified_request_takes_several_transactions_where_a_till_sends_too(
    ledger: RecordingIngest,
) -> None:
    batcher = Batcher(ledger, alive, max_unverified_batch_events=50)
    ledger.gate.set()
    await batcher.submit([event("till")])
    (answer,) = await asyncio.gather(*await submitted_by_strangers(batcher, numbered("s", 120)))

    # The first is small, since it is not known what these events cost.
    assert [len(call) for call in ledger.calls] == [1, 25, 50, 45]
    assert [one.id for one in answer] == numbered("s", 120)


async def test_a_large_batch_of_a_page_takes_few_transactions_where_a_till_sends_too(
    ledger: RecordingIngest,
) -> None:
    """It took 20 of them."""
    batcher = Batcher(ledger, alive)
    ledger.gate.set()
    await batcher.submit([event("till")])
    await asyncio.gather(*await submitted_by_strangers(batcher, numbered("s", 500)))

    assert [len(call) for call in ledger.calls] == [1, 25, 50, 100, 200, 125]


@pytest.mark.parametrize(
    ("transactions", "then"),
    [
        ([(25, 0.01)], 50),
        # Not full, so that it says little of a larger one.
        ([(10, 0.01)], 25),
        ([(25, 0.06)], 25),
        ([(25, 0.01), (50, 0.01), (100, 0.01), (200, 0.01)], 200),
        ([(25, 0.01), (50, 0.01), (100, 0.2)], 50),
        ([(25, 0.2)], 25),
        ([(25, 0.01), (50, 0.01), (3, 5.0), (3, 5.0), (3, 5.0)], 25),
    ],
)
def test_a_transaction_of_strangers_has_as_many_events_as_take_a_short_time(
    transactions: list[tuple[int, float]], then: int
) -> None:
    size = BatchSize(25, 200, target_s=0.1)
    for events, seconds in transactions:
        size.record(events, seconds)

    assert size.events == then


async def test_a_full_queue_of_strangers_refuses_no_till(ledger: RecordingIngest) -> None:
    batcher = Batcher(ledger, alive, max_concurrent_batches=1, max_queued_unverified_events=2)
    strangers = await submitted_by_strangers(batcher, ["flying"], ["s1", "s2"])
    with pytest.raises(Overloaded):
        await batcher.submit([event("s3")], verified=False)
    tills = await submitted(batcher, ["till"])
    ledger.gate.set()
    await asyncio.gather(*strangers, *tills)

    assert ledger.kept == ["flying", "till", "s1", "s2"]


async def test_what_is_committed_when_postgres_goes_away_is_said(ledger: RecordingIngest) -> None:
    batcher = Batcher(ledger, alive, max_concurrent_batches=1, max_unverified_batch_events=2)
    ledger.gate.set()
    await batcher.submit([event("till")])
    ledger.break_after = 3
    (outcome,) = await asyncio.gather(
        *await submitted_by_strangers(batcher, numbered("s", 6)), return_exceptions=True
    )

    assert isinstance(outcome, PartlyCommitted)
    assert {index: one.id for index, one in outcome.results.items()} == {0: "s0", 1: "s1", 2: "s2", 3: "s3"}
    assert ledger.kept == ["till", "s0", "s1", "s2", "s3"]


async def test_what_queued_too_long_in_parts_says_what_is_committed(ledger: RecordingIngest) -> None:
    batcher = Batcher(
        ledger, alive, max_concurrent_batches=1, max_unverified_batch_events=1, queue_timeout_s=0.05
    )
    ledger.gate.set()
    await batcher.submit([event("till")])
    ledger.gate.clear()
    asyncio.get_running_loop().call_later(0.2, ledger.gate.set)
    (outcome,) = await asyncio.gather(
        *await submitted_by_strangers(batcher, ["s0", "s1"]), return_exceptions=True
    )

    assert isinstance(outcome, PartlyCommitted)
    assert list(outcome.results) == [0]
    assert ledger.kept == ["till", "s0"]


async def test_an_outage_says_of_each_request_whether_it_had_begun(ledger: RecordingIngest) -> None:
    ledger.broken = ConnectionRefusedError("nobody there")
    requests = await submitted(Batcher(ledger, alive, max_concurrent_batches=1), ["e0"], ["e1"])
    ledger.gate.set()
    answers = await asyncio.gather(*requests, return_exceptions=True)

    assert [answer.may_be_written for answer in answers if isinstance(answer, Outage)] == [True, False]


async def test_retry_after_grows_with_what_waits_and_the_time_it_takes(ledger: RecordingIngest) -> None:
    ledger.gate.set()
    batcher = Batcher(ledger, alive, max_concurrent_batches=1, max_queued_events=1000, queue_timeout_s=30)
    asyncio.get_running_loop().call_later(0.3, ledger.gate.set)
    ledger.gate.clear()
    await batcher.submit([event("slow")])
    ledger.gate.clear()
    waiting = await submitted(batcher, ["flying"], numbered("w", 1000))
    with pytest.raises(Overloaded) as error:
        await batcher.submit([event("refused")])
    ledger.gate.set()
    await asyncio.gather(*waiting)

    # A tenth of 0.3 s an event, as a moving average from 1 ms.
    assert 25 <= error.value.retry_after_s <= 60


@pytest.mark.parametrize("reverse", [False, True])
async def test_of_two_parts_the_one_that_may_be_written_decides_what_is_said(reverse: bool) -> None:
    begun, not_begun = Outage("away"), Outage("away")
    not_begun.may_be_written = False
    errors: list[list[Exception]] = [[Overloaded(1), begun], [not_begun, begun]]
    for pair in errors:
        parts = [_PendingRequest([], asyncio.get_running_loop().create_future()) for _ in pair]
        for part, error in zip(parts, reversed(pair) if reverse else pair, strict=True):
            _complete_request(part, error)

        with pytest.raises(Outage) as raised:
            _collect_results(parts)
        assert raised.value is begun
