"""The cart journey, told on virtual time: what a shopper does, and what reaches them."""

from datetime import timedelta

from tests.waypost import Waypost

LAMP = {"product_id": "lamp", "name": "Aria lamp", "price": 39.0, "cart_id": "c-1"}
CHAIR = {"product_id": "chair", "name": "Oslo chair", "price": 99.0, "cart_id": "c-1"}
ADA = {"email": "ada@example.com", "phone": "+4915112345678"}
YES = {
    "consents": {"email": True, "sms": True, "ads": True},
    "timezone": "Europe/Berlin",
    "first_name": "Ada",
}


async def test_a_cart_left_behind_is_reminded_of_by_mail_and_then_by_sms(waypost: Waypost) -> None:
    await waypost.happens("Product Added", LAMP, traits=YES, **ADA)
    run = await waypost.run("cart-abandonment")
    await waypost.passes(run, timedelta(days=3))

    assert (await waypost.result(run)).outcome == "nudged"
    sent = [(m["template"], m["channel"], m["items"], m["status"]) for m in await waypost.messages()]
    assert sent == [
        ("cart_reminder", "email", ["lamp"], "sent"),
        ("left-in-cart", "ads", ["lamp"], "sent"),
        ("cart_offer", "sms", ["lamp"], "sent"),
    ]


async def test_what_was_bought_in_the_store_ends_the_wait_at_once(waypost: Waypost) -> None:
    await waypost.happens("Product Added", LAMP, traits=YES, **ADA)
    run = await waypost.run("cart-abandonment")
    await waypost.passes(run, timedelta(hours=2))
    receipt = {"order_id": "receipt-7", "products": [{"product_id": "lamp", "sku": "lamp-red"}]}
    await waypost.happens("Order Completed", receipt, channel="store", source="pos/1", email=ADA["email"])

    assert (await waypost.result(run)).outcome == "bought"
    assert [m["template"] for m in await waypost.messages() if m["journey"] == "cart-abandonment"] == [
        "cart_reminder",
        "left-in-cart",
    ]
    row = await waypost.run("cart-abandonment")
    assert (row["state"], row["outcome"]) == ("ended", "bought")


async def test_a_cart_shrinks_to_what_is_left(waypost: Waypost) -> None:
    await waypost.happens("Product Added", LAMP, traits=YES, **ADA)
    await waypost.happens("Product Added", CHAIR, **ADA)
    run = await waypost.run("cart-abandonment")
    order = {"order_id": "o-1", "products": [LAMP | {"cart_id": None}]}
    await waypost.happens("Order Completed", order, **ADA)
    await waypost.passes(run, timedelta(hours=2))

    [reminder] = [m for m in await waypost.messages() if m["template"] == "cart_reminder"]
    assert reminder["items"] == ["chair"]
    [mail] = [m for m in await waypost.mailbox() if m["message_id"] == reminder["message_id"]]
    assert "Oslo chair" in mail["html"]
    assert "Aria lamp" not in mail["html"]


async def test_a_click_on_the_reminder_ends_the_story_as_engaged(waypost: Waypost) -> None:
    await waypost.happens("Product Added", LAMP, traits=YES, **ADA)
    run = await waypost.run("cart-abandonment")
    await waypost.passes(run, timedelta(hours=2))
    [reminder] = [m for m in await waypost.messages() if m["template"] == "cart_reminder"]
    await waypost.happens("Message Clicked", {"message_id": str(reminder["message_id"])})

    assert (await waypost.result(run)).outcome == "engaged"
    [reminder] = [m for m in await waypost.messages() if m["template"] == "cart_reminder"]
    assert reminder["status"] == "clicked"
