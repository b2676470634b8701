"""A shop on virtual time: a whole Waypost, its shoppers, and providers that keep a ledger."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client
from temporalio.service import RPCError

from activities.channels.registry import Channels
from authoring.testing.calendar import START, ZONE
from authoring.testing.environment import Waypost
from authoring.testing.errors import TellingFault
from authoring.testing.experiment_arms import check_arms, experiments_of, fits
from authoring.testing.fakes import Effect, Posted, Products, Provider, replaced
from authoring.testing.shopper import Shopper
from authoring.testing.virtual_time import Clockwork
from journeys.registry import load
from journeys.vocabulary import Journey
from policy.limits import Limits
from policy.verdict import Channel
from profiles.events import Event
from profiles.ingest.event_store import Status
from workers.settings import WorkerSettings

_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gala", "Hugo")

_YES = {"email": True, "sms": True, "ads": True}


class Shop:
    """Opens at the first use; until then ``shop(…)`` says how::

    shop(starts_at=…, journeys=(MyJourney,), limits=…)
    ada = await shop.shopper(consents={"email": True}, phone=None)
    """

    def __init__(self, database_url: str, client: Client) -> None:
        self._database_url = database_url
        self._client = client
        self._starts_at = START
        self._journeys: Sequence[type[Journey]] | None = None
        # Tests name the minute a message goes out, so the morning's are not spread.
        self._limits = Limits(spread={})
        self._effects: Mapping[str, Effect] = {}
        self._waypost: Waypost | None = None
        self._clockwork: Clockwork | None = None
        self._open = AsyncExitStack()
        self._counts: Counter[str] = Counter()
        self.post: list[Posted] = []
        """All that the providers accepted, in order."""
        self.email, self.sms, self.push, self.ads = (
            Provider(channel, self.post)
            for channel in (Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.ADS)
        )
        self.products = Products()
        self.shoppers: list[Shopper] = []
        self.waits_of_runs: dict[UUID, str] = {}

    def __call__(
        self,
        *,
        starts_at: datetime | None = None,
        journeys: Sequence[type[Journey]] | None = None,
        limits: Limits | None = None,
        effects: Mapping[str, Effect] | None = None,
    ) -> Self:
        """Set the shop up, before its first shopper; what is left out stays as it is.

        ``starts_at``: where its calendar begins, with an offset, later than now. ``journeys``: instead of
        those of WAYPOST_JOURNEYS. ``limits``: what the shop sets; by default the usual, without a spread.
        ``effects``: functions in place of the author's own activities, by name; those left out are the real
        ones.
        """
        if self._waypost is not None:
            raise TellingFault(
                "the shop has opened already, too late to set it up: ask for the fixture `shop` alone, "
                "say `shop(…)`, and then `shopper = await shop.shopper()`"
            )
        if starts_at is not None and starts_at.utcoffset() is None:
            raise TellingFault(
                f"starts_at needs an offset, such as tzinfo=ZoneInfo({ZONE!r}); got {starts_at}"
            )
        self._starts_at = starts_at or self._starts_at
        self._journeys = self._journeys if journeys is None else journeys
        self._limits = limits or self._limits
        self._effects = effects or self._effects
        return self

    async def open(self) -> Self:
        """Start Waypost; every awaited word of the shop does it by itself. Idempotent."""
        if self._waypost is None:
            known = load(WorkerSettings().journey_modules)
            channels = Channels({each.channel: each for each in self.providers}, {})
            waypost = Waypost(
                self._database_url,
                self._client,
                journeys=known.classes if self._journeys is None else self._journeys,
                effects=replaced(known.effects, self._effects),
                channels=channels,
                limits=self._limits,
                starts_at=self._starts_at,
            )
            self._waypost = await self._open.enter_async_context(waypost)
            self._clockwork = Clockwork(waypost)
        return self

    async def close(self) -> None:
        """End its runs and its Waypost. Idempotent."""
        await self._open.aclose()

    @property
    def providers(self) -> tuple[Provider, ...]:
        """The stand-ins of all channels."""
        return (self.email, self.sms, self.push, self.ads)

    @property
    def waypost(self) -> Waypost:
        """The Waypost underneath, for questions that the words here do not ask."""
        if self._waypost is None:
            raise TellingFault("the shop is not open yet: say `await shop.open()` or `await shop.shopper()`")
        return self._waypost

    @property
    def clockwork(self) -> Clockwork:
        """The clocks of its runs."""
        if self._clockwork is None:
            raise TellingFault("the shop is not open yet: say `await shop.open()` or `await shop.shopper()`")
        return self._clockwork

    @property
    def clock(self) -> datetime:
        """Now, on the shop's calendar."""
        return self._starts_at if self._waypost is None else self._waypost.clock

    async def shopper(
        self,
        name: str | None = None,
        *,
        consents: Mapping[str, bool] | None = None,
        timezone: str = ZONE,
        email: str | None = "",
        phone: str | None = "",
        arms: Mapping[str, str] | None = None,
        held_out: bool = False,
        **traits: Any,
    ) -> Shopper:
        """A person the shop knows: with an email address and a phone number (None: without), a first name,
        a yes to email, SMS and ads unless ``consents`` says otherwise, and any other traits.

        ``arms``: which arm of an experiment they are in. ``held_out``: whether they are among those whom
        journeys with a ``holdout`` keep their marketing from; nobody is unless it says so.
        """
        await self.open()
        journeys = self.waypost.journeys.routes
        experiments = experiments_of(journeys) if arms else {}
        check_arms(arms or {}, experiments)
        name = name or _NAMES[len(self.shoppers) % len(_NAMES)]
        yes = dict(_YES if consents is None else consents)
        said = {"first_name": name, "timezone": timezone, "consents": yes, **traits}
        while True:
            # An id is given and not chosen, so people come until one fits.
            shopper = Shopper(self, name, timezone, self._identifiers(email, phone))
            await self.takes(shopper, "Identified", {}, traits=said)
            if fits(await shopper.profile_id(), arms or {}, experiments, journeys, holdout=held_out):
                break
        self.shoppers.append(shopper)
        await shopper.look()
        return shopper

    def _identifiers(self, email: str | None, phone: str | None) -> dict[str, str]:
        user = self.next_name("user")
        identifiers = {
            "user_id": user,
            "email": f"{user}@example.com" if email == "" else email,
            "phone": f"+49151{12_345_600 + self._counts['user']}" if phone == "" else phone,
        }
        return {kind: value for kind, value in identifiers.items() if value}

    def sells(self, product: str, **details: Any) -> None:
        """Say more about a product than its name: price, sku, category, image_url, …"""
        self.products.describe(product, **details)

    async def waits(self, length: timedelta) -> None:
        """Let time pass for the whole shop."""
        if length < timedelta():
            raise TellingFault(f"time does not run backwards: asked to wait {length}")
        await self.open()
        await self.clockwork.move(self.clock + length)
        await self._look()

    async def happens(self, event: Event | str, properties: dict[str, Any] | None = None) -> None:
        """An event of the shop itself, which names nobody, such as a product's new price."""
        await self.open()
        name = event if isinstance(event, str) else event.event_name
        said = {} if isinstance(event, str) else event.model_dump(mode="json", exclude_none=True)
        await self._take(name, {**said, **(properties or {})}, {}, channel="server", source="shop")

    async def takes(
        self,
        shopper: Shopper,
        name: str,
        properties: dict[str, Any],
        *,
        traits: Mapping[str, Any] | None = None,
        channel: str = "web",
        source: str = "web",
    ) -> None:
        """Take in one event of a shopper's, and let follow what follows."""
        await self._take(
            name, properties, shopper.identifiers, traits=dict(traits or {}), channel=channel, source=source
        )

    def next_name(self, what: str) -> str:
        """A name nobody has yet: order-1, order-2."""
        self._counts[what] += 1
        return f"{what}-{self._counts[what]}"

    async def _take(self, name: str, properties: dict[str, Any], who: dict[str, str], **more: Any) -> None:
        answer = await self.waypost.happens(name, properties, **more, **who)
        if answer.status is not Status.ACCEPTED:
            raise TellingFault(f"{name} was not taken in: {answer.status.value}, {answer.detail}")
        try:
            await self.clockwork.settle()
        finally:
            await self._look()

    async def _look(self) -> None:
        """Read what every run waits for, and every shopper's ledger."""
        self.waits_of_runs = {
            run.run_id: line for run in self.clockwork.live if (line := await self._line_of(run.handle.query))
        }
        for shopper in self.shoppers:
            await shopper.look()

    async def _line_of(self, query: Callable[..., Awaitable[Any]]) -> str:
        """The line in bold at the head of a run's details."""
        try:
            found = await query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        except RPCError:
            return ""
        return str(found.current_details).partition("\n")[0].strip("*")
