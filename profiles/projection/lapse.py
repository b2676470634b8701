"""When a customer has lapsed: by the gaps between their visits, else by the shop's default. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class LapseRules:
    """After how long without an order a customer has lapsed.

    With at least three visits (several orders on one UTC day are one visit) it is ``factor`` times the median
    gap between visits, limited to ``min_threshold`` and ``max_threshold``. For all others it is
    ``default_threshold``. Raises ValueError if the values contradict each other.
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
            raise ValueError(
                "expected factor > 0, 0 < min_threshold <= max_threshold and default_threshold > 0, "
                f"got {self}"
            )


DEFAULT_LAPSE_RULES = LapseRules()

MIN_ORDERS_FOR_GAP = 3
"""With fewer orders the median gap is not used."""


def lapse_threshold(
    orders: int, median_gap_days: float | None, rules: LapseRules = DEFAULT_LAPSE_RULES
) -> timedelta:
    """Return how long after the last order a customer with these orders and this median gap has lapsed."""
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
    """Return never_bought, active, at_risk or lapsed, at one instant.

    At risk: without an order for more than half of ``lapse_threshold``, and not for all of it. With a factor
    of 2 that is longer than the median gap, within the limits of ``rules``.
    """
    if last_order_at is None:
        return "never_bought"
    elapsed, threshold = now - last_order_at, lapse_threshold(orders, median_gap_days, rules)
    if elapsed > threshold:
        return "lapsed"
    return "at_risk" if elapsed > threshold / 2 else "active"
