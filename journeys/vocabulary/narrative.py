"""Current details of a run in Temporal UI: its past steps and its current status, in Markdown."""

from collections.abc import Callable
from datetime import datetime

from profiles.events import Event, ProductEvent

_MAX_LINES = 60
_MAX_LINE_LENGTH = 300


class CurrentDetails:
    """Lines for past steps and one line for the current status. Each change is published at once."""

    def __init__(self, clock: Callable[[], datetime], publish: Callable[[str], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._lines: list[str] = []
        self._status = "Starting."
        self._has_ended = False
        self._faults: list[str] = []

    def add_line(self, line: str) -> None:
        """Add a past step."""
        self._lines.append(f"- {format_instant(self._clock())} {line[:_MAX_LINE_LENGTH]}")
        del self._lines[:-_MAX_LINES]
        self._publish(self.to_markdown())

    def set_status(self, line: str) -> None:
        """Set what the run is doing or waiting for."""
        self._status = line
        self._publish(self.to_markdown())

    def end(self, line: str) -> None:
        """Set the last status: the run has ended."""
        self._has_ended = True
        self.set_status(line)

    def add_fault(self, signal: str, error: str) -> None:
        """Count and show a signal that could not be read."""
        self._faults.append(f"- `{signal}`: {error[:_MAX_LINE_LENGTH]}")
        self._publish(self.to_markdown())

    def to_markdown(self) -> str:
        """Return all lines as Markdown."""
        parts = [f"**{self._status}**"]
        if self._lines:
            title = "What happened" if self._has_ended else "So far"
            parts.append(f"#### {title}\n" + "\n".join(self._lines))
        if self._faults:
            parts.append(
                f"#### {len(self._faults)} signals could not be read\n" + "\n".join(self._faults[-5:])
            )
        return "\n\n".join(parts)


def describe_event(event: Event) -> str:
    """Describe an event in one line: name, items, channel."""
    items = (event.item,) if isinstance(event, ProductEvent) else getattr(event, "products", ())
    about = ", ".join(item.key for item in items if item.key)
    where = f" ({event.channel.value})" if event.channel else ""
    return f"{event.event_name}{f': {about}' if about else ''}{where}"


def format_instant(at: datetime) -> str:
    """Return an instant as text, in UTC."""
    return at.strftime("%a %d %b %H:%M UTC")
