"""Days of the week, for ``sleep_until``."""

from enum import IntEnum


class Weekday(IntEnum):
    """Numbered as by ``date.weekday()``."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6
