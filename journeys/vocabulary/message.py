"""What came of a message: a value to wait on or branch on."""

from dataclasses import dataclass

from policy.verdict import Channel, Reason


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider accepted it."""

    template: str
    message_id: str
    channel: Channel
    items: tuple[str, ...] = ()
    """Keys of the items it showed."""
    earlier: tuple[str, ...] = ()
    """Ids of the message on the channels it was sent on before, where it fell back."""

    def __bool__(self) -> bool:
        return True

    @property
    def message_ids(self) -> tuple[str, ...]:
        """Ids of the message on every channel it was sent on."""
        return (*self.earlier, self.message_id)


@dataclass(frozen=True, slots=True)
class Withheld:
    """Not sent, with the reason that is on record."""

    template: str
    reason: Reason | None
    detail: str = ""

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Perhaps sent: the provider's answer was lost. It is never sent again."""

    template: str
    message_id: str | None = None

    def __bool__(self) -> bool:
        return False


Message = Sent | Withheld | Unknown
