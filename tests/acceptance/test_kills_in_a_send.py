"""kill -9 and SIGSTOP of the worker at every point of a send: nobody gets the same message twice.

One scenario holds all points, because a send whose worker died is tried again only after its
start-to-close timeout, 30 seconds of real time.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.acceptance.cable import Cable
from tests.acceptance.installation import LAMP, YES, Installation, Row, installed
from tests.proofs import FULL, size
from workers.stack.processes import Child

pytestmark = [pytest.mark.proof, pytest.mark.timeout(900 if FULL else 180)]

PER_POINT = 4
"""At each of the four points and round: together no more than the sends a worker makes at once."""
ROUNDS = size(ci=1, full=7)

BEFORE_CLAIM, BEFORE_ACCEPT, AFTER_ACCEPT, AFTER_RECORD = "claim", "call", "accept", "record"
POINTS = (BEFORE_CLAIM, BEFORE_ACCEPT, AFTER_ACCEPT, AFTER_RECORD)
FROZEN = ("frozen in its call", "frozen before its record", "frozen before its call")


@dataclass
class Aftermath:
    """What was left once every send had settled."""

    installation: Installation
    killed: dict[str, list[str]] = field(default_factory=dict)
    """Point of the kill → addresses."""
    frozen: dict[str, list[str]] = field(default_factory=dict)
    before_thaw: dict[str, str] = field(default_factory=dict)
    """Address → status when the frozen worker was let go on."""
    hidden: set[str] = field(default_factory=set)
    """Addresses whose message the provider took although the worker died before it heard so."""

    def times(self) -> Counter[str]:
        """Address → how often the provider took a message for it."""
        return Counter(one.to for one in self.installation.mail.delivered)

    async def statuses(self, addresses: list[str]) -> Counter[str]:
        """Status → how many of the marketing messages to these people."""
        found = [await self.installation.messages(address) for address in addresses]
        return Counter(m["status"] for messages in found for m in messages if m["template"] == "we_miss_you")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def aftermath(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    async with installed(tmp_path_factory.mktemp("waypost"), processes=("api", "relay")) as installation:
        left = Aftermath(installation)
        for number in range(ROUNDS):
            await one_round(left, number)
        yield left


async def one_round(left: Aftermath, number: int) -> None:
    """Freeze a worker in three sends, kill another one in many, and let a third one find what they left."""
    installation = left.installation
    async with cables(installation) as (postgres, temporal):
        frozen = await installation.start_beside(
            "worker", DATABASE_URL=url_through(installation, postgres), TEMPORAL_ADDRESS=temporal.address
        )
        zombies = await freeze(left, frozen, postgres, number)
        # Its long polls would swallow tasks that are meant for the living.
        temporal.pull()
        victims = await kill_in_the_midst(left, number)
        survivor = await installation.start_beside("worker")
        await asyncio.gather(*(told_of_its_end(installation, one) for one in (*zombies, *victims)))
        for address in zombies:
            left.before_thaw[address] = (await message(installation, address))["status"]
        os.killpg(frozen.pid, signal.SIGCONT)
        postgres.let_go()
        late = left.frozen["frozen before its record"][-1]
        await installation.settled(late, "we_miss_you", "sent")
        early = left.frozen["frozen before its call"][-1]
        await installation.settled(early, "we_miss_you", "released")
        await frozen.kill()
        await survivor.kill()


async def freeze(left: Aftermath, worker: Child, postgres: Cable, number: int) -> list[str]:
    """SIGSTOP a worker while it calls, before it records, and before it knows of its claim."""
    installation = left.installation
    calling, recording, claiming = (f"frozen-{point}-{number}@example.com" for point in ("a", "b", "c"))
    calls = len(installation.mail.calls)
    installation.mail.script("hang")
    await lapse(installation, calling)
    await installation.mail.arrived(calls + 1, within_s=30)
    postgres.set_trap(b"sendgrid")
    await lapse(installation, recording)
    await installation.until(caught(postgres, 1))
    # From the claim's own words to its COMMIT, whose answer the worker never hears.
    postgres.set_trap(b"claimed", b"COMMIT", holds_answer=True)
    await lapse(installation, claiming)
    await installation.until(caught(postgres, 2))
    await installation.settled(claiming, "we_miss_you", "claimed")
    os.killpg(worker.pid, signal.SIGSTOP)
    for point, address in zip(FROZEN, (calling, recording, claiming), strict=True):
        left.frozen.setdefault(point, []).append(address)
    return [calling, recording, claiming]


async def kill_in_the_midst(left: Aftermath, number: int) -> list[str]:
    """``kill -9`` a worker with sends at every point."""
    installation = left.installation
    people = {
        point: [f"{point}-{number}-{n}@example.com" for n in range(PER_POINT)]
        for point in POINTS
    }  # fmt: skip
    everybody = [address for point in POINTS for address in people[point]]
    taken_before = left.times()
    calls = len(installation.mail.calls)
    for address in everybody:
        await lapse(installation, address)
    modes = ["hang" if n % 2 else "accept_then_hang" for n in range(2 * PER_POINT)]
    installation.mail.script(*modes)
    async with cables(installation) as (_, temporal):
        held = people[BEFORE_CLAIM], people[AFTER_RECORD]
        async with locked(installation, held[0]), locked(installation, held[1]) as lock:
            worker = await installation.start_beside("worker", TEMPORAL_ADDRESS=temporal.address)
            await installation.until(waiting_for_locks(installation, 2 * PER_POINT))
            await installation.mail.arrived(calls + len(modes), within_s=30)
            temporal.hold()
            await lock.close()
            for address in people[AFTER_RECORD]:
                await installation.settled(address, "we_miss_you", "sent")
            await worker.kill()
    for point in POINTS:
        left.killed.setdefault(point, []).extend(people[point])
    in_call = people[BEFORE_ACCEPT] + people[AFTER_ACCEPT]
    left.hidden |= {address for address in in_call if left.times()[address] > taken_before[address]}
    return everybody


async def lapse(installation: Installation, address: str) -> None:
    """Somebody has been away for long: a run starts, whose first act is a marketing mail."""
    await installation.happens("Product Viewed", LAMP, traits=YES, email=address)
    await installation.happens("Customer Lapsed", {"days_since_order": 100}, email=address)


async def message(installation: Installation, address: str) -> Row:
    [found] = [m for m in await installation.messages(address) if m["template"] == "we_miss_you"]
    return found


async def told_of_its_end(installation: Installation, address: str) -> None:
    """Until the run goes on, whatever became of its message."""
    run = await installation.run(address, "win-back")
    handle = await installation.handle(run)

    async def goes_on() -> bool:
        waits = (await handle.describe()).raw_description.pending_activities
        return not waits and bool(await installation.messages(address))

    await installation.until(goes_on, within_s=75)


@asynccontextmanager
async def cables(installation: Installation) -> AsyncIterator[tuple[Cable, Cable]]:
    """Between a worker and its two servers."""
    database = urlsplit(installation.stack.database_url).netloc.rpartition("@")[2]
    async with Cable(database) as postgres, Cable(installation.stack.temporal_address) as temporal:
        yield postgres, temporal


def url_through(installation: Installation, postgres: Cable) -> str:
    url = urlsplit(installation.stack.database_url)
    return url._replace(netloc=url.netloc.rpartition("@")[0] + "@" + postgres.address).geturl()


@asynccontextmanager
async def locked(installation: Installation, addresses: list[str]) -> AsyncIterator[Any]:
    """Hold these people's profiles, so that no gate gets at them until the connection closes."""
    async with installation.database() as connection:
        async with asyncio.timeout(10):
            await connection.execute("BEGIN")
            await connection.fetch(
                "SELECT 1 FROM profile JOIN identifier USING (profile_id) WHERE value = ANY($1) "
                "ORDER BY profile_id FOR UPDATE OF profile",
                addresses,
            )
        yield connection


