"""All of Waypost in one process, from the testing kit, and the instant at which tests begin."""

from workers.testing.calendar import START as NOON
from workers.testing.waypost import Row, Waypost

__all__ = ["NOON", "Row", "Waypost"]
