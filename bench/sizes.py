"""Sizes of the measurements."""

from dataclasses import dataclass

SEED = 20261121
"""Seed of all generated traffic, so that every run measures the same events."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Counts per repeat. Each repeat measures Waypost and the bare counterpart one after the other."""

    name: str
    repeats: int
    singles: int
    """Events sent one by one."""
    batches: int
    batch: int
    """Events in each batch."""
    runs: int
    """Runs of the cart journey, and of its bare counterpart."""
    purchases: int
    """Measured purchases at each load."""
    decisions: int
    """Decisions of the gate, at each number of writers."""
    few: int = 10_000
    """Size of the small population."""
    many: int = 1_000_000
    """Size of the large population, with which an event must not cost more than with the small one."""


QUICK = Sizes(
    "quick", repeats=3, singles=300, batches=2, batch=500, runs=20, purchases=34, decisions=200, many=100_000
)
DEFAULT = Sizes(
    "default", repeats=3, singles=1000, batches=5, batch=500, runs=40, purchases=50, decisions=600
)
FULL = Sizes("full", repeats=5, singles=6000, batches=40, batch=500, runs=200, purchases=200, decisions=1000)
