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

from local.demo.behaviour import DeliveredMessage, ShopperPlan, plan_reaction
from local.demo.calendar import DemoPhase, RunMover, build_phases, next_opening
from local.demo.catalog import PRICE_DROP_AFTER, ProductFeed
from local.demo.events import ShopperEvent
from local.demo.people import create_shoppers
from profiles.db.database import Database
from workers.ingest_client import IngestClient
from workers.process import UserError
from workers.schedules import LAPSED_SWEEP, PRODUCT_SWEEP, ScheduledSweep

_ROUND_GAP = timedelta(minutes=30)

_SELECT_SENT_MESSAGES = """
SELECT m.message_id, m.channel, m.template, m.message_class, m.items, m.address, m.sent_at,
       s.headers->>'List-Unsubscribe' AS unsubscribe
FROM message m JOIN sandbox_message s USING (message_id) ORDER BY m.decided_at, m.message_id
"""


class ProgressReporter(Protocol):
    """Where the traffic says how far it is."""

    def start_phase(self, name: str) -> None:
        """A new stretch begins."""

    def set_share(self, share: float) -> None:
        """How much of the stretch is done, from 0 to 1."""


class DemoTraffic:
    """One shop's customers, from old orders to the end of the last run."""

    def __init__(
        self,
        door: IngestClient,
        client: Client,
        database: Database,
        *,
        shoppers: int,
        seed: int,
        progress: ProgressReporter,
    ) -> None:
        self.opening = next_opening(datetime.now(UTC))
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Where the time went."""
        self._ingest_client = door
        self._database = database
        self._seed = seed
        self._progress = progress
        self._run_mover = RunMover(client, database)
        self._sweeps = SweepTrigger(client, database)
        self._feed = ProductFeed(self.opening, ())
        self._plans = [
            ShopperPlan(shopper, self.opening, seed) for shopper in create_shoppers(shoppers, seed)
        ]
        self._by_address = {
            address: life
            for life in self._plans
            for address in (life.shopper.email, life.shopper.phone)
            if address
        }
        self._names_by_shopper = {life.shopper.number: life.shopper.identifier_names for life in self._plans}
        self._received: set[UUID] = set()

    async def run(self) -> None:
        """All of it. Raises ``Fault`` (``DoorFault``) where the stack does not keep up."""
        self._progress.start_phase("Older orders come in")
        now = datetime.now(UTC)
        await self._send_events(act for life in self._plans for act in life.past_events(now))
        self._progress.start_phase("The sweep finds who has been away for long")
        await self._sweep_lapsed()
        for life in self._plans:
            life.plan_visits()
        evening = self.opening + PRICE_DROP_AFTER
        self._feed = ProductFeed(
            self.opening, [item for life in self._plans for item in life.planned_product_ids(evening)]
        )
        clock = self.opening
        for beat in build_phases(self.opening):
            self._progress.start_phase(beat.name)
            await self._run_phase(beat, clock)
            clock = beat.ends_at

    async def _run_phase(self, beat: DemoPhase, clock: datetime) -> None:
        unsubscribing = await self._plan_reactions(clock)
        await self._update_products(clock)
        acts = [act for life in self._plans for act in life.take_due(beat.ends_at)]
        for scene in group_into_rounds(acts):
            await self._run_round(scene)
        for link in unsubscribing:
            if not await self._ingest_client.unsubscribe_one_click(link):
                raise UserError(f"the unsubscribe link of a mail does not work: {link}")
        begun = time.monotonic()
        await self._run_mover.move_all(beat.ends_at, self._progress.set_share)
        self._add_seconds("travel", begun)
        await self._wait_until_delivered()

    async def _run_round(self, scene: list[ShopperEvent]) -> None:
        """Move those who act to the hour of it, so that their runs hear of it when it happens; then tell."""
        begun = time.monotonic()
        people = self._names_by_shopper
        moves: dict[str, datetime] = {}
        for act in sorted(scene, key=lambda act: act.at, reverse=True):
            if not act.is_passive:
                moves.update(dict.fromkeys(people[act.shopper], act.at))
        await self._run_mover.move_people(moves)
        self._add_seconds("travel", begun)
        await self._send_events(scene)
        await self._wait_until_delivered()

    async def _wait_until_delivered(self) -> None:
        begun = time.monotonic()
        await self._run_mover.wait_until_delivered()
        self._add_seconds("deliver", begun)

    async def _plan_reactions(self, now: datetime) -> list[str]:
        """Let people read what reached them since the last time; returns the links they unsubscribe by."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_SELECT_SENT_MESSAGES)
        links: list[str] = []
        for row in rows:
            life = self._by_address.get(row["address"])
            if row["message_id"] in self._received or row["sent_at"] is None or life is None:
                continue
            self._received.add(row["message_id"])
            if plan_reaction(life, _to_delivered_message(row), now, self._seed, self._feed.products):
                links += _find_one_click_url(row["unsubscribe"])
        return links

    async def _sweep_lapsed(self) -> None:
        begun = time.monotonic()
        await self._sweeps.sweep_lapsed(sum(life.shopper.lapsed for life in self._plans))
        self._add_seconds("sweep", begun)
        await self._wait_until_delivered()
        # Also lets the first mails go out before anybody acts, so that what they suggest is no race.
        await self._run_mover.move_all(self.opening, self._progress.set_share)

    async def _update_products(self, clock: datetime) -> None:
        """What the feed says by now, and the sweep that tells those whose open carts it concerns."""
        if updates := self._feed.take_due(clock):
            await self._ingest_client.send_events([update.body for update in updates])
            self._raise_refusals()
            begun = time.monotonic()
            await self._sweeps.sweep_products()
            self._add_seconds("sweep", begun)
            await self._wait_until_delivered()

    async def _send_events(self, acts: Iterable[ShopperEvent]) -> None:
        begun = time.monotonic()
        for is_segment, passed in group_into_requests(sorted(acts, key=lambda act: act.at)):
            await (self._ingest_client.send_segment_calls if is_segment else self._ingest_client.send_events)(
                [act.body for act in passed]
            )
        self._add_seconds("tell", begun)
        self._raise_refusals()

    def _raise_refusals(self) -> None:
        if refused := self._ingest_client.counts.describe_refusals():
            raise UserError("the API did not take the demo's events: " + "; ".join(refused))

    def _add_seconds(self, what: str, since: float) -> None:
        self.seconds[what] += time.monotonic() - since


