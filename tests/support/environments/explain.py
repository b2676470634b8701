"""Many Adas, one a story: a lamp in a cart, a run, what the gate says of its reminder, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from activities.contracts import SendMessage
from activities.gate.send_gate import GateRequest, SendGate
from api.why.answer import Answer, Explainer, WhyQuery
from policy.limits import Limits
from policy.verdict import Channel, MessageClass
from profiles.views import decision_evidence
from tests.support.environments.gate import UNLIMITED, GateHarness

EVENING = datetime(2037, 11, 21, 19, tzinfo=UTC)
"""A Saturday, 20:00 in Berlin, so far ahead that every clock of a test shows what it says."""

HOUR = timedelta(hours=1)

SMS = Channel.SMS

YES = {"email": True, "sms": True}

LAMP = {"product_id": "p-1", "sku": "p-1-red", "name": "Aria lamp"}


@dataclass
class ExplainCase:
    """One Ada, who put a lamp into her cart at noon."""

    env: GateHarness
    story: str
    """Names her cart and her first event."""
    number: int
    run_id: UUID = field(default=UUID(int=0))

    @property
    def email(self) -> str:
        """Hers alone."""
        return f"ada-{self.number}@example.com"

    async def opens(self, consents: Mapping[str, bool], *, cart: str = "") -> None:
        """The lamp goes into the cart, or into another one."""
        traits = {"first_name": "Ada", "timezone": "Europe/Berlin", "consents": dict(consents)}
        name = cart or self.story
        added = LAMP | {"cart_id": name}
        await self.hears("Product Added", added, event_id=f"{name}-1", hours=8, traits=traits)
        [run] = await self.env.fetch_rows("SELECT run_id FROM run WHERE key = $1", name)
        self.run_id = run["run_id"]

    async def hears(
        self,
        name: str,
        properties: dict[str, Any] | None = None,
        *,
        event_id: str,
        hours: float = 1,
        **more: Any,
    ) -> None:
        """An event so many hours before the evening."""
        who = {"email": self.email, "phone": f"+49151123456{self.number:02}"}
        given = {"source": "shop", "time": EVENING - hours * HOUR, **who, **more}
        await self.env.ingest([self.env.build_event(name, properties, event_id=event_id, **given)])

    def request(self, step: str = "1", *, at: datetime = EVENING, **more: Any) -> SendMessage:
        """The reminder of the lamp, as the run asks for it."""
        return self.env.ask(self.run_id, step, "p-1", at=at).model_copy(update=more)

    async def asks(
        self,
        step: str = "1",
        *,
        at: datetime = EVENING,
        limits: Limits = UNLIMITED,
        topic: str = "marketing",
        **more: Any,
    ) -> None:
        """The gate decides, by these limits."""
        gate = SendGate(self.env.database, limits)
        await gate.decide(GateRequest(self.request(step, at=at, **more), MessageClass.MARKETING, topic, at))

    async def sends(self, step: str, *, hours: float = 0, **more: Any) -> UUID:
        """A reminder that is sent, or tried, so many hours before the evening; its message."""
        at = EVENING - hours * HOUR
        await self.env.sends(self.request(step, at=at, **more), at=at)
        message_id: UUID = (await self.env.message(self.run_id, step))["message_id"]
        return message_id

    async def answer(self, asked: WhyQuery | None = None) -> Answer:
        """Why, by the limits of the contract."""
        async with self.env.database.transaction() as connection:
            profile_id = await connection.fetchval(
                "SELECT profile_id FROM run WHERE run_id = $1", self.run_id
            )
            account = await decision_evidence.load_decision_evidence(connection, profile_id)
        assert account is not None
        return Explainer(account, Limits()).answer(asked or WhyQuery())

    async def buys(self) -> None:
        """The lamp, in the store, at 14:03."""
        given: dict[str, Any] = {"source": "pos/berlin-3", "channel": "store", "hours": 5.95}
        order = {"order_id": "o-17", "products": [LAMP]}
        await self.hears("Order Completed", order, event_id=f"evt-9-{self.story}", **given)
