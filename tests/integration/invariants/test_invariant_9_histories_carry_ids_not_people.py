"""Histories carry ids, not people: nothing personal reaches the files of a Temporal server."""

from datetime import timedelta
from pathlib import Path

import pytest

from authoring.testing.environment import Waypost
from local.temporal_server import TemporalDevServer
from profiles.db.database import Database
from tests.integration.ingest.test_routing import ADA, IN_CART
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, PEOPLE, IngestHarness, RoutedJourney

JOURNEYS = (CARTS, PEOPLE)

EMAIL, PHONE, NAME = "zephyrine.okonkwo@canary.example", "+4915198765432", "Zephyrine"

CANARY_LAMP = {"product_id": "canary-lamp", "name": "Aria lamp", "price": 39.0, "cart_id": "canary-cart"}

WHO = {"email": EMAIL, "phone": PHONE}

TRAITS = {
    "consents": {"email": True, "sms": True, "ads": True},
    "timezone": "Europe/Berlin", "first_name": NAME, "email": EMAIL, "phone": PHONE,
}  # fmt: skip


async def all_three_journeys(waypost: Waypost) -> list[str]:
    """One person goes through every shipped journey, saying who they are wherever they can."""
    chatty = {"customer_email": EMAIL, "coupon": NAME, "url": f"https://shop.example/?for={EMAIL}"}
    await waypost.ingest_event(
        "Product Added", CANARY_LAMP | chatty | {"variant": EMAIL}, traits=TRAITS, **WHO
    )
    cart = await waypost.run("cart-abandonment")
    await waypost.advance_run(cart, timedelta(hours=2))
    [reminder] = [m for m in await waypost.messages() if m["template"] == "cart_reminder"]
    await waypost.ingest_event("Message Opened", {"message_id": str(reminder["message_id"]), "email": EMAIL})
    await waypost.advance_run(cart, timedelta(days=4))
    order = {"order_id": "canary-order", "products": [CANARY_LAMP | {"sku": EMAIL}], "email": EMAIL}
    await waypost.ingest_event("Order Completed", order | chatty, traits=TRAITS, **WHO)
    await waypost.advance_run(await waypost.run("post-purchase"), timedelta(days=30))
    await waypost.ingest_event(
        "Customer Lapsed", {"days_since_order": 99, "email": EMAIL}, traits=TRAITS, **WHO
    )
    await waypost.advance_run(await waypost.run("win-back"), timedelta(days=40))
    return [
        str((await waypost.run_result(run)).outcome)
        for run in await waypost.fetch_rows("SELECT * FROM run ORDER BY run_id")
    ]


def files_of(folder: Path) -> bytes:
    """All that the server has written, its log of late writes included."""
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())


async def test_no_address_and_no_name_is_in_any_file_of_a_temporal_server(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("temporal")
    server = TemporalDevServer(folder / "runs.db")
    async with server, Waypost(database_url, server.client) as waypost:
        outcomes = await all_three_journeys(waypost)
        [cart] = await waypost.fetch_rows("SELECT * FROM run WHERE journey = 'cart-abandonment'")
        mails = [mail["text"] for mail in await waypost.sandbox_messages()]
    written = files_of(folder)

    assert outcomes == ["nudged", "completed", "sunset"]
    assert any(NAME in mail for mail in mails), "no message was personal, so nothing was proved"
    # What the files do hold is legible: keys, ids, items and signal names are found in clear.
    for known in (
        cart["workflow_id"],
        str(cart["profile_id"]),
        "canary-cart",
        "Aria lamp",
        "Order Completed",
    ):
        assert known.encode() in written, f"{known} is not found, so the search proves nothing"
    for canary in (EMAIL, "canary.example", PHONE, PHONE[1:], NAME, "okonkwo", "Shall we stop writing"):
        assert canary.encode() not in written
        assert canary.lower().encode() not in written.lower()


@pytest.mark.parametrize(
    "value",
    [
        *(
            "ada@example.com",
            "+49 151 12345678",
            "x" * 201,
            "a\x07b",
            "ada%2540example.com",
            "ada＠example.com",
        ),
        *("%2B4915112345678", "004915112345678", "＋４９１５１１２３４５６７８", "tel:015112345678"),
        *("YWRhQGV4YW1wbGUuY29t", "ada(at)example.com"),
    ],
)
async def test_a_key_that_reads_as_a_person_is_refused_and_the_event_kept(
    database: Database, value: str
) -> None:
    by_value = RoutedJourney(name="by-value", starts=("Ticket Opened",), listens=(), key_property="ticket_id")
    facts = IngestHarness(database, by_value)
    answer = await facts.happens("Ticket Opened", {"ticket_id": value}, email=ADA)

    assert answer.status.value == "accepted"
    assert len(await facts.problems(answer.event_id)) == 1
    assert await facts.runs() == []


async def test_nobodys_address_reaches_the_outbox(facts: IngestHarness) -> None:
    named = {
        "name": f"Lamp for {ADA}",
        "url": "https://x.org/?m=ada%40example.com",
        "brand": "call +49 151 12345678",
        "coupon": "ada%2540example.com",
        "category": "0049 151 12345678",
    }
    await facts.happens(
        "Product Added", IN_CART | named | {"email": ADA, "note": ADA}, traits={"email": ADA}, email=ADA
    )
    products = [LAMP | named, CHAIR | {"variant": ADA, "image_url": "https://cdn.x.org/chair@2x.png"}]
    await facts.happens(
        "Order Completed", {"order_id": "o", "products": products}, email=ADA, phone="+4915112345678"
    )

    payloads = " ".join(await facts.values("SELECT payload::text FROM outbox"))
    # Not "ada" alone, which the hexadecimal digits of an id may contain.
    assert [part for part in ("ada@", "ada%", "example.com") if part in payloads.lower()] == []
    assert "12345678" not in payloads
    assert "chair@2x.png" in payloads
    assert await facts.values(
        "SELECT workflow_id LIKE '%ada@%' OR workflow_id LIKE '%example%' FROM run"
    ) == [False, False]
