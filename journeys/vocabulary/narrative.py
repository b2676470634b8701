"""What an operator reads in Temporal UI: what the run waits for, and its story so far, in Markdown."""

from collections.abc import Callable
from datetime import datetime

from profiles.events import Event, ProductEvent

_MAX_LINES = 60
_MAX_LINE_LENGTH = 300


class CurrentDetails:
    """Lines of a story and one line about now; whatever changes is told at once."""

    def __init__(self, clock: Callable[[], datetime], publish: Callable[[str], None]) -> None:
        self._clock = clock
        self._tell = publish
        self._lines: list[str] = []
        self._now = "Starting."
        self._faults: list[str] = []

    def note(self, line: str) -> None:
        """Something happened."""
        self._lines.append(f"- {format_instant(self._clock())} {line[:_MAX_LINE_LENGTH]}")
        del self._lines[:-_MAX_LINES]
        self._tell(self.markdown())

    def say(self, line: str) -> None:
        """What the run is doing, or waiting for."""
        self._now = line
        self._tell(self.markdown())

    def fault(self, signal: str, error: str) -> None:
        """A signal that could not be read; counted, and shown."""
        self._faults.append(f"- `{signal}`: {error[:_MAX_LINE_LENGTH]}")
        self._tell(self.markdown())

    @property
    def faults(self) -> int:
        """How many signals could not be read."""
        return len(self._faults)

    def markdown(self) -> str:
        """The whole story."""
        parts = [f"**{self._now}**"]
        if self._lines:
            parts.append("#### So far\n" + "\n".join(self._lines))
        if self._faults:
            parts.append(f"#### {self.faults} signals could not be read\n" + "\n".join(self._faults[-5:]))
        return "\n\n".join(parts)


def describe_event(event: Event) -> str:
    """An event in a line: what, of which items, where."""
    items = (event.item,) if isinstance(event, ProductEvent) else getattr(event, "products", ())
    about = ", ".join(item.key for item in items if item.key)
    where = f" ({event.channel.value})" if event.channel else ""
    return f"{event.event_name}{f': {about}' if about else ''}{where}"


def format_instant(at: datetime) -> str:
    """An instant as people read it, in UTC."""
    return at.strftime("%a %d %b %H:%M UTC")
