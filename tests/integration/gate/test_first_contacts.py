"""Messages to addresses that only pages have named: the limits hold for all gates and at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from activities.gate.batching import GateBatcher
from activities.gate.send_gate import GateOutcome, GateRequest, SendClaim, SendGate
from authoring.testing.calendar import DEFAULT_START
from policy.facts import FirstContactLimits
from policy.verdict import Channel, Defer, MessageClass, Reason, Withhold
from profiles.messaging.claims import release_claim
from tests.support.environments.gate import UNLIMITED, GateHarness, PausedCommitDatabase, refused

LIMITS = FirstContactLimits(per_hour=3, per_sender_hour=2, per_address_day=5, countries=("DE",))

ONE = replace(LIMITS, per_hour=1)

HOUR = timedelta(hours=1)


class Strangers(GateHarness):
    """People whom only pages have named."""

    def limited(self, limits: FirstContactLimits = LIMITS, database: Any = None) -> SendGate:
        return SendGate(database or self.database, UNLIMITED, first_contacts=limits)

    async def stranger(self, number: int, *, key: str = "shop", **more: str) -> UUID:
        """A cart that a page starts, with the public key of this label; returns its run."""
        who = {"email": f"stranger-{number}@example.com", **more}
        added = {"product_id": "lamp", "cart_id": f"c-{number}"}
        event = self.build_event("Product Added", added, **who)
        await self.ingest([replace(event, verified=False, sender=key)])
        [run] = await self.fetch_rows("SELECT run_id FROM run WHERE key = $1", f"c-{number}")
        run_id: UUID = run["run_id"]
        return run_id

    async def customers_order(self, number: int, *, verified: bool) -> UUID:
        """An order of somebody whom the shop's systems have named on every channel; returns its run."""
        who = {
            "user_id": "42",
            "email": "ada@example.com",
            "phone": "+4915112345678",
            "push_token": "fcm-9a8b7c6d5e4f",
        }
        await self.ingest([self.build_event("Customer Updated", {}, **who)])
        order = self.build_event(
            "Order Completed", self.order_of(number), user_id="42", email="ada@example.com"
        )
        if not verified:
            order = replace(order, verified=False, sender="shop")
        await self.ingest([order])
        query = "SELECT run_id FROM run WHERE journey = 'post-purchase' AND key = $1"
        [run] = await self.fetch_rows(query, f"o-{number}")
        run_id: UUID = run["run_id"]
        return run_id

    def order_of(self, number: int) -> dict[str, Any]:
        return GateHarness.order(self, "lamp", order_id=f"o-{number}")

    def order(self, run_id: UUID, step: str = "order", channel: Channel = Channel.EMAIL) -> GateRequest:  # type: ignore[override]
        """The request for a transactional message of a run."""
        message = self.ask(run_id, step, channel=channel, template="order_confirmation")
        message = message.model_copy(update={"promoting": None})
        return GateRequest(message, MessageClass.TRANSACTIONAL, "transactional", DEFAULT_START)


@pytest_asyncio.fixture(loop_scope="session")
async def strangers(database_url: str, temporal: Any) -> AsyncIterator[Strangers]:
    async with Strangers(database_url, temporal.client) as harness:
        yield harness


def outcome_of(outcome: GateOutcome) -> object:
    return "allow" if isinstance(outcome, SendClaim) else refused(outcome)


DEFERRED = (Defer, Reason.PROVIDER_BUDGET)


async def test_each_key_has_a_limit_and_all_together_have_one(strangers: Strangers) -> None:
    gate = strangers.limited()
    keys = ("shop", "shop", "shop", "app", "app")
    runs = [await strangers.stranger(n, key=key) for n, key in enumerate(keys)]
    found = [outcome_of(await gate.decide(strangers.order(run))) for run in runs]
    later = replace(strangers.order(runs[2]), at=DEFAULT_START + HOUR)

    assert found == ["allow", "allow", DEFERRED, "allow", DEFERRED]
    assert outcome_of(await gate.decide(later)) == "allow"


async def test_who_a_server_has_named_is_counted_by_no_limit(strangers: Strangers) -> None:
    gate = strangers.limited(replace(LIMITS, per_hour=0))
    run = await strangers.leaves_cart(["lamp"], cart_id="c-1", email="ada@example.com")

    assert outcome_of(await gate.decide(strangers.order(run))) == "allow"
    assert await strangers.fetch_rows("SELECT * FROM first_contact") == []


async def test_a_withheld_message_and_a_second_attempt_use_nothing_up(strangers: Strangers) -> None:
    gate, run = strangers.limited(ONE), await strangers.stranger(1)
    marketing = replace(strangers.order(run, "mail"), message_class=MessageClass.MARKETING, topic="marketing")
    assert outcome_of(await gate.decide(marketing)) == (Withhold, Reason.NO_CONSENT)

    for _ in range(3):
        claim = await gate.decide(strangers.order(run))
        assert isinstance(claim, SendClaim)
        async with strangers.database.transaction() as connection:
            await release_claim(connection, claim.message_id, claim.token, "error")


