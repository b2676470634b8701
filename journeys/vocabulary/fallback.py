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

MessageEventTypes = tuple[type[MessageEvent], ...]

SEEN_EVENTS: MessageEventTypes = (MessageOpened, MessageClicked, MessageReplied)
DELIVERED_EVENTS: MessageEventTypes = (MessageDelivered, *SEEN_EVENTS)


@dataclass(frozen=True, slots=True)
class Fallback:
    """Another channel, unless one of these events comes in time. A bounce does not wait for the time."""

    then: tuple[Channel, ...]
    unless: MessageEventTypes
    within: timedelta
    description: str
    """What did not happen: "not seen"."""

    @property
    def events(self) -> MessageEventTypes:
        """What a run has to be told of."""
        return (*self.unless, MessageBounced)


def if_not_seen(*, within: timedelta, then: Channel | tuple[Channel, ...]) -> Fallback:
    """On another channel unless the message was opened, followed or answered ``within`` that time.

    Mail programs open mail by themselves, so some people who never saw it get no second message.
    """
    return Fallback(_as_tuple(then), SEEN_EVENTS, within, "not seen")


def if_not_delivered(*, within: timedelta, then: Channel | tuple[Channel, ...]) -> Fallback:
    """On another channel unless the provider handed the message over ``within`` that time."""
    return Fallback(_as_tuple(then), DELIVERED_EVENTS, within, "not delivered")


def _as_tuple(channels: Channel | tuple[Channel, ...]) -> tuple[Channel, ...]:
    return channels if isinstance(channels, tuple) else (channels,)


EVENTS_BY_FALLBACK: dict[Callable[..., Fallback], MessageEventTypes] = {
    if_not_seen: (*SEEN_EVENTS, MessageBounced),
    if_not_delivered: (*DELIVERED_EVENTS, MessageBounced),
}
"""Events a run has to be told of where its code names the function."""
