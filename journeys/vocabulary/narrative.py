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
        self._publish = publish
        self._lines: list[str] = []
        self._status = "Starting."
        self._faults: list[str] = []

    def add_line(self, line: str) -> None:
        """Something happened."""
        self._lines.append(f"- {format_instant(self._clock())} {line[:_MAX_LINE_LENGTH]}")
        del self._lines[:-_MAX_LINES]
        self._publish(self.to_markdown())

    def set_status(self, line: str) -> None:
        """What the run is doing, or waiting for."""
        self._status = line
        self._publish(self.to_markdown())

    def add_fault(self, signal: str, error: str) -> None:
        """A signal that could not be read; counted, and shown."""
        self._faults.append(f"- `{signal}`: {error[:_MAX_LINE_LENGTH]}")
        self._publish(self.to_markdown())

    @property
    def fault_count(self) -> int:
        """How many signals could not be read."""
        return len(self._faults)

    def to_markdown(self) -> str:
        """The whole story."""
        parts = [f"**{self._status}**"]
        if self._lines:
            parts.append("#### So far\n" + "\n".join(self._lines))
        if self._faults:
            parts.append(
                f"#### {self.fault_count} signals could not be read\n" + "\n".join(self._faults[-5:])
            )
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
