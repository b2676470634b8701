"""The demo's traffic: people act, the API is told, time passes, messages reach people, people act again."""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from temporalio.client import Client, ScheduleOverlapPolicy

from local.demo.behaviour import Life, Received, react
from local.demo.calendar import Beat, Travel, beats, opening_after
from local.demo.catalog import CHEAPER, Feed
from local.demo.events import Act
from local.demo.people import cast
from profiles.db.database import Database
from workers.ingest_client import Door
from workers.process import Fault
from workers.schedules import LAPSED, PRODUCTS, ScheduledSweep

_APART = timedelta(minutes=30)

_SENT = """
SELECT m.message_id, m.channel, m.template, m.message_class, m.items, m.address, m.sent_at,
       s.headers->>'List-Unsubscribe' AS unsubscribe
FROM message m JOIN sandbox_message s USING (message_id) ORDER BY m.decided_at, m.message_id
"""


class Progress(Protocol):
    """Where the traffic says how far it is."""

    def phase(self, name: str) -> None:
        """A new stretch begins."""

    def part(self, share: float) -> None:
        """How much of the stretch is done, from 0 to 1."""


class Traffic:
    """One shop's customers, from old orders to the end of the last run."""

    def __init__(
        self, door: Door, client: Client, database: Database, *, shoppers: int, seed: int, progress: Progress
    ) -> None:
        self.opening = opening_after(datetime.now(UTC))
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Where the time went."""
        self._door = door
        self._database = database
        self._seed = seed
        self._progress = progress
        self._travel = Travel(client, database)
        self._sweeps = Sweeps(client, database)
        self._feed = Feed(self.opening, ())
        self._lives = [Life(shopper, self.opening, seed) for shopper in cast(shoppers, seed)]
        self._by_address = {
            address: life
            for life in self._lives
            for address in (life.shopper.email, life.shopper.phone)
            if address
        }
        self._people = {life.shopper.number: life.shopper.handles for life in self._lives}
        self._received: set[UUID] = set()

    async def run(self) -> None:
        """All of it. Raises ``Fault`` (``DoorFault``) where the stack does not keep up."""
        self._progress.phase("Older orders come in")
        now = datetime.now(UTC)
        await self._tell(act for life in self._lives for act in life.past(now))
        self._progress.phase("The sweep finds who has been away for long")
        await self._find_the_lapsed()
        for life in self._lives:
            life.plan()
        evening = self.opening + CHEAPER
        self._feed = Feed(self.opening, [item for life in self._lives for item in life.wants(evening)])
        clock = self.opening
        for beat in beats(self.opening):
            self._progress.phase(beat.name)
            await self._play(beat, clock)
            clock = beat.ends

    async def _play(self, beat: Beat, clock: datetime) -> None:
        unsubscribing = await self._react(clock)
        await self._update_products(clock)
        acts = [act for life in self._lives for act in life.take(beat.ends)]
        for scene in scenes(acts):
            await self._play_scene(scene)
        for link in unsubscribing:
            if not await self._door.one_click(link):
                raise Fault(f"the unsubscribe link of a mail does not work: {link}")
        begun = time.monotonic()
        await self._travel.everybody(beat.ends, self._progress.part)
        self._spent("travel", begun)
        await self._settle()

    async def _play_scene(self, scene: list[Act]) -> None:
        """Move those who act to the hour of it, so that their runs hear of it when it happens; then tell."""
        begun = time.monotonic()
        people = self._people
        moves: dict[str, datetime] = {}
        for act in sorted(scene, key=lambda act: act.at, reverse=True):
            if not act.is_passive:
                moves.update(dict.fromkeys(people[act.shopper], act.at))
        await self._travel.some(moves)
        self._spent("travel", begun)
        await self._tell(scene)
        await self._settle()

    async def _settle(self) -> None:
        begun = time.monotonic()
        await self._travel.settle()
        self._spent("deliver", begun)

    async def _react(self, now: datetime) -> list[str]:
        """Let people read what reached them since the last time; returns the links they unsubscribe by."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_SENT)
        links: list[str] = []
        for row in rows:
            life = self._by_address.get(row["address"])
            if row["message_id"] in self._received or row["sent_at"] is None or life is None:
                continue
            self._received.add(row["message_id"])
            if react(life, _received(row), now, self._seed, self._feed.shelf):
                links += _one_click(row["unsubscribe"])
        return links

    async def _find_the_lapsed(self) -> None:
        begun = time.monotonic()
        await self._sweeps.lapsed(sum(life.shopper.lapsed for life in self._lives))
        self._spent("sweep", begun)
        await self._settle()
        # Also lets the first mails go out before anybody acts, so that what they suggest is no race.
        await self._travel.everybody(self.opening, self._progress.part)

    async def _update_products(self, clock: datetime) -> None:
        """What the feed says by now, and the sweep that tells those whose open carts it concerns."""
        if updates := self._feed.take(clock):
            await self._door.native([update.body for update in updates])
            self._refused()
            begun = time.monotonic()
            await self._sweeps.products()
            self._spent("sweep", begun)
            await self._settle()

    async def _tell(self, acts: Iterable[Act]) -> None:
        begun = time.monotonic()
        for is_segment, passed in passes(sorted(acts, key=lambda act: act.at)):
            await (self._door.segment if is_segment else self._door.native)([act.body for act in passed])
        self._spent("tell", begun)
        self._refused()

    def _refused(self) -> None:
        if refused := self._door.tally.refusals():
            raise Fault("the API did not take the demo's events: " + "; ".join(refused))

    def _spent(self, what: str, since: float) -> None:
        self.seconds[what] += time.monotonic() - since


