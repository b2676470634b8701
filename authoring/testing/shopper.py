"""A shopper in a test: actions as verbs, and results as plain attributes."""

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import UUID

from authoring.testing.calendar import next_time_of_day
from authoring.testing.errors import TellingFault
from authoring.testing.observations import Observations, ObservedRun, load_observations
from authoring.testing.timeline import Timeline, TimelineRecorder
from profiles.events import Event, Item

if TYPE_CHECKING:
    from authoring.testing.shop import Shop

_SELECT_PROFILE_ID = """
SELECT profile_id FROM identifier
WHERE (type, value) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""

SalesChannel = Literal["web", "store", "app"]

ProductOrId = str | Item

_EVENT_CHANNELS = {"web": "web", "store": "store", "app": "mobile"}


class ShopperState(Observations):
    """Plain attributes, as of the last verb; no await is needed."""

    def __init__(self, shop: "Shop", name: str, zone: str, identifiers: dict[str, str]) -> None:
        super().__init__()
        self.name = name
        self.zone = zone
        self.identifiers = identifiers
        self.timeline = Timeline(name, zone, shop.clock)
        """The timeline so far, in order; print it."""
        self._shop = shop
        self._timeline_recorder = TimelineRecorder(shop.waypost, self.timeline)

    @property
    def outcome(self) -> str | None:
        """Outcome of the run that ended last; None while no run has ended."""
        ended = [run for run in self.runs if run.ended_at is not None]
        last = max(ended, key=lambda run: run.ended_at or run.entered_at, default=None)
        return None if last is None else last.outcome

    @property
    def state(self) -> str | None:
        """running while any run is, then stuck if any run is, ended when all have; None without a run."""
        states = [run.state for run in self.runs]
        return next((state for state in ("running", "stuck", "ended") if state in states), None)

    @property
    def waiting_for(self) -> str | None:
        """The wait that the newest live run reports."""
        return next((run.waiting_for for run in reversed(self.runs) if run.waiting_for), None)

    def run_of(self, journey: str) -> ObservedRun:
        """Return the newest run of one journey. Raises ``TellingFault`` with the journeys that have runs."""
        matching = [run for run in self.runs if run.journey == journey]
        if not matching:
            there = ", ".join(dict.fromkeys(run.journey for run in self.runs)) or "none at all"
            raise TellingFault(f"{self.name} has no run of {journey!r}; there are: {there}")
        return matching[-1]

    async def profile_id(self) -> UUID | None:
        """Return the profile's opaque id; None until an event has named one of the identifiers."""
        rows = await self._shop.waypost.fetch_rows(
            _SELECT_PROFILE_ID, list(self.identifiers), list(self.identifiers.values())
        )
        return rows[0]["profile_id"] if rows else None

    async def reload(self) -> None:
        """Read the observations again; every verb ends with it."""
        if (profile_id := await self.profile_id()) is None:
            return
        shop = self._shop
        seen = await load_observations(shop.waypost, profile_id, shop.post, shop.pending_waits)
        vars(self).update(vars(seen))
        await self._timeline_recorder.update(profile_id, seen, shop.virtual_clock.run_clocks)


