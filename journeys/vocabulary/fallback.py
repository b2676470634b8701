"""Fallbacks of a message: send it on another channel if it was not seen or not delivered."""

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
    """Another channel, unless one of these events arrives in time. A bounce ends the wait at once."""

    then: tuple[Channel, ...]
    unless: MessageEventTypes
    within: timedelta
    description: str
    """The condition in words, such as "not seen"."""

    @property
    def events(self) -> MessageEventTypes:
        """Events that a run has to receive."""
        return (*self.unless, MessageBounced)


def if_not_seen(*, within: timedelta, then: Channel | tuple[Channel, ...]) -> Fallback:
    """Fall back unless the message was opened, clicked or replied to ``within`` that time.

    Mail programs open mails automatically: some profiles who saw nothing get no second message.
    """
    return Fallback(_as_tuple(then), SEEN_EVENTS, within, "not seen")


def if_not_delivered(*, within: timedelta, then: Channel | tuple[Channel, ...]) -> Fallback:
    """Fall back unless the provider delivered the message ``within`` that time."""
    return Fallback(_as_tuple(then), DELIVERED_EVENTS, within, "not delivered")


def _as_tuple(channels: Channel | tuple[Channel, ...]) -> tuple[Channel, ...]:
    return channels if isinstance(channels, tuple) else (channels,)


EVENTS_BY_FALLBACK: dict[Callable[..., Fallback], MessageEventTypes] = {
    if_not_seen: (*SEEN_EVENTS, MessageBounced),
    if_not_delivered: (*DELIVERED_EVENTS, MessageBounced),
}
"""Events that a run has to receive where its code names the function."""
