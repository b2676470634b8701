"""Stories that reach out of their run, or take their steps in no order of their own."""

import os
import random
import secrets
import threading
import time as clock
import urllib.request
import uuid
from asyncio import sleep as nap
from datetime import date, datetime
from datetime import datetime as dt
from pathlib import Path

from temporalio import activity, workflow

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import ProductViewed

# ruff: noqa: ASYNC210, ASYNC230, ASYNC240, ASYNC251, DTZ003, DTZ005, DTZ011, TID251, C405, C416, RUF015, SIM115


PLANS = frozenset({"free", "gold"})


@activity.defn
async def stock(product: str) -> int:
    with open("stock.txt") as file:
        return len(file.read()) + len(product)


@activity.defn
async def unlisted(product: str) -> int:
    return len(product)


async def plain(product: str) -> int:
    return len(product)


def token() -> str:
    return secrets.token_hex()  # fault: secrets.token_hex(…) comes out differently at each replay


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Reaches(Journey):
    async def run(self, entry: ProductViewed) -> str:
        import requests

        # fault: clock.sleep(…) holds up every run of the worker; write await self.sleep(minutes(5))
        clock.sleep(5)
        await nap(5)  # fault: nap(…) hides what the run waits for; write await self.sleep(minutes(5))
        await nap(0)
        dt.now()  # fault: dt.now(…) tells another time at each replay; write self.now()
        datetime.utcnow()  # fault: datetime.utcnow(…) tells another time
        date.today()  # fault: date.today(…) tells another time
        clock.time()  # fault: clock.time(…) tells another time
        # fault: random.choice(…) comes out differently at each replay; write self.choose(…)
        random.choice([1, 2])
        random.Random(entry.product_id).random()
        random.Random().random()  # fault: random.Random(…) comes out differently
        uuid.uuid4()  # fault: uuid.uuid4(…) comes out differently at each replay; write workflow.uuid4()
        # fault: open(…) reaches out of the run, and holds up all others meanwhile; do it in an
        open("list.txt")
        Path("list.txt").read_text()  # fault: Path('list.txt').read_text(…) reaches out of the run
        requests.get("https://shop.example")  # fault: requests.get(…) reaches out of the run
        # fault: urllib.request.urlopen(…) reaches out of the run
        urllib.request.urlopen("https://shop.example")
        # fault: threading.Thread(…) happens beside the run, and is not replayed
        threading.Thread(target=token)
        # fault: os.environ differs from  # fault: os.getenv(…) differs
        print(os.environ["PLAN"], os.getenv("PLAN"))
        await self.perform(stock, "lamp")
        # fault: self.perform: unlisted is in no ACTIVITIES, so no worker runs it
        await self.perform(unlisted, "lamp")
        # fault: self.perform: plain is no activity; write @activity.defn above it
        await self.perform(plain, "lamp")
        with workflow.unsafe.sandbox_unrestricted():
            print(datetime.now())
        return self._named()

    def _named(self) -> str:
        return token()


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Disorder(Journey):
    async def run(self, entry: ProductViewed) -> str:
        for sku in {"a", "b"}:  # fault: {'a', 'b'} is a set, and its order differs from process to process
            print(sku)
        brands = set([entry.brand, "any"])
        first = [brand for brand in brands]  # fault: brands is a set
        second = list(brands | {"other"})[0]  # fault: brands | {'other'} is a set
        third = ", ".join(PLANS)  # fault: PLANS is a set
        fourth = [*brands]  # fault: brands is a set
        fine = sorted(brands), len(list(brands)), any(brand for brand in brands), "any" in brands
        return f"{first} {second} {third} {fourth} {fine}"


JOURNEYS = (Reaches, Disorder)

ACTIVITIES = (stock,)
