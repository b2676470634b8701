"""Take the pictures in docs/images: a local stack with a little traffic, seen through headless Chromium."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Browser, Page, async_playwright

from api.d2 import DrawingError
from api.identity_diagram.svg import svg as picture_of
from authoring.graph.reader import flow_of
from authoring.graph.svg import svg
from journeys.registry import load_journeys
from local.stack import ADMIN_KEY, LocalStack
from local.time_travel import fast_forward
from tests.support.builders.identities import ada

IMAGES = Path(__file__).parent / "images"
LARGEST = 300_000
"""Bytes a picture may have: a README should load at once."""

WITHIN_S = 30.0
COLUMNS = ("Status", "Type", "JourneyKey", "CustomerId", "Start")
"""Columns of the list of runs, set as an operator would by "Configure Columns"."""

GRAPHS = ("graph-cart-abandonment.svg", "graph-post-purchase.svg", "graph-win-back.svg")
"""Drawn from the journeys' code alone, as ``waypost graph`` does."""

MIDDAY = (datetime.now(UTC) + timedelta(days=1)).replace(hour=11, minute=20, second=0, microsecond=0)
"""Tomorrow, so that the pictures show the same hours whenever they are taken."""

LAMP = {"product_id": "lamp", "name": "Aria lamp", "price": 39.0}
CHAIR = {"product_id": "chair", "name": "Oslo chair", "variant": "Oak", "price": 99.0}
VASE = {"product_id": "vase", "name": "Mora vase", "price": 24.0}
RUG = {"product_id": "rug", "name": "Tana rug", "price": 149.0}

Row = dict[str, Any]


@dataclass(slots=True)
class Shop:
    """A shop whose customers do a few things."""

    stack: LocalStack
    client: httpx2.AsyncClient
    events: int = 0

    async def happens(
        self,
        name: str,
        who: str,
        properties: Row,
        *,
        after: timedelta = timedelta(),
        channel: str = "web",
        agrees: bool = True,
    ) -> None:
        """One event of one person, so long after midday; with a yes to all channels, or no word on them."""
        self.events += 1
        answer = await self.client.post(
            "/v1/events",
            json={
                "id": f"shop-{self.events}",
                "type": name,
                "source": "pos/berlin-3" if channel == "store" else "shop",
                "channel": channel,
                "time": (MIDDAY + after).isoformat(),
                "identifiers": {"email": f"{who.lower()}@example.com"},
                "traits": {
                    "first_name": who,
                    "timezone": "Europe/Berlin",
                    **({"consents": {"email": True, "sms": True, "ads": True}} if agrees else {}),
                },
                "properties": properties,
            },
        )
        if answer.is_error:
            raise RuntimeError(f"{name} was refused: {answer.text}")

    async def run(self, journey: str, key: str = "") -> Row:
        """The run of a journey and key, once Temporal has it."""

        async def found() -> Row | None:
            runs = (await self.client.get(f"/v1/journeys/{journey}/runs")).json()["runs"]
            return next((r for r in runs if key in ("", r["key"]) and r["temporal_run_id"]), None)

        return await eventually(found, f"a run of {journey} {key}")

    async def settled(self, journey: str, key: str, words: str) -> Row:
        """All about a run, once it says these words of itself."""
        run_id = (await self.run(journey, key))["run_id"]

        async def found() -> Row | None:
            run: Row = (await self.client.get(f"/v1/runs/{run_id}")).json()
            said = (run["waiting"]["details"] or "") + run["waiting"]["note"]
            return run if words in said else None

        return await eventually(found, f"{words!r} from {journey} {key}")

    async def passes(self, journey: str, key: str, length: timedelta) -> None:
        """Let time pass for one run."""
        run = await self.run(journey, key)
        await fast_forward(self.stack.temporal.client, run["workflow_id"], length)


async def eventually(look: Callable[[], Awaitable[Row | None]], what: str) -> Row:
    """What ``look`` finds, asked until it finds something. Raises ``TimeoutError`` saying what was sought."""
    deadline = asyncio.get_running_loop().time() + WITHIN_S
    while (found := await look()) is None:
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"{what}: not seen within {WITHIN_S:.0f} s")
        await asyncio.sleep(0.1)
    return found


