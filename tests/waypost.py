"""All of Waypost in one process, from the testing kit, and the instant at which tests begin."""

from authoring.testing.calendar import DEFAULT_START as NOON
from authoring.testing.environment import Row, Waypost

__all__ = ["NOON", "Row", "Waypost"]
