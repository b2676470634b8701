"""Fakes for tests: channel adapters that record accepted messages, a product catalog, and activities."""

import functools
import inspect
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity

from activities.channels.adapter import Accepted, MaybeSent, NotSent, OutgoingMessage
from journeys.source.reader import activity_name
from policy.verdict import Channel
from profiles.events import Item

FailureFactory = Callable[[], Exception]

_DEFAULT_RETRY_AFTER = timedelta(hours=1)

_DEFAULT_PRICE = 39.0

Effect = Callable[..., Any]
"""An activity of the author, or a function that replaces it."""


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """One message that a provider accepted, and thereby delivered."""

    channel: Channel
    outgoing: OutgoingMessage


class FakeChannelAdapter:
    """Adapter of one channel. It accepts every message until a test configures failures."""

    def __init__(self, channel: Channel, accepted_messages: list[AcceptedMessage]) -> None:
        self.channel = channel
        self.provider = f"test-{channel.value}"
        self.calls: Counter[str] = Counter()
        """Message id → number of calls of the adapter."""
        self._accepted_messages = accepted_messages
        self._queued_failures: deque[FailureFactory] = deque()
        self._permanent_failure: FailureFactory | None = None

    def fails(self, times: int | None = 1, *, retry_after: timedelta | None = None) -> None:
        """Reject the next ``times`` messages with a transient error; None: until ``recovers``.

        With None the provider asks for a retry after one hour, unless ``retry_after`` is set.
        """
        pause = _DEFAULT_RETRY_AFTER if times is None and retry_after is None else retry_after
        self._queue_failure(lambda: NotSent("the provider is out of order", retry_after=pause), times)

    def refuses(
        self,
        times: int | None = 1,
        *,
        because: str = "refused",
        bounced: bool = False,
        opted_out: bool = False,
    ) -> None:
        """Reject messages permanently; ``bounced``, ``opted_out``: the address. None: until ``recovers``."""
        problem = "bounced" if bounced else "opted_out" if opted_out else None
        self._queue_failure(lambda: NotSent(because, permanent=True, address_problem=problem), times)

    def loses_the_answer(self, times: int | None = 1) -> None:
        """Accept messages but report an unknown outcome, as when the provider's answer is lost."""
        self._queue_failure(lambda: MaybeSent("the answer was lost"), times)

    def recovers(self) -> None:
        """Accept all messages again."""
        self._queued_failures.clear()
        self._permanent_failure = None

    async def deliver(self, outgoing: OutgoingMessage) -> Accepted:
        """Take a message in place of a provider's SDK. Called by the send activity."""
        self.calls[outgoing.message_id] += 1
        make = self._queued_failures.popleft() if self._queued_failures else self._permanent_failure
        answer = None if make is None else make()
        if isinstance(answer, NotSent):
            raise answer
        self._accepted_messages.append(AcceptedMessage(self.channel, outgoing))
        if answer is not None:
            raise answer
        return Accepted(f"{self.provider}-{len(self._accepted_messages)}")

    async def aclose(self) -> None:
        """Do nothing: there are no connections."""

    def _queue_failure(self, answer: FailureFactory, times: int | None) -> None:
        if times is None:
            self._permanent_failure = answer
        else:
            self._queued_failures.extend([answer] * times)


class FakeProductCatalog:
    """Products by id, created with default details at their first use."""

    def __init__(self) -> None:
        self._described_items: dict[str, Item] = {}

    def describe(self, product: str, **details: Any) -> None:
        """Set details of a product: name, price, sku, category, image_url, url, …"""
        self._described_items[product] = Item(**{**self.to_item(product).model_dump(), **details})

    def to_item(self, product: str | Item) -> Item:
        """Return the product as a line of a cart."""
        if isinstance(product, Item):
            return product
        made_up = Item(
            product_id=product,
            name=product.replace("-", " ").replace("_", " ").capitalize(),
            price=_DEFAULT_PRICE,
        )
        return self._described_items.get(product, made_up)

    def event_properties(self, product: str | Item, **more: Any) -> dict[str, Any]:
        """Return the product as properties of an event."""
        return {**self.to_item(product).model_dump(exclude_none=True), **more}


def replace_activities(real: Sequence[Effect], stand_ins: Mapping[str, Effect]) -> list[Effect]:
    """Return the authors' activities, with stand-ins in place of those that have one."""
    kept = [effect for effect in real if activity_name(effect) not in stand_ins]
    made = [
        effect if activity_name(effect) == name else activity.defn(name=name)(_wrap_function(effect))
        for name, effect in stand_ins.items()
    ]
    return [*kept, *made]


def _wrap_function(effect: Effect) -> Effect:
    """Return a wrapper of a function, so that making it an activity does not change the test's function."""

    @functools.wraps(effect)
    async def answer(*arguments: Any) -> Any:
        result = effect(*arguments)
        return await result if inspect.iscoroutinefunction(effect) else result

    return answer
