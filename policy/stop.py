"""What an operator may stop, and a switch that is on."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class StopKind(StrEnum):
    """What a kill switch is about."""

    ALL = "all"
    CHANNEL = "channel"
    JOURNEY = "journey"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Stop:
    """A kill switch that is on."""

    kind: StopKind
    name: str
    """Of the channel, journey or template; "all" for everything."""
    since: datetime

    @property
    def words(self) -> str:
        """As operators say it: "channel sms", "everything"."""
        return "everything" if self.kind is StopKind.ALL else f"{self.kind.value} {self.name}"
