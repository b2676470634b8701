"""Waypost without workers: people with carts and runs in Postgres, and a gate to ask, many at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.audiences import AudienceActivities
from activities.channels.circuit_breaker import CircuitBreakers
from activities.channels.registry import ChannelRegistry
from activities.contracts import JoinAudience, SendMessage, SendResult
from activities.gate.batching import GateBatcher
from activities.gate.send_gate import GateOutcome, GateRequest, NotAllowed, SendClaim, SendGate
from activities.message_renderer import MessageRenderer
from activities.send_message import MessageActivities
from activities.settings import ActivitySettings
from authoring.testing.calendar import DEFAULT_START
from authoring.testing.environment import Row, Waypost, load_templates
from policy.limits import BreakerRule, Limits
from policy.verdict import Allow, Channel, MessageClass, Reason, Verdict
from profiles.db.database import Database
from profiles.events import Item
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.messaging.preference_tokens import PreferenceTokens
from tests.support.deadlines import scaled
from tests.support.fakes.recording_provider import RecordingProvider

UNLIMITED = Limits(caps=(), quiet_hours={})


def refused(outcome: GateOutcome) -> tuple[type[Verdict], Reason]:
    """How the gate refused a message, and why. Fails where it allowed it."""
    assert isinstance(outcome, NotAllowed)
    assert not isinstance(outcome.verdict, Allow)
    return type(outcome.verdict), outcome.verdict.reason


YES = {"consents": {"email": True, "sms": True, "push": True, "ads": True}, "timezone": "Europe/Berlin"}


def shopper(number: int) -> dict[str, Any]:
    """Identifiers of one person."""
    mail, phone = f"shopper-{number}@example.com", f"+49151{12_000_000 + number}"
    return {"email": mail, "phone": phone, "push_token": f"token-{number}-of-an-app"}


class PausedCommitDatabase(Database):
    """A pool whose transactions, once their work is done, wait for the word before they commit."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.worked = asyncio.Event()
        self.may_commit = asyncio.Event()

    async def commit(self, connection: Any, last_statement: str = "") -> None:
        """As ever, with a stop before it."""
        self.worked.set()
        await self.may_commit.wait()
        await super().commit(connection, last_statement)


class GateHarness(Waypost):
    """Events come in for real; messages are asked for by the test instead of by journeys."""

    def __init__(self, database_url: str, client: Client, *, limits: Limits = UNLIMITED) -> None:
        super().__init__(database_url, client, with_workers=False)
        self.url = database_url
        self.gate: SendGate | GateBatcher = SendGate(self.database, limits)
        self.audience_gate = AudienceActivities(self.database, limits)
        self.ledgers = {channel: RecordingProvider(channel, self.database) for channel in Channel}

    def ingest_on(self, database: Database) -> Ingest:
        """The way in on another pool."""
        return Ingest(database, self.journeys.routes, IngestConfig(local=True))

    async def takes(self, name: str, properties: Row | None = None, **more: Any) -> None:
        """Take one event in; deliver nothing."""
        await self.ingest([self.build_event(name, properties, **more)])

    async def leaves_cart(self, products: Sequence[str], *, cart_id: str, **who: Any) -> UUID:
        """Somebody leaves products in a cart; returns the run this started."""
        events = [
            self.build_event("Product Added", {"product_id": product, "name": product, "cart_id": cart_id},
                       traits=YES, **who) for product in products
        ]  # fmt: skip
        await self.ingest(events)
        [run] = await self.fetch_rows("SELECT run_id FROM run WHERE key = $1 AND state = 'running'", cart_id)
        run_id: UUID = run["run_id"]
        return run_id

    async def one_cart(self) -> UUID:
        """Shopper 1 leaves a lamp in the cart c-1; returns its run."""
        return await self.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))

    async def reminder(self, **more: Any) -> tuple[UUID, SendMessage]:
        """The run of ``one_cart``, and its request for a reminder; ``more`` is as in ``ask``."""
        run_id = await self.one_cart()
        return run_id, self.ask(run_id, "reminder", "lamp", **more)

    def order(self, *products: str, order_id: str) -> Row:
        """Properties of an order."""
        return {"order_id": order_id, "products": [{"product_id": product} for product in products]}

    def ask(
        self,
        run_id: UUID,
        step: str,
        *products: str,
        channel: Channel = Channel.EMAIL,
        template: str = "cart_reminder",
        cart_id: str | None = None,
        at: datetime = DEFAULT_START,
    ) -> SendMessage:
        """A journey's request for one message, made at ``at``."""
        return SendMessage(
            run_id=str(run_id),
            step=step,
            journey="cart-abandonment",
            template=template,
            channel=channel,
            promoting=tuple(Item(product_id=product, name=product) for product in products),
            expires_at=at + timedelta(days=2),
            cart_id=cart_id,
        )

    async def claims(
        self,
        request: SendMessage,
        *,
        at: datetime = DEFAULT_START,
        message_class: MessageClass = MessageClass.MARKETING,
        gate: SendGate | GateBatcher | None = None,
    ) -> GateOutcome:
        """Ask the gate of messages."""
        return await (gate or self.gate).decide(GateRequest(request, message_class, message_class.value, at))

    async def allowed(self, request: SendMessage, *, at: datetime = DEFAULT_START) -> tuple[str, ...]:
        """The items the gate lets through on the request's channel, ads included."""
        if request.channel is Channel.ADS:
            verdict = await self.audience_gate.decide_and_add(request, at)
            return verdict.items if isinstance(verdict, Allow) else ()
        answer = await self.claims(request, at=at)
        return answer.items if isinstance(answer, SendClaim) else ()

    def sender(
        self, *, gate: SendGate | None = None, breakers: CircuitBreakers | None = None
    ) -> MessageActivities:
        """The real send activity, with ledgers for providers, and no breaker unless one is given."""
        settings = ActivitySettings(secrets=(SecretStr("a secret of tests, which is long enough"),))
        tokens = PreferenceTokens([secret.get_secret_value() for secret in settings.secrets])
        return MessageActivities(
            self.database,
            gate or self.gate,
            ChannelRegistry(self.ledgers, {}),
            load_templates(self.journeys),
            MessageRenderer(settings, tokens),
            breakers or CircuitBreakers(BreakerRule(failures=1_000_000)),
        )

    async def sends(
        self, request: SendMessage, *, at: datetime = DEFAULT_START, sender: MessageActivities | None = None
    ) -> SendResult:
        """One attempt of the send activity, as Temporal would make it at ``at``."""
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, started_time=at)
        result: SendResult = await environment.run((sender or self.sender()).send_message, request)
        return result

    async def joins(self, request: JoinAudience, *, at: datetime = DEFAULT_START) -> SendResult:
        """One attempt of the audience activity, as Temporal would make it at ``at``."""
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, started_time=at)
        result: SendResult = await environment.run(self.audience_gate.join_audience, request)
        return result

    async def message(self, run_id: UUID, step: str) -> Row:
        """The message of one send key."""
        [found] = await self.fetch_rows("SELECT * FROM message WHERE run_id = $1 AND step = $2", run_id, step)
        return found

    async def someone_waits_for_a_lock(self, *, or_done: asyncio.Future[Any] | None = None) -> bool:
        """Until a session of this database waits for a row; False where ``or_done`` ended first."""
        async with asyncio.timeout(scaled(10)):
            while True:
                waiting = await self.fetch_rows(
                    "SELECT 1 FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                if waiting:
                    return True
                if or_done is not None and or_done.done():
                    return False
                await asyncio.sleep(0.005)
