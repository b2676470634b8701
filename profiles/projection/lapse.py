"""Decides when a customer has lapsed: by their own rhythm, else by the shop's word. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Lapse:
    """After how long without an order a customer has lapsed.

    Who came at least three times (several orders on one day, UTC, are one visit) is measured by their own
    rhythm: ``factor`` times the median gap between visits, kept within ``at_least`` and ``at_most``. For
    everybody else it is ``otherwise``. Raises ValueError where these cannot be.
    """

    factor: float = 2.0
    at_least: timedelta = timedelta(days=30)
    at_most: timedelta = timedelta(days=365)
    otherwise: timedelta = timedelta(days=90)

    def __post_init__(self) -> None:
        if self.factor <= 0 or not timedelta(0) < self.at_least <= self.at_most or not self.otherwise:
            raise ValueError(f"expected factor > 0, 0 < at_least <= at_most and otherwise > 0, got {self}")


DEFAULT_LAPSE = Lapse()

FEWEST_ORDERS = 3
"""Fewer make no rhythm."""


def lapse_after(orders: int, median_gap_days: float | None, lapse: Lapse = DEFAULT_LAPSE) -> timedelta:
    """How long after their last order a customer with these orders and this rhythm has lapsed."""
    if orders < FEWEST_ORDERS or median_gap_days is None:
        return lapse.otherwise
    return min(max(timedelta(days=lapse.factor * median_gap_days), lapse.at_least), lapse.at_most)


def lapse_state(
    last_order_at: datetime | None,
    orders: int,
    median_gap_days: float | None,
    now: datetime,
    lapse: Lapse = DEFAULT_LAPSE,
) -> str:
    """never_bought, active, at_risk or lapsed, at one moment.

    At risk is who has been away for more than half of ``lapse_after`` and not for all of it: with a factor
    of 2 that is for longer than their median gap, within the bounds that hold for everybody.
    """
    if last_order_at is None:
        return "never_bought"
    away, lapses = now - last_order_at, lapse_after(orders, median_gap_days, lapse)
    if away > lapses:
        return "lapsed"
    return "at_risk" if away > lapses / 2 else "active"
