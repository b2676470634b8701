"""Whom a message is for, where two people share a profile: the address and the name of the order or cart."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from activities.contracts import SendMessage
from authoring.testing.calendar import DEFAULT_START
from policy.verdict import Channel
from tests.support.environments.gate import GateHarness

PHONE, OTHER_PHONE = "+4915112000001", "+4915112000002"
A = {"email": "a@example.com", "phone": PHONE}
B = {"email": "b@example.com", "phone": PHONE}
ADA, BOB, AL = ({"first_name": name} for name in ("Ada", "Bob", "Al"))
MAIL_YES, MAIL_NO = {"consents": {"email": True}}, {"consents": {"email": False}}
HOUR = timedelta(hours=1)


@pytest.fixture
def shop(database_url: str, temporal: Any) -> GateHarness:
    return GateHarness(database_url, temporal.client)


async def orders(shop: GateHarness, number: str, traits: dict[str, Any] | None = None, **who: Any) -> UUID:
    """An order comes in; returns the run of its confirmation."""
    at = DEFAULT_START - who.pop("ago", 0) * HOUR
    await shop.takes("Order Completed", shop.order("lamp", order_id=number), traits=traits, time=at, **who)
    return await run_of(shop, number)


async def run_of(shop: GateHarness, key: str) -> UUID:
    [run] = await shop.fetch_rows("SELECT run_id FROM run WHERE key = $1 ORDER BY entered_at LIMIT 1", key)
    found: UUID = run["run_id"]
    return found


def confirmation(run_id: UUID, *, channel: Channel = Channel.EMAIL, step: str = "confirm") -> SendMessage:
    return SendMessage(
        run_id=str(run_id),
        step=step,
        journey="post-purchase",
        template="order_confirmation",
        channel=channel,
        promoting=None,
        expires_at=DEFAULT_START + timedelta(days=2),
    )


async def confirmed(shop: GateHarness, run_id: UUID, channel: Channel = Channel.EMAIL) -> Any:
    await shop.sends(confirmation(run_id, channel=channel))
    [message] = shop.ledgers[channel].accepted
    return message


# Rows: what came before, the event of the order, to whom its confirmation goes, the name in it. Seen with
# families and offices with one phone, guests who mistype an address, and shops that sell over the telephone.
ORDERS = [
    pytest.param([(A, ADA), (B, BOB)], (A, {}), "a@example.com", "Ada", id="two guests with one phone"),
    pytest.param([(A, ADA), (B, BOB)], (B, {}), "b@example.com", "Bob", id="the other of them"),
    pytest.param([(A, {}), (B, BOB)], (A, {}), "a@example.com", None, id="the other one's name is not known"),
    pytest.param([(A, ADA), (B, BOB)], (A, AL), "a@example.com", "Al", id="a name of its own"),
    pytest.param([(B, BOB)], (A, {"first_name": "FNAME"}), "a@example.com", None, id="a name that is none"),
    pytest.param(
        [({"user_id": "7", **A}, ADA), ({"user_id": "7", "email": "b@example.com"}, {})],
        ({"user_id": "7", "email": "b@example.com"}, {}),
        "b@example.com",
        "Ada",
        id="one account with two addresses has one name",
    ),
    pytest.param(
        [({"user_id": "7", **A}, {**ADA, "email": "a@example.com"}), ({"user_id": "7", **B}, {})],
        ({"user_id": "7"}, {}),
        "a@example.com",
        "Ada",
        id="an order by account alone: the preferred address",
    ),
    pytest.param([(A, ADA), (B, BOB)], ({"phone": PHONE}, {}), "b@example.com", "Bob", id="by phone"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "order", "address", "name"), ORDERS)
async def test_a_confirmation_goes_to_the_address_of_its_order(
    shop: GateHarness, before: list[Any], order: Any, address: str, name: str | None
) -> None:
    async with shop:
        for hours, (who, traits) in enumerate(before):
            number = f"before-{hours}"
            await orders(shop, number, traits, ago=9 - hours, **who)
        who, traits = order
        message = await confirmed(shop, await orders(shop, "o-1", traits, **who))

    assert message.to == address
    greetings = {each for each in ("Ada", "Bob", "Al") if f"Thank you, {each}" in message.content.text}
    assert greetings == ({name} if name else set())


async def test_a_text_message_goes_to_the_number_of_its_order(shop: GateHarness) -> None:
    async with shop:
        yes = {"consents": {"sms": True}}
        first = {"email": "a@example.com", "phone": PHONE}
        second = {"email": "a@example.com", "phone": OTHER_PHONE}
        run_id = await orders(shop, "o-1", {**ADA, **yes}, ago=2, **first)
        await orders(shop, "o-2", {**BOB, **yes}, ago=1, **second)
        message = await confirmed(shop, run_id, Channel.SMS)

    assert message.to == PHONE


async def test_an_order_of_before_a_merge_keeps_its_address(shop: GateHarness) -> None:
    async with shop:
        run_id = await orders(shop, "o-1", ADA, email="a@example.com", ago=3)
        await orders(shop, "o-2", BOB, email="b@example.com", ago=2)
        await shop.takes("Product Viewed", {}, user_id="7", email="a@example.com")
        await shop.takes("Product Viewed", {}, user_id="7", email="b@example.com")
        people = await shop.fetch_rows("SELECT DISTINCT profile_id FROM identifier")
        message = await confirmed(shop, run_id)

    assert len(people) == 1
    assert message.to == "a@example.com"
    assert "Thank you, Ada" in message.content.text


async def test_an_address_that_left_the_profile_is_not_written_to(shop: GateHarness) -> None:
    """As after a split: the account stays, the address is another person's."""
    async with shop:
        run_id = await orders(shop, "o-1", user_id="7", email="a@example.com")
        await shop.takes("Product Viewed", {}, user_id="7", email="b@example.com")
        await shop.takes("Product Viewed", {}, email="c@example.com")
        await shop.fetch_rows(
            "UPDATE identifier SET profile_id = (SELECT profile_id FROM identifier "
            "WHERE value = 'c@example.com') WHERE value = 'a@example.com' RETURNING value"
        )
        message = await confirmed(shop, run_id)

    assert message.to == "b@example.com"