class Shopper(ShopperState):
    """One shopper. A verb returns after its events are delivered and all runs are idle.

    The attributes then show the new state; they need no await.
    """

    _last_order_id = ""
    _last_ticket_id = ""
    _login_identifiers: dict[str, str] | None = None

    # Time

    async def waits(self, length: timedelta) -> None:
        """Let time pass for every run in the shop; days take milliseconds."""
        await self._shop.waits(length)

    async def waits_until(self, then: datetime | time) -> None:
        """Let time pass to an instant, or to the next time at which the shopper's clock shows this time."""
        clock = self._shop.clock
        at = next_time_of_day(clock, then, self.zone) if isinstance(then, time) else then
        await self._shop.waits(at - clock)

    # In the shop

    async def views(self, product: ProductOrId) -> None:
        """View a product's page."""
        await self.happens("Product Viewed", self._shop.products.event_properties(product))

    async def adds(self, product: ProductOrId, quantity: int = 1, cart: str | None = None) -> None:
        """Add a product to a cart: the open one, unless ``cart`` names another."""
        properties = self._shop.products.event_properties(product, quantity=quantity)
        await self.happens("Product Added", _with_present(properties, cart_id=cart))

    async def removes(self, product: ProductOrId, cart: str | None = None) -> None:
        """Remove a product from the cart."""
        await self.happens(
            "Product Removed", _with_present(self._shop.products.event_properties(product), cart_id=cart)
        )

    async def starts_checkout(self, *products: ProductOrId, cart: str | None = None) -> None:
        """Start a checkout, with these products or with those in the cart."""
        lines = [self._shop.products.event_properties(product) for product in products]
        await self.happens(
            "Checkout Started", _with_present({"products": lines} if lines else {}, cart_id=cart)
        )

    async def buys(
        self, *products: ProductOrId, where: SalesChannel = "web", order: str | None = None
    ) -> None:
        """Buy products on the web, in the app, or in a store, which reports the receipt to Waypost."""
        lines = [self._shop.products.event_properties(product) for product in products]
        self._last_order_id = order or self._shop.next_id("order")
        total = round(sum(line.get("price", 0.0) * line.get("quantity", 1) for line in lines), 2)
        properties = {"order_id": self._last_order_id, "total": total, "currency": "EUR", "products": lines}
        await self.happens("Order Completed", properties, where=where)

    # Orders: the last one, unless another is named

    async def cancels(self, order: str | None = None) -> None:
        """Cancel an order."""
        await self.happens("Order Cancelled", {"order_id": self._resolve_order_id(order)})

    async def is_shipped(self, order: str | None = None) -> None:
        """Report that an order was shipped."""
        await self.happens("Order Fulfilled", {"order_id": self._resolve_order_id(order)}, source="warehouse")

    async def is_delivered(self, order: str | None = None) -> None:
        """Report that an order was delivered."""
        await self.happens("Order Delivered", {"order_id": self._resolve_order_id(order)}, source="warehouse")

    async def returns(self, order: str | None = None) -> None:
        """Request the return of an order."""
        await self.happens("Return Requested", {"order_id": self._resolve_order_id(order)})

    async def return_is_completed(self, order: str | None = None) -> None:
        """Report that the returned items have arrived."""
        await self.happens(
            "Return Completed", {"order_id": self._resolve_order_id(order)}, source="warehouse"
        )

    async def is_refunded(self, *products: ProductOrId, order: str | None = None) -> None:
        """Report a refund, of these products or of the whole order."""
        lines = [self._shop.products.event_properties(product) for product in products]
        properties = {"order_id": self._resolve_order_id(order)}
        await self.happens("Order Refunded", properties | ({"products": lines} if lines else {}))

    # Messages: the last one received, unless a template is named

    async def opens(self, message: str | None = None) -> None:
        """Open a message."""
        await self._emit_message_event("Message Opened", message, "open")

    async def clicks(self, message: str | None = None) -> None:
        """Click a link in a message."""
        await self._emit_message_event("Message Clicked", message, "click")

    async def replies(self, message: str | None = None) -> None:
        """Reply to a message."""
        await self._emit_message_event("Message Replied", message, "reply to")

    async def bounces(self, message: str | None = None) -> None:
        """Report a bounce from the provider: the address of a message does not exist."""
        await self._emit_message_event("Message Bounced", message, "bounce")

    async def is_reached_by(self, message: str | None = None) -> None:
        """Report from the provider that a message was delivered."""
        await self._emit_message_event("Message Delivered", message, "get a report on")

    async def unsubscribes(self, message: str | None = None) -> None:
        """Unsubscribe by the link in a message."""
        await self._emit_message_event("Message Unsubscribed", message, "unsubscribe by")

    # Preferences and support

    async def opts_out(self, channel: str = "all", topic: str = "marketing") -> None:
        """Withdraw consent for a channel (email, sms, push, ads or all)."""
        await self.happens("Consent Changed", {"channel": channel, "topic": topic, "state": "withdrawn"})

    async def opts_in(self, channel: str, topic: str = "marketing") -> None:
        """Grant consent for a channel."""
        await self.happens("Consent Changed", {"channel": channel, "topic": topic, "state": "granted"})

    async def identifies(self, **traits: Any) -> None:
        """Send traits: first_name, timezone, locale, plan, …"""
        await self._shop.ingest_event(self.identifiers, "Identified", {}, traits=traits)

    async def opens_ticket(self, ticket: str | None = None) -> None:
        """Open a support ticket."""
        self._last_ticket_id = ticket or self._shop.next_id("ticket")
        await self.happens(
            "Ticket Opened", {"ticket_id": self._last_ticket_id}, source="helpdesk", channel="support"
        )

    async def ticket_is_solved(self, ticket: str | None = None) -> None:
        """Report that a ticket is solved: the last one, unless another is named."""
        if not (solved := ticket or self._last_ticket_id):
            raise TellingFault(f"{self.name} has opened no ticket; say `opens_ticket()` first, or name one")
        await self.happens("Ticket Solved", {"ticket_id": solved}, source="helpdesk", channel="support")

    async def lapses(self, days: int = 120) -> None:
        """Report, as the sweep does, that nothing was bought for this many days."""
        await self.happens("Customer Lapsed", {"days_since_order": days}, source="sweep", channel="server")

    async def enters_segment(self, segment: str) -> None:
        """Report, as the sweep does, that the profile is a new member of a segment."""
        await self.happens("Segment Entered", {"segment": segment}, source="sweep", channel="server")

    # Other events

    async def happens(
        self,
        event: Event | str,
        properties: dict[str, Any] | None = None,
        *,
        where: SalesChannel = "web",
        channel: str | None = None,
        source: str | None = None,
    ) -> None:
        """Ingest any event, also one that the author defines: by name with its properties, or an instance."""
        name, own = (event, {}) if isinstance(event, str) else (event.event_name, _event_properties(event))
        came_from = source or ("pos/1" if where == "store" else where)
        await self._shop.ingest_event(
            self.identifiers,
            name,
            {**own, **(properties or {})},
            channel=channel or _EVENT_CHANNELS[where],
            source=came_from,
        )

    def on_device(self, device: str) -> Self:
        """Return the same shopper on a device that is not logged in. ``logs_in`` identifies it."""
        anonymous = type(self)(self._shop, f"{self.name} on {device}", self.zone, {})
        anonymous.identifiers["anonymous_id"] = f"{device}-of-{self.name.lower()}"
        anonymous._login_identifiers = self.identifiers
        self._shop.shoppers.append(anonymous)
        return anonymous

    async def logs_in(self) -> None:
        """Log in on this device: its profile and its earlier events are merged into the shopper's."""
        if self._login_identifiers is None:
            raise TellingFault(
                f"{self.name} is known already; `on_device` returns a shopper who is not logged in"
            )
        self.identifiers.update(self._login_identifiers)
        await self._shop.ingest_event(self.identifiers, "Identified", {})

    def _resolve_order_id(self, order: str | None) -> str:
        if not (order_id := order or self._last_order_id):
            raise TellingFault(f"{self.name} has bought nothing; say `buys(…)` first, or name the order")
        return order_id

    async def _emit_message_event(self, event: str, template: str | None, verb: str) -> None:
        matching = [each for each in self.received if template in (None, str(each))]
        if not matching:
            got = ", ".join(self.received) or "nothing"
            kept = ", ".join(f"{each} ({each.reason})" for each in self.withheld)
            raise TellingFault(
                f"{self.name} cannot {verb} {template or 'a message'}: received {got}"
                + (f"; withheld {kept}" if kept else "")
            )
        message = matching[-1]
        reference = {"message_id": str(message.message_id)}
        await self.happens(event, reference, channel=message.channel.value, source=message.channel.value)


def _with_present(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**properties, **{name: value for name, value in more.items() if value is not None}}


def _event_properties(event: Event) -> dict[str, Any]:
    """Return the properties of an event instance, without the envelope that ingest adds."""
    return event.model_dump(mode="json", exclude_none=True, include={*event.declared_properties(), "cart_id"})
