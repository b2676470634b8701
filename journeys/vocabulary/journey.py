"""The base class of journeys: the cart, messages, ad audiences, opt-outs and suggestions."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from journeys.vocabulary.deciding import Deciding
from journeys.vocabulary.durations import days
from journeys.vocabulary.fallback import Fallback
from journeys.vocabulary.message import Message
from journeys.vocabulary.sending import MessageSpec, WhenCapped, total_value
from policy.verdict import Channel
from profiles.events import Item

TWO_DAYS, TWO_WEEKS = days(2), days(14)

EMAIL, SMS, PUSH = Channel.EMAIL, Channel.SMS, Channel.PUSH


class Cart:
    """The cart of a run, as of the last event."""

    def __init__(self, items: tuple[Item, ...]) -> None:
        self.items = items
        """Its lines."""

    @property
    def value(self) -> float:
        """Total of its lines, without lines of unknown price."""
        return total_value(self.items)

    def __bool__(self) -> bool:
        return bool(self.items)


class Journey(Deciding):
    """Base of every journey. Subclass it, write ``run``, and decorate the class with ``@journey``.

    ``run`` receives the entry event and uses the words of this class. It is ordinary workflow code, so it
    may also use anything of ``temporalio.workflow``. Its return value becomes the run's outcome.
    """

    @property
    def cart(self) -> Cart:
        """The cart of a journey ``keyed_by="cart_id"``, as of the last event; the gate reads it anew."""
        self._inbox.acknowledge_all()
        return Cart(self._cart or ())

    @property
    def customer_id(self) -> str:
        """The profile's opaque id, as of the run's entry."""
        return self._start.customer_id

    def now(self) -> datetime:
        """The run's clock: Temporal's, moved by time travel on a local stack."""
        return self._now()

    async def send(
        self,
        template: str,
        *,
        promoting: Sequence[Item] | None,
        showing: Sequence[Item] = (),
        prefer: Sequence[Channel] | None = None,
        fallback: Fallback | None = None,
        expires: timedelta = TWO_DAYS,
        context: dict[str, Any] | None = None,
        when_capped: WhenCapped | None = None,
    ) -> Message:
        """Send a message on the most suitable channel, if the gate allows it.

        ``promoting``: items that it promotes; None, explicitly, for none. ``showing``: items that it
        shows without promoting them, such as those of an order. ``prefer``: order of channels.
        Without it the profile's own preference decides, then the channels on which it recently opened
        and clicked messages, among those of the template. A channel without address or consent is
        skipped.

        ``fallback``: sends it on another channel as well if the first message did not get through in
        time. Never used after an unknown outcome, because that message may have arrived.

        A deferred message waits and passes the whole gate again; after ``expires`` it is withheld.
        ``when_capped``: where a cap or a more important journey leaves no slot, "wait" for one until
        ``expires``, or "withhold" the message (default). The shop's policy takes precedence.

        Sends at most once per channel. Raises nothing for a message that could not be sent.
        """
        spec = MessageSpec(template, promoting, showing, expires, context or {}, self._cart_id(), when_capped)
        message = await self._sending.send(spec, prefer, fallback)
        self._stop_if_ended()
        return message

    async def retarget(self, items: Sequence[Item], audience: str, until: timedelta = TWO_WEEKS) -> None:
        """Add the profile to an ad audience for these items, if the gate allows it.

        An item is removed when it is bought, and the profile leaves the audience when the run ends.
        """
        await self._activities.retarget(items, audience, until, self._cart_id())
        self._stop_if_ended()

    async def opt_out(self, channel: Channel = EMAIL, topic: str = "marketing") -> None:
        """Withdraw the profile's consent, for a profile that never responds (sunset).

        As an opt-out by the customer, it covers all addresses and journeys until consent is granted again.
        """
        await self._activities.opt_out(channel, topic)
        self._stop_if_ended()

    async def reports_deliveries(self) -> bool:
        """Whether the shop's systems report deliveries: a verified one in the last 60 days, of any order.

        Where they do not, a missing ``Order Delivered`` says nothing of an order.
        """
        reported = await self._activities.reports_deliveries()
        self._stop_if_ended()
        return reported

    async def suggestions(self, limit: int = 3) -> tuple[Item, ...]:
        """Items that the profile viewed, or that go with its purchases, and that it has not bought."""
        items = await self._activities.suggestions(limit)
        self._stop_if_ended()
        return items
