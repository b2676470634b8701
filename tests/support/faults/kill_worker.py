"""A worker frozen and another one killed at every point of a send, and a third that finds what they left."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from activities.send_message import MAX_CLAIM_AGE_S
from local.processes import ChildProcess
from tests.support.deadlines import scaled
from tests.support.environments.installation import LAMP, YES, Installation, Row
from tests.support.faults.tcp_proxy import Cable

PER_POINT = 4
"""At each of the four points and round: together no more than the sends a worker makes at once."""

BEFORE_CLAIM, BEFORE_ACCEPT, AFTER_ACCEPT, AFTER_RECORD = "claim", "call", "accept", "record"

POINTS = (BEFORE_CLAIM, BEFORE_ACCEPT, AFTER_ACCEPT, AFTER_RECORD)

CLAIM = (b"claimed", b"COMMIT")
"""What a claim says to Postgres, from its own words to its COMMIT."""

FROZEN = ("frozen in its call", "frozen before its record", "frozen before its call")


@dataclass
class Aftermath:
    """What was left once every send had settled."""

    installation: Installation
    killed: dict[str, list[str]] = field(default_factory=dict)
    """Point of the kill → addresses."""
    frozen: dict[str, list[str]] = field(default_factory=dict)
    hesitant: list[str] = field(default_factory=list)
    """Addresses whose claim was answered after longer than a claim may wait for its call."""
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
        survivor = await hesitate(left, number)
        await asyncio.gather(*(told_of_its_end(installation, one) for one in (*zombies, *victims)))
        for address in zombies:
            left.before_thaw[address] = (await message(installation, address))["status"]
        os.killpg(frozen.pid, signal.SIGCONT)
        postgres.let_go()
        late = left.frozen["frozen before its record"][-1]
        await installation.settled(late, "we_miss_you", "sent")
        # Whatever it had under way is over once it has stopped in good order.
        await frozen.stop(20)
        await survivor.kill()


async def freeze(left: Aftermath, worker: ChildProcess, postgres: Cable, number: int) -> list[str]:
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
    # The worker never hears the answer.
    postgres.set_trap(*CLAIM, holds_answer=True)
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


async def hesitate(left: Aftermath, number: int) -> ChildProcess:
    """Start a worker whose first claim is answered late; then it works on undisturbed."""
    installation = left.installation
    address = f"hesitant-{number}@example.com"
    async with cables(installation) as (postgres, _):
        worker = await installation.start_beside("worker", DATABASE_URL=url_through(installation, postgres))
        postgres.set_trap(*CLAIM, holds_answer=True)
        await lapse(installation, address)
        await installation.until(caught(postgres, 1))
        # The very thing under test is time that passes: nothing to wait for but the clock.
        await asyncio.sleep(MAX_CLAIM_AGE_S + 0.5)
        postgres.let_go()
        await installation.settled(address, "we_miss_you", "sent", within_s=40)
        left.hesitant.append(address)
        await worker.stop(20)
    return await installation.start_beside("worker")


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
        async with asyncio.timeout(scaled(10)):
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
