"""What to do about a message that was sent and did not get through: the same one on another channel."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from policy.verdict import Channel
from profiles.events import (
    MessageBounced,
    MessageClicked,
    MessageDelivered,
    MessageEvent,
    MessageOpened,
    MessageReplied,
)

Kinds = tuple[type[MessageEvent], ...]

SEEN: Kinds = (MessageOpened, MessageClicked, MessageReplied)
ARRIVED: Kinds = (MessageDelivered, *SEEN)


@dataclass(frozen=True, slots=True)
class Fallback:
    """Another channel, unless one of these events comes in time. A bounce does not wait for the time."""

    then: tuple[Channel, ...]
    unless: Kinds
    within: timedelta
    says: str
    """What did not happen: "not seen"."""

    @property
    def events(self) -> Kinds:
        """What a run has to be told of."""
        return (*self.unless, MessageBounced)


def if_not_seen(*, within: timedelta, then: Channel | tuple[Channel, ...]) -> Fallback:
    """On another channel unless the message was opened, followed or answered ``within`` that time.

    Mail programs open mail by themselves, so some people who never saw it get no second message.
    """
    return Fallback(_all(then), SEEN, within, "not seen")


def if_not_delivered(*, within: timedelta, then: Channel | tuple[Channel, ...]) -> Fallback:
    """On another channel unless the provider handed the message over ``within`` that time."""
    return Fallback(_all(then), ARRIVED, within, "not delivered")


def _all(channels: Channel | tuple[Channel, ...]) -> tuple[Channel, ...]:
    return channels if isinstance(channels, tuple) else (channels,)


LISTENS: dict[Callable[..., Fallback], Kinds] = {
    if_not_seen: (*SEEN, MessageBounced),
    if_not_delivered: (*ARRIVED, MessageBounced),
}
"""Events a run has to be told of where its code names the function."""
