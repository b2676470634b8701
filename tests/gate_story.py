"""What the gate must say of one person after any story, in as few lines as it can be said."""

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
HERE = ZoneInfo("Europe/Berlin")


@dataclass
class Story:
    """All that has happened, and the verdict it leads to."""

    bought: dict[str, datetime] = field(default_factory=dict)
    """Product → when the last of its orders that stand stops to suppress it."""
    said: dict[str, bool] = field(default_factory=dict)
    sent: list[tuple[str, datetime]] = field(default_factory=list)
    is_customer: bool = False
    """The address has come with an order."""

    def verdict(
        self, channel: str, products: list[str], at: datetime, expires: datetime
    ) -> tuple[str, list[str]]:
        """The reason, or "allow", and what may be shown."""
        left = [product for product in products if self.bought.get(product, at) <= at]
        day = sum(1 for sent_on, when in self.sent if sent_on == channel and when > at - DAY)
        week = sum(1 for _, when in self.sent if when > at - 7 * DAY)
        night = channel in ("sms", "push") and not time(8) <= at.astimezone(HERE).time() < time(21)
        if not self.said.get(channel, True) or not self.said.get("all", True):
            return "opted_out", []
        unasked = channel == "email" and self.is_customer
        if not self.said.get(channel, self.said.get("all", unasked)):
            return "no_consent", []
        if not left:
            return "purchased", []
        if day >= {"email": 2, "sms": 1}.get(channel, 99) or week >= 5:
            return "capped", []
        if night:
            local = at.astimezone(HERE)
            opening = datetime.combine(local.date() + (local.hour >= 8) * DAY, time(8), HERE)
            return ("expired" if opening >= expires else "quiet_hours"), []
        return "allow", left
