"""An address that only a page has named is asked, and gets nothing else until its owner says yes."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from api.routes.opt_in import CONFIRMATION_METHOD
from authoring.testing.environment import Row, Waypost
from journeys.vocabulary import hours
from local.temporal_server import TemporalDevServer
from profiles.sweeps.opt_in_requests import OPT_IN_SOURCE, OptInRules, sweep_opt_in_requests

LURE = "Bitcoin x10, see evil.example"

MAIL = {"email": "victim@example.com"}

LAMP = {
    "product_id": "lamp",
    "name": LURE,
    "price": 39.0,
    "cart_id": "c-1",
    "image_url": "https://evil.example/x.png",
}

TRAITS = {"first_name": LURE, "locale": "en", "consents": {"email": True}}


class Page(Waypost):
    """Waypost, with a page that sends to it with the public key."""

    async def sends(self, name: str, properties: Row | None = None, **more: Any) -> None:
        await self.ingest([replace(self.build_event(name, properties, **more), verified=False)])
        await self.deliver_outbox()

    async def asks(self) -> Row:
        """Run the sweep and wait for the message."""
        rules = OptInRules(("email", "sms"))
        assert await sweep_opt_in_requests(self.database, self.ingest, rules=rules) == 1
        await self.deliver_outbox()
        [message] = await self.wait_for_rows("SELECT * FROM message WHERE template = 'confirm_opt_in'")
        return message


@pytest_asyncio.fixture(loop_scope="session")
async def page(database_url: str, temporal: TemporalDevServer) -> AsyncIterator[Page]:
    async with Page(database_url, temporal.client) as waypost:
        yield waypost


async def test_the_message_holds_a_link_and_not_a_word_of_the_sender(page: Page) -> None:
    await page.sends("Checkout Started", {**LAMP, "products": [LAMP]}, traits=TRAITS, **MAIL)
    run = await page.asks()
    await page.run_result(await page.run("double-opt-in"))
    [mail] = await page.fetch_rows("SELECT s.*, s::text AS shown FROM sandbox_message s")

    assert (run["message_class"], run["address"]) == ("transactional", MAIL["email"])
    assert re.search(r"/opt-in/1\.[\w-]+\.[\w-]+", mail["shown"])
    assert "evil" not in mail["shown"]
    assert "Bitcoin" not in mail["shown"]


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_cart_reminder_waits_for_the_owner(page: Page, confirmed: bool) -> None:
    await page.sends("Product Added", LAMP, traits=TRAITS, **MAIL)
    cart = await page.run("cart-abandonment")
    await page.asks()
    if confirmed:
        granted = {"channel": "email", "topic": "marketing", "state": "granted"}
        more = {"source": OPT_IN_SOURCE, **MAIL}
        await page.ingest_event("Consent Changed", {**granted, "method": CONFIRMATION_METHOD}, **more)
    await page.advance_run(cart, hours(3))
    [reminder] = await page.wait_for_rows(
        "SELECT d.verdict, d.reason, d.detail FROM decision d WHERE template = 'cart_reminder'"
    )

    assert confirmed == (reminder["verdict"] == "allow")
    if not confirmed:
        assert reminder["reason"] == "no_consent"
        assert "granted by a page only; not confirmed" in reminder["detail"]
