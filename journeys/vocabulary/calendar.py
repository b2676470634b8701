"""Days of the week."""

from enum import IntEnum


class Weekday(IntEnum):
    """As ``date.weekday()`` counts them."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6
