"""The facts alone, for tests: ingest on a real Postgres, with a routing table of the test's own."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from policy.reentry import Once, Reentry, Unlimited
from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.events import Event
from profiles.identity.identifiers import normalize_identifier
from profiles.ingest.event_store import IngestResult
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.messaging.claims import MessageRow, record_sent, write_decisions_sql
from profiles.runs.lifecycle import ClosedRun, close_run
from profiles.runs.routing import KEY_CART, KEY_PERSON
from profiles.state.event_records import IncomingEvent
from tests.support.deadlines import scaled

Row = dict[str, Any]

UNLIMITED = Unlimited()

LAMP = {"product_id": "lamp", "sku": "lamp-red", "name": "Aria lamp", "price": 39.0}

CHAIR = {"product_id": "chair", "sku": "chair-oak", "name": "Oslo chair", "price": 99.0}


@dataclass(frozen=True)
class RoutedJourney:
    """A journey as routing sees it."""

    name: str = "carts"
    starts: tuple[str, ...] = ("Product Added", "Checkout Started")
    listens: tuple[str, ...] = ("Product Removed", "Order Completed", "Message Clicked")
    key_property: str | None = KEY_CART
    reentry: Reentry = UNLIMITED
    key: Callable[[Event], str | None] | None = None
    where: Callable[[Event], bool] | None = None
    on_merge: str = "continue"
    ends: tuple[str, ...] = ()

    @property
    def start_names(self) -> frozenset[str]:
        return frozenset(self.starts)

    @property
    def listen_names(self) -> frozenset[str]:
        return frozenset((*self.starts, *self.listens, *self.ends))

    @property
    def ending_names(self) -> frozenset[str]:
        return frozenset(self.ends)

    def ended_by(self, event: Event) -> str | None:
        return "ended" if event.event_name in self.ends else None

    @property
    def counts_every_run(self) -> bool:
        return isinstance(self.reentry, Once)

    def key_of(self, event: Event) -> str | None:
        if self.key is not None:
            return self.key(event)
        return getattr(event, self.key_property or "", None)

    def admits(self, event: Event) -> bool:
        return self.where is None or self.where(event)

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        return self.reentry.may_enter(entries, at)


CARTS = RoutedJourney()

PEOPLE = RoutedJourney(
    name="people", starts=("Order Completed",), listens=("Product Viewed",), key_property=KEY_PERSON
)


class IngestHarness:
    """Ingest, and questions about what it left behind."""

    def __init__(
        self,
        database: Database,
        *journeys: RoutedJourney,
        rules: IngestConfig | None = None,
        source: str = "test",
    ) -> None:
        self.database = database
        self.routes = journeys
        self.ingest = Ingest(database, journeys, rules)
        self.source = source
        self.now = datetime.now(UTC)
        self._events = 0

    def event(
        self,
        name: str,
        properties: Row | None = None,
        *,
        traits: Row | None = None,
        channel: str = "web",
        event_id: str | None = None,
        ago: timedelta = timedelta(0),
        context: Row | None = None,
        **identifiers: str,
    ) -> IncomingEvent:
        """An event of now; identifiers as keywords (email=…, user_id=…)."""
        self._events += 1
        return IncomingEvent(
            source=self.source,
            id=event_id or f"e{self._events}",
            type=name,
            channel=channel,
            time=datetime.now(UTC) - ago,
            identifiers=tuple(
                (kind, normalize_identifier(kind, value)) for kind, value in identifiers.items()
            ),
            properties=properties or {},
            traits=traits or {},
            context=context or {},
        )

    async def happens(self, name: str, properties: Row | None = None, **more: Any) -> IngestResult:
        """Take one event in."""
        [answer] = await self.ingest([self.event(name, properties, **more)])
        return answer

    async def rows(self, query: str, *arguments: Any) -> list[Row]:
        """Rows of the test's database."""
        async with self.database.transaction() as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def values(self, query: str, *arguments: Any) -> list[Any]:
        """The first column."""
        return [next(iter(row.values())) for row in await self.rows(query, *arguments)]

    async def until(self, question: str, within_s: float = 15) -> None:
        """Wait until a query has rows, with a deadline."""
        deadline = asyncio.get_running_loop().time() + scaled(within_s)
        while not await self.rows(question):
            assert asyncio.get_running_loop().time() < deadline, f"nothing within {within_s} s: {question}"
            await asyncio.sleep(0.01)

    async def someone_waits_for_a_lock(self) -> None:
        """Wait until a session of this database waits for a row."""
        await self.until(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )

    async def who(self, kind: str, value: str) -> UUID:
        """The profile an identifier points at."""
        [found] = await self.values(
            "SELECT profile_id FROM identifier WHERE type = $1 AND value = $2",
            kind,
            normalize_identifier(kind, value),
        )
        assert isinstance(found, UUID)
        return found

    async def suppressed(self, kind: str, value: str) -> list[str]:
        """Items not to be promoted to a person now."""
        return await self.values(
            "SELECT DISTINCT item FROM suppression WHERE profile_id = $1 AND lifted_at IS NULL "
            "AND (until IS NULL OR until > now()) ORDER BY item",
            await self.who(kind, value),
        )

    async def carts(self) -> dict[str, list[str]]:
        """Cart id → products."""
        rows = await self.rows(
            "SELECT cart_id, jsonb_path_query_array(lines, '$[*].product_id')::text AS p FROM cart"
        )
        return {row["cart_id"]: sorted(orjson.loads(row["p"])) for row in rows}

    async def runs(self, state: str = "running") -> list[Row]:
        """Runs in a state, oldest first."""
        return await self.rows("SELECT * FROM run WHERE state = $1 ORDER BY entered_at, run_id", state)

    async def outbox(self, lane: UUID | None = None) -> list[str]:
        """Names of what is queued, in order."""
        return await self.values(
            "SELECT CASE kind WHEN 'start' THEN 'start: ' || name ELSE name END FROM outbox "
            "WHERE $1::uuid IS NULL OR lane = $1 ORDER BY seq",
            lane,
        )

    async def problems(self, event_id: UUID | None) -> list[str]:
        """What could not be done with an event."""
        return await self.values(
            "SELECT p ->> 'detail' FROM event, jsonb_array_elements(problems) p WHERE event_id = $1", event_id
        )

    async def close(self, run_id: UUID, *, seen: Sequence[UUID] = (), outcome: str = "nudged") -> ClosedRun:
        """A run's last act."""
        return await close_run(
            self.database, self.routes, run_id, outcome=outcome, seen_event_ids=seen, at=datetime.now(UTC)
        )

    async def claimed(
        self, run_id: UUID, address: str = "ada@example.com", *, step: str = "s", at: datetime | None = None
    ) -> tuple[UUID, UUID]:
        """A mail of a run that may be sent, and the token of its claim; ``at`` by the run's clock."""
        message_id, token = new_id(), new_id()
        [row] = await self.rows("SELECT journey, profile_id, now() AS now FROM run WHERE run_id = $1", run_id)
        planned = MessageRow(
            message_id=message_id,
            profile_id=row["profile_id"],
            run_id=run_id,
            step=step,
            journey=row["journey"],
            channel="email",
            template="reminder",
            message_class="marketing",
            status="claimed",
            verdict="allow",
            at=at or row["now"],
            address=address,
            token=token,
            decision_id=new_id(),
        )
        await self.database.run(lambda connection: connection.execute(write_decisions_sql(planned)))
        return message_id, token

    async def accepted(self, message_id: UUID, token: UUID, at: datetime | None = None) -> None:
        """The provider took a message."""
        at = at or datetime.now(UTC)
        async with self.database.transaction() as connection:
            await record_sent(connection, message_id, token, provider="sandbox", provider_id="1", at=at)

    async def sent(self, run_id: UUID, address: str = "ada@example.com", *, step: str = "s") -> UUID:
        """A mail of a run that went out."""
        message_id, token = await self.claimed(run_id, address, step=step)
        await self.accepted(message_id, token)
        return message_id

    async def joined(self, run_id: UUID, item: str) -> None:
        """A place in an ad audience on behalf of a run."""
        await self.rows(
            "INSERT INTO audience_member (member_id, audience, item, profile_id, run_id, state) "
            "SELECT gen_random_uuid(), 'left', $2, profile_id, run_id, 'in' FROM run WHERE run_id = $1",
            run_id,
            item,
        )


def order(*products: Row, order_id: str = "o-1") -> Row:
    """Properties of an order."""
    return {"order_id": order_id, "products": [dict(product) for product in products]}