def caught(cable: Cable, count: int) -> Any:
    async def has_caught() -> bool:
        return cable.caught >= count

    return has_caught


def waiting_for_locks(installation: Installation, count: int) -> Any:
    async def gates_wait() -> bool:
        found = await installation.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return len(found) >= count

    return gates_wait


async def test_invariant_3_no_kill_at_any_point_of_a_send_sends_it_twice(aftermath: Aftermath) -> None:
    assert all(len(aftermath.killed[point]) == ROUNDS * PER_POINT for point in POINTS)
    assert max(aftermath.times().values()) == 1
    assert len(aftermath.hidden) == ROUNDS * PER_POINT


async def test_a_send_killed_before_its_claim_is_sent_by_the_next_attempt(aftermath: Aftermath) -> None:
    killed = aftermath.killed[BEFORE_CLAIM]

    assert await aftermath.statuses(killed) == {"sent": len(killed)}
    assert all(aftermath.times()[address] == 1 for address in killed)


async def test_a_send_killed_between_claim_and_record_is_unknown(aftermath: Aftermath) -> None:
    killed = aftermath.killed[BEFORE_ACCEPT] + aftermath.killed[AFTER_ACCEPT]

    assert await aftermath.statuses(killed) == {"unknown": len(killed)}


async def test_a_send_killed_after_its_record_is_known_to_be_sent(aftermath: Aftermath) -> None:
    killed = aftermath.killed[AFTER_RECORD]

    assert await aftermath.statuses(killed) == {"sent": len(killed)}
    assert all(aftermath.times()[address] == 1 for address in killed)


async def test_a_frozen_worker_does_not_send_what_another_one_gave_up(aftermath: Aftermath) -> None:
    [calling, recording, claiming] = (aftermath.frozen[point][-1] for point in FROZEN)
    times = aftermath.times()

    assert [aftermath.before_thaw[one] for one in (calling, recording, claiming)] == ["unknown"] * 3
    assert [times[one] for one in (calling, recording, claiming)] == [0, 1, 0]


async def test_the_holders_own_late_record_replaces_unknown(aftermath: Aftermath) -> None:
    frozen = aftermath.frozen["frozen before its record"]

    assert await aftermath.statuses(frozen) == {"sent": len(frozen)}


async def test_a_holder_that_learns_too_late_of_its_claim_gives_it_back(aftermath: Aftermath) -> None:
    frozen = aftermath.frozen["frozen before its call"]

    assert await aftermath.statuses(frozen) == {"released": len(frozen)}


async def test_a_delivery_reported_later_settles_an_unknown(aftermath: Aftermath) -> None:
    installation = aftermath.installation
    address = sorted(aftermath.hidden)[0]
    unknown = await message(installation, address)
    await installation.happens("Message Delivered", {"message_id": unknown["message_id"]})

    assert unknown["status"] == "unknown"
    assert (await message(installation, address))["status"] == "delivered"