def group_into_rounds(acts: Iterable[ShopperEvent]) -> list[list[ShopperEvent]]:
    """A beat's acts in scenes: the first thing each person does, then everybody's second, and so on.

    What a person does within half an hour of the act before is one thing, such as a visit.
    """
    found: list[list[ShopperEvent]] = []
    last: dict[int, tuple[int, datetime]] = {}
    for act in sorted(acts, key=lambda act: act.at):
        number, at = last.get(act.shopper, (-1, act.at - 2 * _ROUND_GAP))
        number += act.at - at > _ROUND_GAP
        last[act.shopper] = (number, act.at)
        if number == len(found):
            found.append([])
        found[number].append(act)
    return found


def group_into_requests(acts: Sequence[ShopperEvent]) -> Iterator[tuple[bool, list[ShopperEvent]]]:
    """Acts as requests, (is it for the Segment door, acts): each person's acts stay in their order.

    Whenever a person turns to another door, the act goes into a later request: a login on a second
    device must find the first one's events already told, as it would in a real shop.
    """
    turn: Counter[int] = Counter()
    last: dict[int, str] = {}
    found: defaultdict[tuple[int, bool], list[ShopperEvent]] = defaultdict(list)
    for act in acts:
        if last.setdefault(act.shopper, act.origin) != act.origin:
            turn[act.shopper] += 1
            last[act.shopper] = act.origin
        found[turn[act.shopper], act.is_segment].append(act)
    for (_, is_segment), passed in sorted(found.items(), key=lambda one: one[0]):
        yield is_segment, passed


def _to_delivered_message(row: Any) -> DeliveredMessage:
    return DeliveredMessage(
        message_id=str(row["message_id"]),
        channel=row["channel"],
        template=row["template"],
        marketing=row["message_class"] == "marketing",
        items=tuple(row["items"]),
        at=row["sent_at"],
    )


def _find_one_click_url(header: str | None) -> list[str]:
    """The https or http address of a List-Unsubscribe header (RFC 8058), where there is one."""
    return re.findall(r"<(https?://[^>]+)>", header or "")[:1]


_SWEEP_TIMEOUT_S = 45.0

_COUNT_LAPSED_MISSING = "SELECT $1 - count(*) FROM event WHERE type = 'Customer Lapsed'"

_COUNT_UNSWEPT_CHANGES = "SELECT count(*) FROM product_change WHERE swept_at IS NULL"


class SweepTrigger:
    """The sweeps of one stack; whether they are done is read in Postgres."""

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database

    async def sweep_lapsed(self, expected: int) -> None:
        """Until so many people have lapsed. Raises ``Fault`` when that takes too long."""
        await self._sweep_until_done(LAPSED_SWEEP, _COUNT_LAPSED_MISSING, expected)

    async def sweep_products(self) -> None:
        """Until everybody is told of every product that changed. Raises ``Fault`` as above."""
        await self._sweep_until_done(PRODUCT_SWEEP, _COUNT_UNSWEPT_CHANGES)

    async def _sweep_until_done(self, sweep: ScheduledSweep, query: str, *values: int) -> None:
        deadline = time.monotonic() + _SWEEP_TIMEOUT_S
        triggered = False
        while (left := await self._count_left(query, *values)) > 0:
            if time.monotonic() > deadline:
                raise UserError(
                    f"the sweep for {sweep.description} did not find {left} of them: see demo.log"
                )
            if not triggered:
                schedule = self._client.get_schedule_handle(sweep.schedule_id)
                # One that is on its way may have looked too early; skipped, nobody would look again.
                await schedule.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)
                triggered = True
            await asyncio.sleep(0.1)

    async def _count_left(self, query: str, *values: int) -> int:
        async with self._database.transaction() as connection:
            return int(await connection.fetchval(query, *values))
