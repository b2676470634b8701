"""A shop on virtual time: a whole Waypost, its shoppers, and providers that record accepted messages."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client
from temporalio.service import RPCError

from activities.channels.registry import ChannelRegistry
from authoring.testing.calendar import DEFAULT_START, DEFAULT_TIMEZONE
from authoring.testing.environment import Waypost
from authoring.testing.errors import TellingFault
from authoring.testing.experiment_arms import check_arms, find_experiments, matches_assignments
from authoring.testing.fakes import (
    AcceptedMessage,
    Effect,
    FakeChannelAdapter,
    FakeProductCatalog,
    replace_activities,
)
from authoring.testing.shopper import Shopper
from authoring.testing.virtual_time import VirtualClock
from journeys.registry import load_journeys
from journeys.vocabulary import Journey
from policy.limits import Limits
from policy.verdict import Channel
from profiles.events import Event
from profiles.ingest.event_store import IngestStatus
from workers.settings import WorkerSettings

_FIRST_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gala", "Hugo")

_DEFAULT_CONSENTS = {"email": True, "sms": True, "ads": True}


class Shop:
    """A shop for tests. It opens at its first use; before that, ``shop(…)`` configures it::

    shop(starts_at=…, journeys=(MyJourney,), limits=…)
    ada = await shop.shopper(consents={"email": True}, phone=None)
    """

    def __init__(self, database_url: str, client: Client) -> None:
        self._database_url = database_url
        self._client = client
        self._starts_at = DEFAULT_START
        self._journeys: Sequence[type[Journey]] | None = None
        # Tests assert the minute of a message, so deferred messages are not spread.
        self._limits = Limits(spread={})
        self._effects: Mapping[str, Effect] = {}
        self._virtual_clock: VirtualClock | None = None
        self._exit_stack = AsyncExitStack()
        self._id_counters: Counter[str] = Counter()
        self.post: list[AcceptedMessage] = []
        """All messages that the providers accepted, in order."""
        self.email, self.sms, self.push, self.ads = (
            FakeChannelAdapter(channel, self.post)
            for channel in (Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.ADS)
        )
        self.products = FakeProductCatalog()
        self.shoppers: list[Shopper] = []
        self.pending_waits: dict[UUID, str] = {}

    def __call__(
        self,
        *,
        starts_at: datetime | None = None,
        journeys: Sequence[type[Journey]] | None = None,
        limits: Limits | None = None,
        effects: Mapping[str, Effect] | None = None,
    ) -> Self:
        """Configure the shop before its first shopper; arguments left out keep their values.

        ``starts_at``: start of its calendar, with an offset, later than now. ``journeys``: instead of
        those of WAYPOST_JOURNEYS. ``limits``: the shop's policy; by default the usual one, without a
        spread. ``effects``: functions in place of the author's activities, by name.
        """
        if self._virtual_clock is not None:
            raise TellingFault(
                "the shop has opened already, too late to set it up: ask for the fixture `shop` alone, "
                "say `shop(…)`, and then `shopper = await shop.shopper()`"
            )
        if starts_at is not None and starts_at.utcoffset() is None:
            raise TellingFault(
                f"starts_at needs an offset, such as tzinfo=ZoneInfo({DEFAULT_TIMEZONE!r}); got {starts_at}"
            )
        self._starts_at = starts_at or self._starts_at
        self._journeys = self._journeys if journeys is None else journeys
        self._limits = limits or self._limits
        self._effects = effects or self._effects
        return self

    async def open(self) -> Self:
        """Start Waypost; every awaited method of the shop calls it. Idempotent."""
        if self._virtual_clock is None:
            known = load_journeys(WorkerSettings().journey_modules)
            channels = ChannelRegistry({each.channel: each for each in self.providers}, {})
            waypost = Waypost(
                self._database_url,
                self._client,
                journeys=known.classes if self._journeys is None else self._journeys,
                effects=replace_activities(known.activities, self._effects),
                channels=channels,
                limits=self._limits,
                starts_at=self._starts_at,
            )
            self._virtual_clock = VirtualClock(await self._exit_stack.enter_async_context(waypost))
        return self

    async def close(self) -> None:
        """End its runs and its Waypost. Idempotent."""
        await self._exit_stack.aclose()

    @property
    def providers(self) -> tuple[FakeChannelAdapter, ...]:
        """The fake adapters of all channels."""
        return (self.email, self.sms, self.push, self.ads)

    @property
    def waypost(self) -> Waypost:
        """The Waypost of the shop, for queries beyond this class."""
        return self.virtual_clock.waypost

    @property
    def virtual_clock(self) -> VirtualClock:
        """The clocks of its runs."""
        if self._virtual_clock is None:
            raise TellingFault("the shop is not open yet: say `await shop.open()` or `await shop.shopper()`")
        return self._virtual_clock

    @property
    def clock(self) -> datetime:
        """The current time on the shop's calendar."""
        return self._starts_at if self._virtual_clock is None else self.waypost.clock

    async def shopper(
        self,
        name: str | None = None,
        *,
        consents: Mapping[str, bool] | None = None,
        timezone: str = DEFAULT_TIMEZONE,
        email: str | None = "",
        phone: str | None = "",
        arms: Mapping[str, str] | None = None,
        held_out: bool = False,
        **traits: Any,
    ) -> Shopper:
        """Create an identified shopper with email, phone, first name, granted consents and other traits.

        ``email`` and ``phone``: None for a shopper without one. ``consents``: by channel; email, SMS
        and ads are granted by default. ``arms``: the shopper's arms of experiments. ``held_out``:
        whether the shopper is in the holdout of every journey with a ``holdout``, or in none.
        """
        await self.open()
        journeys = self.waypost.journeys.routes
        experiments = find_experiments(journeys) if arms else {}
        check_arms(arms or {}, experiments)
        name = name or _FIRST_NAMES[len(self.shoppers) % len(_FIRST_NAMES)]
        granted = dict(_DEFAULT_CONSENTS if consents is None else consents)
        all_traits = {"first_name": name, "timezone": timezone, "consents": granted, **traits}
        while True:
            # Profile ids cannot be chosen, so profiles are created until one matches.
            shopper = Shopper(self, name, timezone, self._new_identifiers(email, phone))
            await self.ingest_event(shopper.identifiers, "Identified", {}, traits=all_traits)
            if matches_assignments(
                await shopper.profile_id(), arms or {}, experiments, journeys, holdout=held_out
            ):
                break
        self.shoppers.append(shopper)
        await shopper.reload()
        return shopper

    def _new_identifiers(self, email: str | None, phone: str | None) -> dict[str, str]:
        user = self.next_id("user")
        identifiers = {
            "user_id": user,
            "email": f"{user}@example.com" if email == "" else email,
            "phone": f"+49151{12_345_600 + self._id_counters['user']}" if phone == "" else phone,
        }
        return {kind: value for kind, value in identifiers.items() if value}

    def sells(self, product: str, **details: Any) -> None:
        """Set details of a product: price, sku, category, image_url, …"""
        self.products.describe(product, **details)

    async def waits(self, length: timedelta) -> None:
        """Let time pass for the whole shop."""
        if length < timedelta():
            raise TellingFault(f"time does not run backwards: asked to wait {length}")
        await self.open()
        await self.virtual_clock.advance_to(self.clock + length)
        await self._reload()

    async def happens(self, event: Event | str, properties: dict[str, Any] | None = None) -> None:
        """Ingest an event of the shop itself, without an identifier, such as a product's new price."""
        await self.open()
        name = event if isinstance(event, str) else event.event_name
        declared = {} if isinstance(event, str) else event.model_dump(mode="json", exclude_none=True)
        merged = {**declared, **(properties or {})}
        await self.ingest_event({}, name, merged, channel="server", source="shop")

    def next_id(self, what: str) -> str:
        """Return an unused id: order-1, order-2."""
        self._id_counters[what] += 1
        return f"{what}-{self._id_counters[what]}"

    async def ingest_event(
        self,
        identifiers: Mapping[str, str],
        name: str,
        properties: dict[str, Any],
        *,
        source: str = "web",
        **more: Any,
    ) -> None:
        """Ingest one event of a shopper, or of the shop itself, and wait until all runs are idle."""
        answer = await self.waypost.ingest_event(name, properties, source=source, **more, **identifiers)
        if answer.status is not IngestStatus.ACCEPTED:
            raise TellingFault(f"{name} was not taken in: {answer.status.value}, {answer.detail}")
        try:
            await self.virtual_clock.run_until_idle()
        finally:
            await self._reload()

    async def _reload(self) -> None:
        self.pending_waits = {
            run.run_id: line
            for run in self.virtual_clock.live_run_clocks
            if (line := await self._query_pending_wait(run.handle.query))
        }
        for shopper in self.shoppers:
            await shopper.reload()

    async def _query_pending_wait(self, query: Callable[..., Awaitable[Any]]) -> str:
        """Return the line in bold at the head of a run's details."""
        try:
            metadata = await query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        except RPCError:
            return ""
        return str(metadata.current_details).partition("\n")[0].strip("*")
