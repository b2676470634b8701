"""What a person would really have received: the only ground truth for duplicates."""

from dataclasses import dataclass, field
from datetime import UTC, datetime


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
    """Deliveries in the order they were taken, each before any byte of its answer leaves."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    def add(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
