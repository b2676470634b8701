"""Results of a send: values to wait on or to branch on."""

from dataclasses import dataclass

from policy.verdict import Channel, Reason


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider accepted the message."""

    template: str
    message_id: str
    channel: Channel
    items: tuple[str, ...] = ()
    """Keys of the items that it showed."""
    earlier: tuple[str, ...] = ()
    """After a fallback: ids of the message on the channels used before."""

    def __bool__(self) -> bool:
        return True

    @property
    def message_ids(self) -> tuple[str, ...]:
        """Ids of the message on every channel on which it was sent."""
        return (*self.earlier, self.message_id)


@dataclass(frozen=True, slots=True)
class Withheld:
    """The message was not sent; the reason is on record."""

    template: str
    reason: Reason | None
    detail: str = ""

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The message may have been sent: the provider's answer was lost. It is never sent again."""

    template: str
    message_id: str | None = None

    def __bool__(self) -> bool:
        return False


Message = Sent | Withheld | Unknown
