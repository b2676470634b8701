"""Base of every journey: the words that reach the person, beside those that wait and decide."""

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
    """The cart a run is about, as of the last event."""

    def __init__(self, items: tuple[Item, ...]) -> None:
        self.items = items
        """Its lines."""

    @property
    def value(self) -> float:
        """What its lines cost together, as far as their prices are known."""
        return total_value(self.items)

    def __bool__(self) -> bool:
        return bool(self.items)


class Journey(Deciding):
    """Base of every journey. Subclass it, write ``run``, and decorate the class with ``@journey``.

    ``run`` gets the entry event and tells the story in the words of this class; it is ordinary workflow
    code, so anything of ``temporalio.workflow`` may stand beside them. What it returns becomes the run's
    outcome.
    """

    @property
    def cart(self) -> Cart:
        """The cart of a journey ``keyed_by="cart_id"``; before a send the gate re-reads the truth."""
        self._inbox.acknowledge_all()
        return Cart(self._cart or ())

    @property
    def customer_id(self) -> str:
        """The person's opaque id, as of the run's entry."""
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
        """Send a message, if the gate allows it, on the channel that suits the person.

        ``promoting`` names the items it promotes, or is None on purpose; ``showing`` are items it shows
        without promoting them, such as those of an order. ``prefer`` sets the order of channels yourself;
        else the person's own word decides, then where they opened and followed messages of late, among the
        channels the template has. A channel without address or consent is passed over for the next.
        ``fallback`` sends it on another channel as well if the first one did not get through in time; never
        after an unknown outcome, since that may have arrived. A deferred message waits and passes the whole
        gate again; after ``expires`` it is withheld. ``when_capped``: where a cap or a more important journey
        leaves no slot, "wait" for one as long, or "withhold" it, as when left out; the shop's settings go
        before. At most once a channel, and never an exception for a
        message that could not be sent.
        """
        letter = MessageSpec(
            template, promoting, showing, expires, context or {}, self._cart_id(), when_capped
        )
        message = await self._sending.send(letter, prefer, fallback)
        self._stop_if_ended()
        return message

    async def retarget(self, items: Sequence[Item], audience: str, until: timedelta = TWO_WEEKS) -> None:
        """Put the person into an ad audience for these items, as far as the gate allows.

        They leave it by themselves: when an item is bought, and all when the run ends.
        """
        await self._activities.retarget(items, audience, until, self._cart_id())
        self._stop_if_ended()

    async def opt_out(self, channel: Channel = EMAIL, topic: str = "marketing") -> None:
        """Stop writing to the person: the sunset of somebody who never answers.

        The same as if they had opted out themselves: it holds for their addresses and every journey, until
        they say otherwise.
        """
        await self._activities.opt_out(channel, topic)
        self._stop_if_ended()

    async def suggestions(self, limit: int = 3) -> tuple[Item, ...]:
        """What the person looked at, or what goes with what they bought, and has not bought."""
        found = await self._activities.suggestions(limit)
        self._stop_if_ended()
        return found
