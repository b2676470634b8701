"""Decides when a customer has lapsed: by their own rhythm, else by the shop's word. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class LapseRules:
    """After how long without an order a customer has lapsed.

    Who came at least three times (several orders on one day, UTC, are one visit) is measured by their own
    rhythm: ``factor`` times the median gap between visits, kept within ``at_least`` and ``at_most``. For
    everybody else it is ``otherwise``. Raises ValueError where these cannot be.
    """

    factor: float = 2.0
    min_threshold: timedelta = timedelta(days=30)
    max_threshold: timedelta = timedelta(days=365)
    default_threshold: timedelta = timedelta(days=90)

    def __post_init__(self) -> None:
        if (
            self.factor <= 0
            or not timedelta(0) < self.min_threshold <= self.max_threshold
            or not self.default_threshold
        ):
            raise ValueError(f"expected factor > 0, 0 < at_least <= at_most and otherwise > 0, got {self}")


DEFAULT_LAPSE_RULES = LapseRules()

MIN_ORDERS_FOR_GAP = 3
"""Fewer make no rhythm."""


def lapse_threshold(
    orders: int, median_gap_days: float | None, rules: LapseRules = DEFAULT_LAPSE_RULES
) -> timedelta:
    """How long after their last order a customer with these orders and this rhythm has lapsed."""
    if orders < MIN_ORDERS_FOR_GAP or median_gap_days is None:
        return rules.default_threshold
    return min(max(timedelta(days=rules.factor * median_gap_days), rules.min_threshold), rules.max_threshold)


def lapse_state(
    last_order_at: datetime | None,
    orders: int,
    median_gap_days: float | None,
    now: datetime,
    rules: LapseRules = DEFAULT_LAPSE_RULES,
) -> str:
    """never_bought, active, at_risk or lapsed, at one moment.

    At risk is who has been away for more than half of ``lapse_after`` and not for all of it: with a factor
    of 2 that is for longer than their median gap, within the bounds that hold for everybody.
    """
    if last_order_at is None:
        return "never_bought"
    away, lapses = now - last_order_at, lapse_threshold(orders, median_gap_days, rules)
    if away > lapses:
        return "lapsed"
    return "at_risk" if away > lapses / 2 else "active"
