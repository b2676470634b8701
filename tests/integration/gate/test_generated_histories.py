"""Any story of purchases, returns, words and messages: the gate says what the model says."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from activities.contracts import SendMessage
from activities.gate.send_gate import GateRequest, NotAllowed, SendClaim, SendGate
from policy.limits import Limits
from policy.verdict import Allow, Channel, MessageClass
from profiles.db.database import Database
from profiles.events import Item
from profiles.identity.identifiers import normalize_identifier
from profiles.ingest.pipeline import IngestConfig
from profiles.messaging.claims import release_claim
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS, IngestHarness
from tests.support.models.gate import DAY, Story
from tests.support.proof_size import FULL, size
from tests.support.queries.snapshot import forget_all

START = datetime(2027, 3, 3, 9, tzinfo=UTC)

ADA = {"email": "ada@example.com", "phone": "+4915112345678", "push_token": "a-token-of-an-app"}

CARD = {"loyalty_id": "L-1"}

PRODUCTS = ["lamp", "chair", "desk"]

YEAR = timedelta(days=365)

some = st.lists(st.sampled_from(PRODUCTS), min_size=1, max_size=3, unique=True)

channels = st.sampled_from([Channel.EMAIL, Channel.SMS, Channel.PUSH])


class Shopping(RuleBasedStateMachine):
    """One person with a cart, on the real tables, beside the model."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = Database(self.url, pool_size=1)
        self.facts = IngestHarness(self.database, CARTS, rules=IngestConfig(local=True))
        self.gate = SendGate(self.database, Limits())
        self.story, self.now, self.count = Story(), START, 0
        self.orders: list[tuple[str, list[str], datetime]] = []
        self.claims: list[tuple[SendClaim, int]] = []

    def do(self, work: Any) -> Any:
        """Run it to its end."""
        return self.runner.run(work)

    def happens(self, name: str, properties: dict[str, Any], **more: Any) -> None:
        """One event, now."""
        self.count += 1
        who, traits = more.get("who", ADA), more.get("traits", {})
        named = tuple((kind, normalize_identifier(kind, value)) for kind, value in who.items())
        event = IncomingEvent(
            "story", f"e-{self.count}", name, "web", more.get("time", self.now), named, properties, traits
        )
        self.do(self.facts.ingest([event]))

    @initialize()
    def leaves_a_cart(self) -> None:
        self.do(forget_all(self.database))
        products = [{"product_id": product, "cart_id": "c-1"} for product in PRODUCTS]
        for product in products:
            self.happens("Product Added", product, traits={"timezone": "Europe/Berlin"})
        [self.run_id] = self.do(self.facts.values("SELECT run_id FROM run"))

    @rule(products=some, card=st.booleans(), late=st.booleans())
    def buys(self, products: list[str], card: bool, late: bool) -> None:
        time = self.now - 3 * DAY if late else self.now
        # A shop gives no two orders one id, not even after one was cancelled.
        self.orders.append((f"o-{self.count}", products, time))
        bought = {"order_id": self.orders[-1][0], "products": [{"product_id": one} for one in products]}
        self.happens("Order Completed", bought, time=time, who=CARD if card else ADA)
        # With the card it is the person's order too, once it is known whose card it was; their address came
        # with it if it was known by then.
        self.story.is_customer |= not card or time >= START
        if card:
            self.happens("Identify", {}, who={**ADA, **CARD})
        self.remembers()

    @rule(data=st.data())
    def sends_back(self, data: st.DataObject) -> None:
        if self.orders:
            order = self.orders.pop(data.draw(st.integers(0, len(self.orders) - 1)))
            self.happens("Order Cancelled", {"order_id": order[0]})
            self.remembers()

    def remembers(self) -> None:
        """Until when each product is suppressed, by the orders that stand."""
        self.story.bought = {}
        for _, products, time in sorted(self.orders, key=lambda order: order[2]):
            self.story.bought |= dict.fromkeys(products, time + YEAR)

    @rule(channel=st.sampled_from(["email", "sms", "push", "all"]), granted=st.booleans())
    def says(self, channel: str, granted: bool) -> None:
        self.tick(timedelta(seconds=1))
        state = "granted" if granted else "withdrawn"
        self.happens("Consent Changed", {"channel": channel, "state": state})
        self.story.said[channel] = granted

    @rule(hours=st.sampled_from([0.1, 1, 5, 11, 24, 100, 366 * 24]))
    def tick(self, hours: float | timedelta) -> None:
        self.now += hours if isinstance(hours, timedelta) else timedelta(hours=hours)

    @rule(channel=channels, products=some, patience=st.sampled_from([1, 48]))
    def asks(self, channel: Channel, products: list[str], patience: int) -> None:
        self.count += 1
        expires = self.now + timedelta(hours=patience)
        request = SendMessage(
            run_id=str(self.run_id),
            step=f"s-{self.count}",
            journey="carts",
            template="cart_reminder",
            channel=channel,
            promoting=tuple(Item(product_id=product) for product in products),
            expires_at=expires,
        )
        answer = self.do(
            self.gate.decide(GateRequest(request, MessageClass.MARKETING, "marketing", self.now))
        )
        expected = self.story.verdict(channel.value, products, self.now, expires)
        if isinstance(answer, SendClaim):
            assert ("allow", list(answer.items)) == expected
            self.story.sent.append((channel.value, self.now))
            self.claims.append((answer, len(self.story.sent) - 1))
        else:
            assert isinstance(answer, NotAllowed)
            assert not isinstance(answer.verdict, Allow)
            assert (answer.verdict.reason.value, []) == expected

    @rule()
    def is_not_sent_after_all(self) -> None:
        if self.claims:
            claim, place = self.claims.pop()

            async def given_back() -> None:
                async with self.database.transaction() as connection:
                    await release_claim(connection, claim.message_id, claim.token, "error")

            self.do(given_back())
            # A slot that was given back counts no more.
            self.story.sent[place] = ("", START - 400 * DAY)

    def teardown(self) -> None:
        self.do(self.database.close())
        self.runner.close()


@pytest.fixture
def machine(database_url: str) -> type[Shopping]:
    """The machine on this test's own database."""
    return type("Shopping", (Shopping,), {"url": database_url})


@pytest.mark.proof
@pytest.mark.timeout(3600 if FULL else 120)
def test_after_any_story_the_gate_says_what_the_model_says(machine: type[Shopping]) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=size(4, 500),
            stateful_step_count=size(30, 50),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
