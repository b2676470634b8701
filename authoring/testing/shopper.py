"""A person in a test: what they do, in verbs, and what has reached them, as plain attributes."""

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import UUID

from authoring.testing.calendar import next_time_of_day
from authoring.testing.errors import TellingFault
from authoring.testing.observations import Audience, Decision, Observations, ObservedRun, Received, Withheld
from authoring.testing.observations import load_observations as read_ledger
from authoring.testing.timeline import Timeline, TimelineRecorder
from profiles.events import Event, Item

if TYPE_CHECKING:
    from authoring.testing.shop import Shop

_SELECT_PROFILE_ID = """
SELECT profile_id FROM identifier
WHERE (type, value) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""


class ShopperState:
    """Plain attributes, as of the last verb; they need no await."""

    def __init__(self, shop: "Shop", name: str, zone: str, identifiers: dict[str, str]) -> None:
        self.name = name
        self.zone = zone
        self.identifiers = identifiers
        self.timeline = Timeline(name, zone, shop.clock)
        """What happened so far, in order; print it."""
        self._shop = shop
        self._observations = Observations()
        self._timeline_recorder = TimelineRecorder(shop.waypost, self.timeline)

    @property
    def received(self) -> list[Received]:
        """The messages they got, by the providers' own books; compares with template names."""
        return self._observations.received

    @property
    def withheld(self) -> list[Withheld]:
        """Messages planned for them and not sent; compares with template names."""
        return self._observations.withheld

    @property
    def decisions(self) -> list[Decision]:
        """Every verdict of the gate about them, oldest first, ads included."""
        return self._observations.decisions

    @property
    def audiences(self) -> list[Audience]:
        """The ad audiences they are in now; compares with names."""
        return self._observations.audiences

    @property
    def runs(self) -> list[ObservedRun]:
        """Their runs of all journeys, oldest first."""
        return self._observations.runs

    @property
    def outcome(self) -> str | None:
        """How the run that ended last has ended; None while none has."""
        ended = [run for run in self.runs if run.ended_at is not None]
        last = max(ended, key=lambda run: run.ended_at or run.entered_at, default=None)
        return None if last is None else last.outcome

    @property
    def state(self) -> str | None:
        """running while any run goes on, stuck, ended when all have; None where no journey was entered."""
        states = [run.state for run in self.runs]
        return next((state for state in ("running", "stuck", "ended") if state in states), None)

    @property
    def waiting_for(self) -> str | None:
        """What the newest live run says it waits for."""
        return next((run.waiting_for for run in reversed(self.runs) if run.waiting_for), None)

    def run_of(self, journey: str) -> ObservedRun:
        """Their newest run of one journey. Raises ``TellingFault``, naming the runs there are."""
        found = [run for run in self.runs if run.journey == journey]
        if not found:
            there = ", ".join(dict.fromkeys(run.journey for run in self.runs)) or "none at all"
            raise TellingFault(f"{self.name} has no run of {journey!r}; there are: {there}")
        return found[-1]

    async def profile_id(self) -> UUID | None:
        """Their profile's opaque id; None until an event has named them."""
        rows = await self._shop.waypost.fetch_rows(
            _SELECT_PROFILE_ID, list(self.identifiers), list(self.identifiers.values())
        )
        return rows[0]["profile_id"] if rows else None

    async def reload(self) -> None:
        """Read the ledger anew; every verb ends with it."""
        if (profile_id := await self.profile_id()) is None:
            return
        shop = self._shop
        self._observations = await read_ledger(shop.waypost, profile_id, shop.post, shop.pending_waits)
        await self._timeline_recorder.update(profile_id, self._observations, shop.virtual_clock.run_clocks)


SalesChannel = Literal["web", "store", "app"]

ProductOrId = str | Item

_EVENT_CHANNELS = {"web": "web", "store": "store", "app": "mobile"}