def scenes(acts: Iterable[Act]) -> list[list[Act]]:
    """A beat's acts in scenes: the first thing each person does, then everybody's second, and so on.

    What a person does within half an hour of the act before is one thing, such as a visit.
    """
    found: list[list[Act]] = []
    last: dict[int, tuple[int, datetime]] = {}
    for act in sorted(acts, key=lambda act: act.at):
        number, at = last.get(act.shopper, (-1, act.at - 2 * _APART))
        number += act.at - at > _APART
        last[act.shopper] = (number, act.at)
        if number == len(found):
            found.append([])
        found[number].append(act)
    return found


def passes(acts: Sequence[Act]) -> Iterator[tuple[bool, list[Act]]]:
    """Acts as requests, (is it for the Segment door, acts): each person's acts stay in their order.

    Whenever a person turns to another door, the act goes into a later request: a login on a second
    device must find the first one's events already told, as it would in a real shop.
    """
    turn: Counter[int] = Counter()
    last: dict[int, str] = {}
    found: defaultdict[tuple[int, bool], list[Act]] = defaultdict(list)
    for act in acts:
        if last.setdefault(act.shopper, act.door) != act.door:
            turn[act.shopper] += 1
            last[act.shopper] = act.door
        found[turn[act.shopper], act.is_segment].append(act)
    for (_, is_segment), passed in sorted(found.items(), key=lambda one: one[0]):
        yield is_segment, passed


def _received(row: Any) -> Received:
    return Received(
        message_id=str(row["message_id"]),
        channel=row["channel"],
        template=row["template"],
        marketing=row["message_class"] == "marketing",
        items=tuple(row["items"]),
        at=row["sent_at"],
    )


def _one_click(header: str | None) -> list[str]:
    """The https or http address of a List-Unsubscribe header (RFC 8058), where there is one."""
    return re.findall(r"<(https?://[^>]+)>", header or "")[:1]


_SWEPT_WITHIN_S = 45.0

_TO_COME = "SELECT $1 - count(*) FROM event WHERE type = 'Customer Lapsed'"

_UNSWEPT = "SELECT count(*) FROM product_change WHERE swept_at IS NULL"


class Sweeps:
    """The sweeps of one stack; whether they are done is read in Postgres."""

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database

    async def lapsed(self, expected: int) -> None:
        """Until so many people have lapsed. Raises ``Fault`` when that takes too long."""
        await self._until_nothing_is_left(LAPSED, _TO_COME, expected)

    async def products(self) -> None:
        """Until everybody is told of every product that changed. Raises ``Fault`` as above."""
        await self._until_nothing_is_left(PRODUCTS, _UNSWEPT)

    async def _until_nothing_is_left(self, sweep: ScheduledSweep, query: str, *values: int) -> None:
        deadline = time.monotonic() + _SWEPT_WITHIN_S
        triggered = False
        while (left := await self._left(query, *values)) > 0:
            if time.monotonic() > deadline:
                raise Fault(f"the sweep for {sweep.looks_for} did not find {left} of them: see demo.log")
            if not triggered:
                schedule = self._client.get_schedule_handle(sweep.schedule_id)
                # One that is on its way may have looked too early; skipped, nobody would look again.
                await schedule.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)
                triggered = True
            await asyncio.sleep(0.1)

    async def _left(self, query: str, *values: int) -> int:
        async with self._database.transaction() as connection:
            return int(await connection.fetchval(query, *values))
