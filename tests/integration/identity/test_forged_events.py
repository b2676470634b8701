"""What else a public key might try: others' places, refunds, checkouts, messages, products, addresses."""

from typing import Any

import pytest

from profiles.identity.identifiers import STRONG_TYPES
from tests.support.environments.api import SERVER, SERVER_KEYS, OpenApi
from tests.support.environments.ingest import LAMP, IngestHarness
from tests.support.generators.forged_events import Victim, lost, people, says, standing, told

API_SETTINGS = SERVER_KEYS

ADA = Victim(0)

SALE = {"order_id": "r-871", "products": [LAMP]}

TILL = {"id": "871", "type": "Order Completed", "source": "pos/berlin-3", "properties": SALE,
        "identifiers": {"loyalty_id": "L-0"}}  # fmt: skip


async def sends(api: OpenApi, event: dict[str, Any], *, server: bool = False) -> str:
    """What became of one event."""
    [status] = await told(api, [("/v1/events", event)], headers=SERVER if server else None)
    return status


async def test_who_read_a_mail_of_their_own_is_not_therefore_whomever_they_name(api: OpenApi) -> None:
    await ADA.speaks(api)
    before = await standing(api, ADA)
    mine = {"email": "mallory@example.net"}
    await says(api, "1", "Product Added", identifiers=mine, properties={"cart_id": "c-m", **LAMP})
    facts = IngestHarness(api.doors.database)
    run = (await facts.runs())[-1]
    message_id = str(await facts.sent(run["run_id"], mine["email"]))
    for kind in STRONG_TYPES:
        click: dict[str, Any] = {
            "identifiers": {kind: ADA.known[kind]},
            "properties": {"message_id": message_id},
        }
        await says(api, kind, "Message Clicked", **click)

    assert lost(before, await standing(api, ADA)) == set()
    assert ["email:mallory@example.net"] in await people(api)


async def test_a_page_undoes_no_sale_of_the_shop_but_its_own(api: OpenApi) -> None:
    await ADA.speaks(api)
    await says(api, "sold", "Order Completed", server=True, identifiers=ADA.known, properties=SALE)
    other = {"order_id": "web-1", "products": [{"product_id": "chair"}]}
    await says(api, "web", "Order Completed", identifiers={"user_id": "u-0"}, properties=other)
    facts = IngestHarness(api.doors.database)
    before = await facts.suppressed("user_id", "u-0")
    for order_id in ("r-871", "web-1"):
        undone: dict[str, Any] = {
            "identifiers": {"email": ADA.known["email"]},
            "properties": {"order_id": order_id},
        }
        await says(api, f"undo-{order_id}", "Order Cancelled", **undone)
    forged = await facts.suppressed("user_id", "u-0")
    await says(
        api, "back", "Order Refunded", server=True, identifiers=ADA.known, properties={"order_id": "r-871"}
    )

    assert before == ["chair", "lamp"]
    assert forged == ["lamp"]
    assert await facts.suppressed("user_id", "u-0") == []


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", ["Checkout Started", "Order Completed"])
async def test_a_checkout_that_a_page_tells_of_is_no_leave_to_write(
    api: OpenApi, name: str, first: bool
) -> None:
    checkout: dict[str, Any] = {
        "identifiers": {"email": ADA.known["email"]},
        "properties": {"order_id": "o", "products": [LAMP]},
    }
    if first:
        await says(api, "forged", name, **checkout)
    await ADA.speaks(api)
    if not first:
        await says(api, "forged", name, **checkout)
    forged = (await standing(api, ADA)).consented["email"]
    await says(api, "true", name, server=True, **checkout)

    assert forged == ["no_consent"]
    assert (await standing(api, ADA)).consented["email"] == []


async def test_a_page_does_not_choose_among_a_customers_addresses(api: OpenApi) -> None:
    cart = {"cart_id": "c-0", **LAMP}
    await says(
        api,
        "1",
        server=True,
        identifiers={"user_id": "u-0", "email": "old@example.com"},
        time="2026-01-01T00:00:00Z",
    )
    newer = {"user_id": "u-0", "email": "new@example.com"}
    await says(api, "2", "Product Added", server=True, identifiers=newer, properties=cart)
    before = await standing(api, ADA)
    await says(api, "3", identifiers={"email": "new@example.com"}, time="2001-01-01T00:00:00Z")
    await says(api, "4", identifiers={"user_id": "u-0"}, traits={"email": "old@example.com"})

    assert before.diverted["email"] == "new@example.com"
    assert lost(before, await standing(api, ADA)) <= {"rewritten"}


async def test_a_page_changes_no_product_that_the_shops_feed_tells_of(api: OpenApi) -> None:
    good = {"product_id": "lamp", "name": "Lamp", "url": "https://shop.example/lamp", "in_stock": True}
    evil = {"product_id": "lamp", "name": "You won", "url": "https://evil.example", "in_stock": False}
    await says(api, "1", "Product Updated", properties=evil)
    await says(api, "2", "Product Updated", server=True, properties=good, time="2026-01-01T00:00:00Z")
    await says(api, "3", "Product Updated", properties=evil)
    [kept] = await api.rows("SELECT name, url, in_stock FROM product")

    assert tuple(kept) == ("Lamp", "https://shop.example/lamp", True)


async def test_an_address_that_only_made_up_users_share_is_the_customers_once_the_shop_says_so(
    api: OpenApi,
) -> None:
    for kind in ("loyalty_id", "email", "phone"):
        crowd = [
            {
                "id": f"{kind}-{n}",
                "type": "X",
                "identifiers": {"user_id": f"made-up-{kind}-{n}", kind: ADA.known[kind]},
            }
            for n in range(12)
        ]
        await told(api, [("/v1/events", {"events": crowd})])
    [taken] = await api.rows("SELECT count(*) AS count FROM identifier WHERE status = 'quarantined'")
    await ADA.speaks(api)
    found = await standing(api, ADA)

    assert taken["count"] == 4
    assert found.merged == ADA.keys
    assert found.taken_away == ()