async def tell(shop: Shop) -> tuple[Row, Row]:
    """The traffic: a cart left behind, one bought in the store, an order on its way, a customer long gone.

    Returns (a run that waits, a run that has ended).
    """
    await shop.happens("Product Added", "Ada", LAMP | {"cart_id": "cart-7001"})
    await shop.happens("Product Added", "Ada", CHAIR | {"cart_id": "cart-7001"}, after=timedelta(minutes=4))
    await shop.happens("Product Added", "Grace", RUG | {"cart_id": "cart-7002"})
    await shop.happens("Product Added", "Edsger", LAMP | {"cart_id": "cart-7003"})
    order = {"order_id": "order-5001", "total": 138.0, "currency": "EUR", "products": [LAMP, CHAIR]}
    await shop.happens("Order Completed", "Barbara", order)
    await shop.happens("Customer Lapsed", "Alan", {"days_since_order": 94}, channel="server")
    await shop.settled("cart-abandonment", "cart-7001", "Product Added: chair")
    for key in ("cart-7001", "cart-7002"):
        await shop.passes("cart-abandonment", key, timedelta(hours=2))
        await shop.settled("cart-abandonment", key, "Waiting for Message Clicked")
    receipt = {"order_id": "receipt-88", "total": 149.0, "products": [RUG]}
    await shop.happens("Order Completed", "Grace", receipt, after=timedelta(hours=3), channel="store")
    ended = await shop.settled("cart-abandonment", "cart-7002", "it ended (bought)")
    await shop.settled("post-purchase", "order-5001", "Waiting for Order Delivered")
    return await shop.settled("cart-abandonment", "cart-7001", "Waiting for Message Clicked"), ended


async def tell_of_mary(shop: Shop) -> None:
    """A day of somebody of whom an operator may well ask why: reminded twice, capped, silent by SMS, and then
    found out to have bought it in the store."""
    await left_behind(shop, "cart-8001", CHAIR, timedelta())
    await left_behind(shop, "cart-8002", RUG, timedelta(minutes=25))
    await left_behind(shop, "cart-8003", VASE, timedelta(hours=2))
    stop = {"channel": "sms", "topic": "marketing", "state": "withdrawn", "source": "preference page"}
    await shop.happens("Consent Changed", "Mary", stop, after=timedelta(hours=4), agrees=False)
    receipt = {"order_id": "receipt-91", "total": 39.0, "products": [LAMP]}
    given: Row = {"channel": "store", "agrees": False}
    await shop.happens("Order Completed", "Mary", receipt, after=timedelta(hours=5), **given)
    await left_behind(shop, "cart-8004", LAMP, timedelta(hours=6), channel="mobile")


async def left_behind(shop: Shop, cart_id: str, line: Row, after: timedelta, *, channel: str = "web") -> None:
    """A cart of Mary's, until its reminder was decided on."""
    given: Row = {"after": after, "channel": channel, "agrees": not after}
    await shop.happens("Product Added", "Mary", line | {"cart_id": cart_id}, **given)
    await shop.settled("cart-abandonment", cart_id, "Product Added")
    await shop.passes("cart-abandonment", cart_id, timedelta(minutes=61))

    async def decided() -> Row | None:
        found = (await shop.client.get("/v1/profiles/email/mary@example.com/decisions")).json()["decisions"]
        about = [one for one in found if line["product_id"] in one["items"]]
        return about[0] if about else None

    await eventually(decided, f"a decision on {cart_id}")


@asynccontextmanager
async def desk(browser: Browser, width: int, height: int, address: str) -> AsyncIterator[Page]:
    """A page in a window of this size, on which Temporal's list of runs has our columns."""
    context = await browser.new_context(
        viewport={"width": width, "height": height}, timezone_id="UTC", color_scheme="light"
    )
    columns = json.dumps({"default": [{"label": label} for label in COLUMNS]})
    await context.add_init_script(
        f"localStorage.setItem('namespace-workflow-table-columns', {json.dumps(columns)})"
    )
    page = await context.new_page()
    await page.goto(address)
    yield page
    await context.close()


