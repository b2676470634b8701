"""What a person would really have received: the only ground truth for duplicates."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Delivery:
    """One message that the fake provider took."""

    provider: str
    to: str
    subject: str
    text: str
    message_id: str
    """Ours, from the custom arguments or the callback URL; empty where the request carried none."""
    provider_id: str
    html: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    callback: str = ""
    validity_s: int | None = None
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat())


class DeliveryLedger:
    """Deliveries in the order they were taken, and as JSON lines in a file where one is given.

    A line is in the file before any byte of the answer leaves.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.deliveries: list[Delivery] = []
        self._file = file

    def add(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(asdict(delivery)) + "\n")

    def clear(self) -> None:
        self.deliveries.clear()
        if self._file is not None:
            self._file.write_text("", encoding="utf-8")

    @staticmethod
    def read(file: Path) -> list[Delivery]:
        """Read a ledger file that another process writes."""
        if not file.exists():
            return []
        lines = file.read_text(encoding="utf-8").split("\n")
        return [Delivery(**json.loads(line)) for line in lines[:-1]]  # the last one may be half written