# Rows: the consents of a@ and of b@ in this order, the address in the cart, and to whom its reminder goes.
MARKETING = [
    pytest.param([(A, MAIL_YES), (B, {})], A, "a@example.com", id="the cart's address consented"),
    pytest.param([(A, {}), (B, MAIL_YES)], A, "b@example.com", id="the other one did"),
    pytest.param([(A, MAIL_YES), (B, MAIL_YES)], A, "a@example.com", id="both did"),
    pytest.param([(A, MAIL_YES), (B, MAIL_YES)], {"phone": PHONE}, "b@example.com", id="both: the latest"),
    pytest.param([(B, MAIL_YES), (A, {})], {"phone": PHONE}, "b@example.com", id="the newest did not"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "cart", "address"), MARKETING)
async def test_marketing_goes_to_an_address_that_consented(
    shop: GateHarness, before: list[Any], cart: dict[str, str], address: str
) -> None:
    async with shop:
        for hours, (who, traits) in enumerate(before):
            at = DEFAULT_START - (9 - hours) * HOUR
            await shop.takes("Profile Updated", {}, traits=traits, time=at, **who)
        lamp = {"product_id": "lamp", "name": "Lamp", "cart_id": "c-1"}
        await shop.takes("Product Added", lamp, time=DEFAULT_START - HOUR, **cart)
        await shop.sends(shop.ask(await run_of(shop, "c-1"), "reminder", "lamp"))
        [message] = shop.ledgers[Channel.EMAIL].accepted

    assert message.to == address


async def test_a_cart_that_was_anonymous_at_first_is_for_the_address_at_its_checkout(
    shop: GateHarness,
) -> None:
    async with shop:
        await shop.takes("Profile Updated", {}, traits=MAIL_YES, **A)
        await shop.takes("Profile Updated", {}, traits=MAIL_YES, **B)
        lamp = {"product_id": "lamp", "name": "Lamp", "cart_id": "c-1"}
        await shop.takes("Product Added", lamp, phone=PHONE)
        await shop.takes("Checkout Started", {"cart_id": "c-1", "products": [lamp]}, **A)
        await shop.sends(shop.ask(await run_of(shop, "c-1"), "reminder", "lamp"))
        [message] = shop.ledgers[Channel.EMAIL].accepted

    assert message.to == "a@example.com"


@pytest.mark.parametrize(("opted_out", "expected"), [(A, "withheld"), (B, "sent")], ids=["its own", "other"])
async def test_the_opt_out_that_counts_is_that_of_the_address_written_to(
    shop: GateHarness, opted_out: dict[str, str], expected: str
) -> None:
    async with shop:
        await shop.takes("Profile Updated", {}, traits=MAIL_YES, **A)
        await shop.takes("Profile Updated", {}, traits=MAIL_YES, **B)
        lamp = {"product_id": "lamp", "name": "Lamp", "cart_id": "c-1"}
        await shop.takes("Product Added", lamp, time=DEFAULT_START - HOUR, **A)
        async with shop.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO opt_out (channel, address, topic, source, state, time, at) "
                "VALUES ('email', $1, 'all', 'page', 'withdrawn', now(), now())",
                opted_out["email"],
            )
        run_id = await run_of(shop, "c-1")
        result = await shop.sends(shop.ask(run_id, "reminder", "lamp"))
        stored = await shop.message(run_id, "reminder")

    assert result.status.value == expected
    assert stored["address"] == "a@example.com"
    assert stored["reason"] == ("opted_out" if expected == "withheld" else None)


@pytest.mark.parametrize(("bounced", "expected"), [(A, "withheld"), (B, "sent")], ids=["its own", "other"])
async def test_the_bounce_that_counts_is_that_of_the_address_written_to(
    shop: GateHarness, bounced: dict[str, str], expected: str
) -> None:
    async with shop:
        await orders(shop, "o-9", BOB, ago=4, **B)
        run_id = await orders(shop, "o-1", **A)
        async with shop.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO address_problem (channel, address, problem, at) "
                "VALUES ('email', $1, 'complained', now())",
                bounced["email"],
            )
        result = await shop.sends(confirmation(run_id))

    assert result.status.value == expected