async def take(page: Page, name: str) -> None:
    """Keep what the page shows. Raises ``ValueError`` for a picture over ``LARGEST`` bytes."""
    size = len(await page.screenshot(path=IMAGES / name, animations="disabled"))
    if size > LARGEST:
        raise ValueError(f"{name} has {size:,} bytes, at most {LARGEST:,} are wanted: a smaller window")
    print(f"docs/images/{name}: {size // 1000} kB")


async def take_temporal(browser: Browser, stack: LocalStack, waiting: Row, ended: Row) -> None:
    """What an operator sees: the runs, one that waits, one that has ended."""
    async with desk(browser, 1700, 620, f"{stack.ui_url}/namespaces/default/workflows") as page:
        await page.get_by_text("cart-7003", exact=True).first.wait_for()
        await take(page, "temporal-runs.png")
        await page.set_viewport_size({"width": 1500, "height": 860})
        for run, words, name in (
            (waiting, "Waiting for Message Clicked", "temporal-waiting.png"),
            (ended, "Ended: bought", "temporal-ended.png"),
        ):
            await page.goto(run["temporal_url"].replace("/history", "/user-metadata"))
            # Details are Markdown, shown in frames of their own; the current ones are the last.
            await page.locator("iframe").last.content_frame.get_by_text(words).wait_for()
            await take(page, name)


async def take_mail(browser: Browser, stack: LocalStack, message_id: str) -> None:
    """One mail on a phone and at a desk, the mailbox around it, and the page behind its way out."""
    for width in (360, 1200):
        async with desk(browser, width, 860, f"{stack.api_url}/sandbox/{message_id}") as page:
            html = await page.locator("iframe:visible").first.get_attribute("srcdoc")
            way_out = page.frame_locator("iframe:visible").first.get_by_text("Unsubscribe", exact=True)
            link = await way_out.get_attribute("href")
            if width == 1200:
                await take(page, "sandbox.png")
                await page.set_viewport_size({"width": 1200, "height": 560})
                await page.goto(str(link))
                await take(page, "unsubscribe.png")
            # The mail alone, on a page without the mailbox's own rules.
            mail = await page.context.new_page()
            await mail.set_content(str(html))
            await take(mail, f"mail-{width}.png")


async def take_why(browser: Browser, stack: LocalStack) -> None:
    """Why somebody did not get something, at a desk and on a phone."""
    for width, height, name in ((1200, 1150, "why-desk.png"), (360, 860, "why-phone.png")):
        async with desk(browser, width, height, f"{stack.api_url}/why/email/mary@example.com") as page:
            await page.get_by_text("had been bought").first.wait_for()
            await take(page, name)


def draw() -> None:
    """The flow of each shipped journey, and a person's identifiers and what joined them."""
    journeys = load_journeys()
    for name in GRAPHS:
        journey = name.removeprefix("graph-").removesuffix(".svg")
        (IMAGES / name).write_text(svg(flow_of(journeys[journey])), "utf-8")
    (IMAGES / "identity.svg").write_text(picture_of(ada()), "utf-8")


def chromium() -> str:
    """Where Chromium is. Without one, exits with how to get it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        sys.exit("no Chromium to take pictures with: apt-get install chromium")
    return found


async def main() -> None:
    """Start a stack in a folder of its own, let the shop trade, take every picture."""
    executable = chromium()
    # Chromium's own sandbox does not work for root, as which containers often run.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    IMAGES.mkdir(exist_ok=True)
    draw()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            LocalStack(Path(folder)) as stack,
            httpx2.AsyncClient(base_url=stack.api_url, auth=(ADMIN_KEY, "")) as client,
            async_playwright() as player,
        ):
            shop = Shop(stack, client)
            waiting, ended = await tell(shop)
            browser = await player.chromium.launch(executable_path=executable, args=arguments)
            await take_temporal(browser, stack, waiting, ended)
            [reminder] = [m for m in waiting["messages"] if m["template"] == "cart_reminder"]
            await take_mail(browser, stack, reminder["message_id"])
            await tell_of_mary(shop)
            await take_why(browser, stack)
            await browser.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except DrawingError as error:
        sys.exit(str(error))