async def test_an_address_gets_few_a_day_whatever_profile_it_is_in(strangers: Strangers) -> None:
    gate, run = strangers.limited(replace(ONE, per_hour=9, per_sender_hour=9)), await strangers.stranger(1)
    found = [outcome_of(await gate.decide(strangers.order(run, f"order-{n}"))) for n in range(6)]

    assert found == ["allow"] * 5 + [(Withhold, Reason.CAPPED)]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param("+4915112345678", "allow", id="of the shop's country"),
        pytest.param("+37128112345", (Withhold, Reason.NO_CONSENT), id="of another"),
        pytest.param("+88213312345", (Withhold, Reason.NO_CONSENT), id="by satellite"),
    ],
)
async def test_a_text_goes_to_the_countries_that_the_shop_names(
    strangers: Strangers, number: str, expected: object
) -> None:
    run = await strangers.stranger(1, phone=number)
    request = strangers.order(run, channel=Channel.SMS)

    assert outcome_of(await strangers.limited().decide(request)) == expected
    nowhere, again = strangers.limited(FirstContactLimits()), strangers.order(run, "again", Channel.SMS)
    assert outcome_of(await nowhere.decide(again)) == (Withhold, Reason.NO_CONSENT)


async def test_of_two_gates_at_once_the_second_counts_what_the_first_allowed(strangers: Strangers) -> None:
    """Without the lock both would count none, since neither has committed."""
    held = PausedCommitDatabase(strangers.url)
    one, other = [await strangers.stranger(n) for n in (1, 2)]
    first = asyncio.create_task(strangers.limited(ONE, held).decide(strangers.order(one)))
    await held.worked.wait()
    second = asyncio.create_task(strangers.limited(ONE).decide(strangers.order(other)))
    assert await strangers.someone_waits_for_a_lock(or_done=second)
    held.may_commit.set()

    assert [outcome_of(await first), outcome_of(await second)] == ["allow", DEFERRED]
    await held.close()


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.SMS, Channel.PUSH])
async def test_a_customer_gets_few_messages_a_day_of_orders_that_only_pages_state(
    strangers: Strangers, channel: Channel
) -> None:
    gate = strangers.limited(replace(ONE, per_hour=9, per_sender_hour=9))
    runs = [await strangers.customers_order(n, verified=False) for n in range(6)]
    found = [outcome_of(await gate.decide(strangers.order(run, channel=channel))) for run in runs]

    assert found == ["allow"] * 5 + [(Withhold, Reason.CAPPED)]


async def test_what_the_shop_states_is_neither_counted_nor_limited(strangers: Strangers) -> None:
    """Five messages of a stranger's orders take nothing from those of the shop's."""
    gate = strangers.limited(replace(ONE, per_hour=6, per_sender_hour=6))
    forged = [await strangers.customers_order(n, verified=False) for n in range(5)]
    for run in forged:
        assert outcome_of(await gate.decide(strangers.order(run))) == "allow"
    true = [await strangers.customers_order(n, verified=True) for n in range(10, 20)]
    found = [outcome_of(await gate.decide(strangers.order(run))) for run in true]

    assert found == ["allow"] * 10
    assert len(await strangers.fetch_rows("SELECT * FROM first_contact")) == 5


async def test_an_order_that_the_shop_states_after_the_page_is_the_shops(strangers: Strangers) -> None:
    gate = strangers.limited(replace(ONE, per_hour=0))
    run = await strangers.customers_order(1, verified=False)
    before = outcome_of(await gate.decide(strangers.order(run, "early")))
    assert await strangers.customers_order(1, verified=True) == run

    assert [before, outcome_of(await gate.decide(strangers.order(run)))] == [DEFERRED, "allow"]


async def test_tags_of_one_mailbox_are_counted_as_one_address(strangers: Strangers) -> None:
    gate = strangers.limited(replace(ONE, per_hour=9, per_sender_hour=9))
    runs = [await strangers.stranger(n, email=f"ada+{n}@shop.example.org") for n in range(6)]
    found = [outcome_of(await gate.decide(strangers.order(run))) for run in runs]

    assert found == ["allow"] * 5 + [(Withhold, Reason.CAPPED)]


async def test_a_batch_counts_its_own(strangers: Strangers) -> None:
    runs = [await strangers.stranger(n, key=f"key-{n}") for n in range(8)]
    gate = GateBatcher(strangers.limited())
    found = [
        outcome_of(one) for one in await asyncio.gather(*(gate.decide(strangers.order(r)) for r in runs))
    ]

    assert sorted(map(str, found)) == sorted(map(str, ["allow"] * 3 + [DEFERRED] * 5))
