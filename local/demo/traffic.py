"""The demo's traffic: send the shoppers' events, move the runs' clocks, trigger sweeps, plan reactions."""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio.client import Client, ScheduleOverlapPolicy

from local.demo.behaviour import DeliveredMessage, ShopperPlan, plan_reaction
from local.demo.calendar import DemoPhase, RunMover, build_phases, next_opening
from local.demo.catalog import PRICE_DROP_AFTER, ProductFeed
from local.demo.console import DemoProgressBar
from local.demo.events import ShopperEvent
from local.demo.people import create_shoppers
from local.demo.spellings import respell
from profiles.db.database import Database
from workers.errors import UserError
from workers.ingest_client import IngestClient
from workers.schedules import LAPSED_SWEEP, PRODUCT_SWEEP, ScheduledSweep

_ROUND_GAP = timedelta(minutes=30)

_SELECT_SENT_MESSAGES = """
SELECT m.message_id, m.channel, m.template, m.message_class, m.items, m.address, m.sent_at,
       s.headers->>'List-Unsubscribe' AS unsubscribe
FROM message m JOIN sandbox_message s USING (message_id) ORDER BY m.decided_at, m.message_id
"""

_SWEEP_TIMEOUT_S = 45.0

_COUNT_LAPSED_MISSING = "SELECT $1 - count(*) FROM event WHERE type = 'Customer Lapsed'"

_COUNT_UNSWEPT_CHANGES = "SELECT count(*) FROM product_change WHERE swept_at IS NULL"