class Shopper(ShopperState):
    """One person. Every verb is awaited, and returns when all that follows from it has happened: events
    delivered, runs at their next wait. The attributes then say how things stand; they need no await."""

    _last_order_id = ""
    _last_ticket_id = ""
    _login_identifiers: dict[str, str] | None = None

    # Time

    async def waits(self, length: timedelta) -> None:
        """Let time pass, for every run in the shop; days take milliseconds."""
        await self._shop.waits(length)

    async def waits_until(self, then: datetime | time) -> None:
        """Let time pass to an instant, or to the next time their clock shows so much."""
        clock = self._shop.clock
        at = next_time_of_day(clock, then, self.zone) if isinstance(then, time) else then
        await self._shop.waits(at - clock)

    # In the shop

    async def views(self, product: ProductOrId) -> None:
        """Look at a product's page."""
        await self.happens("Product Viewed", self._shop.products.event_properties(product))

    async def adds(self, product: ProductOrId, quantity: int = 1, cart: str | None = None) -> None:
        """Put a product into the cart, the open one unless another is named."""
        said = self._shop.products.event_properties(product, quantity=quantity)
        await self.happens("Product Added", _with_present(said, cart_id=cart))

    async def removes(self, product: ProductOrId, cart: str | None = None) -> None:
        """Take a product out of the cart."""
        await self.happens(
            "Product Removed", _with_present(self._shop.products.event_properties(product), cart_id=cart)
        )

    async def starts_checkout(self, *products: ProductOrId, cart: str | None = None) -> None:
        """Begin to check out, with these products or with what is in the cart."""
        lines = [self._shop.products.event_properties(product) for product in products]
        await self.happens(
            "Checkout Started", _with_present({"products": lines} if lines else {}, cart_id=cart)
        )

    async def buys(
        self, *products: ProductOrId, where: SalesChannel = "web", order: str | None = None
    ) -> None:
        """Buy products, on the web, in the app, or in a store, which tells Waypost by receipt."""
        lines = [self._shop.products.event_properties(product) for product in products]
        self._last_order_id = order or self._shop.next_id("order")
        total = round(sum(line.get("price", 0.0) * line.get("quantity", 1) for line in lines), 2)
        said = {"order_id": self._last_order_id, "total": total, "currency": "EUR", "products": lines}
        await self.happens("Order Completed", said, where=where)

    # About an order: the last one unless another is named

    async def cancels(self, order: str | None = None) -> None:
        """Call an order off."""
        await self.happens("Order Cancelled", {"order_id": self._resolve_order_id(order)})

    async def is_shipped(self, order: str | None = None) -> None:
        """An order leaves the warehouse."""
        await self.happens("Order Fulfilled", {"order_id": self._resolve_order_id(order)}, source="warehouse")

    async def is_delivered(self, order: str | None = None) -> None:
        """An order arrives."""
        await self.happens("Order Delivered", {"order_id": self._resolve_order_id(order)}, source="warehouse")

    async def returns(self, order: str | None = None) -> None:
        """Ask to send an order back."""
        await self.happens("Return Requested", {"order_id": self._resolve_order_id(order)})

    async def return_is_completed(self, order: str | None = None) -> None:
        """What was sent back has arrived."""
        await self.happens(
            "Return Completed", {"order_id": self._resolve_order_id(order)}, source="warehouse"
        )

    async def is_refunded(self, *products: ProductOrId, order: str | None = None) -> None:
        """Get the money back, for these products or for all of the order."""
        lines = [self._shop.products.event_properties(product) for product in products]
        said = {"order_id": self._resolve_order_id(order)}
        await self.happens("Order Refunded", said | ({"products": lines} if lines else {}))

    # With a message: the last one received unless a template is named

    async def opens(self, message: str | None = None) -> None:
        """Open a message."""
        await self._emit_message_event("Message Opened", message, "open")

    async def clicks(self, message: str | None = None) -> None:
        """Follow a link in a message."""
        await self._emit_message_event("Message Clicked", message, "click")

    async def replies(self, message: str | None = None) -> None:
        """Answer a message."""
        await self._emit_message_event("Message Replied", message, "reply to")

    async def bounces(self, message: str | None = None) -> None:
        """The provider reports that the address of a message takes none."""
        await self._emit_message_event("Message Bounced", message, "bounce")

    async def is_reached_by(self, message: str | None = None) -> None:
        """The provider reports that it handed a message over."""
        await self._emit_message_event("Message Delivered", message, "get a report on")

    async def unsubscribes(self, message: str | None = None) -> None:
        """Follow the way out that a message offers."""
        await self._emit_message_event("Message Unsubscribed", message, "unsubscribe by")

    # With the shop's people

    async def opts_out(self, channel: str = "all", topic: str = "marketing") -> None:
        """Say no to a channel (email, sms, push, ads or all)."""
        await self.happens("Consent Changed", {"channel": channel, "topic": topic, "state": "withdrawn"})

    async def opts_in(self, channel: str, topic: str = "marketing") -> None:
        """Say yes to a channel."""
        await self.happens("Consent Changed", {"channel": channel, "topic": topic, "state": "granted"})

    async def identifies(self, **traits: Any) -> None:
        """Say more about themselves: first_name, timezone, locale, plan, …"""
        await self._shop.ingest_event(self, "Identified", {}, traits=traits)

    async def opens_ticket(self, ticket: str | None = None) -> None:
        """Ask the support for help."""
        self._last_ticket_id = ticket or self._shop.next_id("ticket")
        await self.happens(
            "Ticket Opened", {"ticket_id": self._last_ticket_id}, source="helpdesk", channel="support"
        )

    async def ticket_is_solved(self, ticket: str | None = None) -> None:
        """The support is done with a ticket, the last one unless named."""
        if not (solved := ticket or self._last_ticket_id):
            raise TellingFault(f"{self.name} has opened no ticket; say `opens_ticket()` first, or name one")
        await self.happens("Ticket Solved", {"ticket_id": solved}, source="helpdesk", channel="support")

    async def lapses(self, days: int = 120) -> None:
        """Be found by the sweep: nothing was bought for so many days."""
        await self.happens("Customer Lapsed", {"days_since_order": days}, source="sweep", channel="server")

    async def enters_segment(self, segment: str) -> None:
        """Be found by the sweep: they belong to a segment now."""
        await self.happens("Segment Entered", {"segment": segment}, source="sweep", channel="server")

    # Anything else

    async def happens(
        self,
        event: Event | str,
        properties: dict[str, Any] | None = None,
        *,
        where: SalesChannel = "web",
        channel: str | None = None,
        source: str | None = None,
    ) -> None:
        """Any event, by name with its properties or as an instance, the author's own included."""
        name, said = (event, {}) if isinstance(event, str) else (event.event_name, _event_properties(event))
        came_from = source or ("pos/1" if where == "store" else where)
        await self._shop.ingest_event(
            self,
            name,
            {**said, **(properties or {})},
            channel=channel or _EVENT_CHANNELS[where],
            source=came_from,
        )

    def on_device(self, device: str) -> Self:
        """The same person where nobody knows them yet: a browser not logged in. ``logs_in`` tells who."""
        anonymous = type(self)(self._shop, f"{self.name} on {device}", self.zone, {})
        anonymous.identifiers["anonymous_id"] = f"{device}-of-{self.name.lower()}"
        anonymous._login_identifiers = self.identifiers
        self._shop.shoppers.append(anonymous)
        return anonymous

    async def logs_in(self) -> None:
        """From now on this device knows who they are; what they did there before is theirs."""
        if self._login_identifiers is None:
            raise TellingFault(f"{self.name} is known already; `on_device` gives somebody who is not")
        self.identifiers.update(self._login_identifiers)
        await self._shop.ingest_event(self, "Identified", {})

    def _resolve_order_id(self, order: str | None) -> str:
        if not (found := order or self._last_order_id):
            raise TellingFault(f"{self.name} has bought nothing; say `buys(…)` first, or name the order")
        return found

    async def _emit_message_event(self, event: str, template: str | None, verb: str) -> None:
        found = [each for each in self.received if template in (None, str(each))]
        if not found:
            got = ", ".join(self.received) or "nothing"
            kept = ", ".join(f"{each} ({each.reason})" for each in self.withheld)
            raise TellingFault(
                f"{self.name} cannot {verb} {template or 'a message'}: received {got}"
                + (f"; withheld {kept}" if kept else "")
            )
        message = found[-1]
        said = {"message_id": str(message.message_id)}
        await self.happens(event, said, channel=message.channel.value, source=message.channel.value)


def _with_present(said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**said, **{name: value for name, value in more.items() if value is not None}}


def _event_properties(event: Event) -> dict[str, Any]:
    """What an event instance says: its properties, without the envelope that ingest writes."""
    return event.model_dump(mode="json", exclude_none=True, include={*event.declared_properties(), "cart_id"})