class DemoTraffic:
    """The traffic of one shop, from orders before the demo to the end of the last run."""

    def __init__(
        self,
        ingest_client: IngestClient,
        client: Client,
        database: Database,
        *,
        shoppers: int,
        seed: int,
        progress: DemoProgressBar,
    ) -> None:
        self.opening = next_opening(datetime.now(UTC))
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Seconds spent, by activity: travel, deliver, sweep and tell (sending of events)."""
        self.respelled = 0
        """Events that were sent in another spelling than Waypost's own."""
        self._ingest_client = ingest_client
        self._database = database
        self._seed = seed
        self._progress = progress
        self._run_mover = RunMover(client, database)
        self._client = client
        self._feed = ProductFeed(self.opening, ())
        self._plans = [
            ShopperPlan(shopper, self.opening, seed) for shopper in create_shoppers(shoppers, seed)
        ]
        self._by_address = {
            address: plan
            for plan in self._plans
            for address in (plan.shopper.email, plan.shopper.phone)
            if address
        }
        self._names_by_shopper = {plan.shopper.number: plan.shopper.identifier_names for plan in self._plans}
        self._received: set[UUID] = set()

    async def run(self) -> None:
        """Run the whole calendar. Raises ``UserError`` if the stack refuses events, fails or lags."""
        self._progress.start_phase("Older orders come in")
        now = datetime.now(UTC)
        await self._send_events(act for plan in self._plans for act in plan.past_events(now))
        # The catalogue before the first messages, which show only items that the shop's feed describes.
        await self._update_products(self.opening)
        self._progress.start_phase("The sweep finds who has been away for long")
        lapsed = sum(plan.shopper.lapsed for plan in self._plans)
        await self._sweep(LAPSED_SWEEP, _COUNT_LAPSED_MISSING, lapsed)
        # The first messages go out before any shopper acts, so that their content does not depend on a race.
        await self._run_mover.move_all(self.opening, self._progress.set_share)
        for plan in self._plans:
            plan.plan_visits()
        evening = self.opening + PRICE_DROP_AFTER
        self._feed = ProductFeed(
            self.opening, [item for plan in self._plans for item in plan.planned_product_ids(evening)]
        )
        self._feed.take_due(self.opening)  # sent before the sweep
        clock = self.opening
        for phase in build_phases(self.opening):
            self._progress.start_phase(phase.name)
            await self._run_phase(phase, clock)
            clock = phase.ends_at

    async def _run_phase(self, phase: DemoPhase, clock: datetime) -> None:
        unsubscribing = await self._plan_reactions(clock)
        await self._update_products(clock)
        events = [event for plan in self._plans for event in plan.take_due(phase.ends_at)]
        for round_events in group_into_rounds(events):
            await self._run_round(round_events)
        for link in unsubscribing:
            if not await self._ingest_client.unsubscribe_one_click(link):
                raise UserError(f"the unsubscribe link of a mail does not work: {link}")
        with self._timed("travel"):
            await self._run_mover.move_all(phase.ends_at, self._progress.set_share)
        await self._wait_until_delivered()

    async def _run_round(self, events: list[ShopperEvent]) -> None:
        """Move the runs of the shoppers to the time of their first event, then send the events."""
        names = self._names_by_shopper
        moves: dict[str, datetime] = {}
        for event in sorted(events, key=lambda event: event.at, reverse=True):
            if not event.is_passive:
                moves.update(dict.fromkeys(names[event.shopper], event.at))
        with self._timed("travel"):
            await self._run_mover.move_people(moves)
        await self._send_events(events)
        await self._wait_until_delivered()

    async def _wait_until_delivered(self) -> None:
        with self._timed("deliver"):
            await self._run_mover.wait_until_delivered()

    async def _plan_reactions(self, now: datetime) -> list[str]:
        """Plan reactions to messages sent since the last call; returns the unsubscribe links to request."""
        rows = await self._database.run(lambda connection: connection.fetch(_SELECT_SENT_MESSAGES))
        links: list[str] = []
        for row in rows:
            plan = self._by_address.get(row["address"])
            if row["message_id"] in self._received or row["sent_at"] is None or plan is None:
                continue
            self._received.add(row["message_id"])
            message = DeliveredMessage(
                message_id=str(row["message_id"]),
                channel=row["channel"],
                template=row["template"],
                marketing=row["message_class"] == "marketing",
                items=tuple(row["items"]),
                at=row["sent_at"],
            )
            if plan_reaction(plan, message, now, self._seed, self._feed.products):
                # The http or https address of a List-Unsubscribe header (RFC 8058), if it has one.
                links += re.findall(r"<(https?://[^>]+)>", row["unsubscribe"] or "")[:1]
        return links

    async def _sweep(self, sweep: ScheduledSweep, query: str, *values: int) -> None:
        """Sweep until the query counts none left, and deliver. Raises ``UserError`` after 45 s."""
        begun = time.monotonic()
        triggered = False
        with self._timed("sweep"):
            while (
                left := await self._database.run(lambda connection: connection.fetchval(query, *values))
            ) > 0:
                if time.monotonic() - begun > _SWEEP_TIMEOUT_S:
                    raise UserError(
                        f"the sweep for {sweep.description} did not find {left} of them: see demo.log"
                    )
                if not triggered:
                    schedule = self._client.get_schedule_handle(sweep.schedule_id)
                    # A sweep that runs now may have read before the change, so this one must not be skipped.
                    await schedule.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)
                    triggered = True
                await asyncio.sleep(0.1)
        await self._wait_until_delivered()

    async def _update_products(self, clock: datetime) -> None:
        """Send the product updates that are due, and run the sweep that creates events for open carts."""
        if updates := self._feed.take_due(clock):
            await self._ingest_client.send_events([update.body for update in updates])
            self._raise_refusals()
            await self._sweep(PRODUCT_SWEEP, _COUNT_UNSWEPT_CHANGES)

    async def _send_events(self, acts: Iterable[ShopperEvent]) -> None:
        client = self._ingest_client
        with self._timed("tell"):
            for is_segment, events in group_into_requests(sorted(acts, key=lambda event: event.at)):
                send = client.send_segment_calls if is_segment else client.send_events
                sent = [respell(event) for event in events]
                self.respelled += sum(a.body != b.body for a, b in zip(sent, events, strict=True))
                await send([event.body for event in sent])
        self._raise_refusals()

    def _raise_refusals(self) -> None:
        if refused := self._ingest_client.counts.describe_refusals():
            raise UserError("the API did not take the demo's events: " + "; ".join(refused))

    @contextmanager
    def _timed(self, activity: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[activity] += time.monotonic() - begun


def group_into_rounds(acts: Iterable[ShopperEvent]) -> list[list[ShopperEvent]]:
    """Group events into rounds: round n holds the n-th activity of every shopper.

    Events of a shopper less than half an hour apart are one activity, such as a visit.
    """
    rounds: list[list[ShopperEvent]] = []
    last: dict[int, tuple[int, datetime]] = {}
    for act in sorted(acts, key=lambda act: act.at):
        number, at = last.get(act.shopper, (-1, act.at - 2 * _ROUND_GAP))
        number += act.at - at > _ROUND_GAP
        last[act.shopper] = (number, act.at)
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(act)
    return rounds


def group_into_requests(acts: Sequence[ShopperEvent]) -> Iterator[tuple[bool, list[ShopperEvent]]]:
    """Group events into requests (is it a Segment request, events); the events of a shopper keep their order.

    When the origin of a shopper's events changes, the event goes into a later request: at a login on a second
    device, the events of the first device have to be ingested already, as in a real shop.
    """
    turn: Counter[int] = Counter()
    last: dict[int, str] = {}
    requests: defaultdict[tuple[int, bool], list[ShopperEvent]] = defaultdict(list)
    for act in acts:
        if last.setdefault(act.shopper, act.origin) != act.origin:
            turn[act.shopper] += 1
            last[act.shopper] = act.origin
        requests[turn[act.shopper], act.is_segment].append(act)
    for (_, is_segment), events in sorted(requests.items(), key=lambda request: request[0]):
        yield is_segment, events
