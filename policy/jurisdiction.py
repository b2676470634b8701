"""When the rules of one place let marketing reach a phone: windows by kind of day, and their source."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from policy.public_holidays import CALENDARS, public_holidays
from policy.windows import Span, Window, shared

_SATURDAY, _SUNDAY = 5, 6


class Verified(StrEnum):
    """How far somebody has looked at the source."""

    TEXT = "text"
    """The words of the law itself were read, in a copy."""
    QUOTED = "quoted"
    """Quoted or summed up by a regulator, a law firm or the press."""
    VENDOR = "vendor"
    """Found in tables of vendors only; where they differ, the stricter one is kept."""
    SHOP = "shop"
    """The shop's own word."""


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """The hours of one place. Raises ValueError for a calendar nobody knows."""

    weekdays: tuple[Window, ...]
    """Windows from Monday to Friday; empty: closed."""
    saturday: tuple[Window, ...] | None = None
    """None: as on weekdays."""
    sunday: tuple[Window, ...] | None = None
    """None: as on weekdays."""
    holidays: tuple[Window, ...] | None = None
    """On public holidays, on top of what the day of the week says; None: nothing special."""
    calendar: str = ""
    """Whose public holidays, as in ``policy.public_holidays``; empty: only ``days``."""
    days: tuple[date, ...] = ()
    """More public holidays, such as those a governor proclaims."""
    name: str = ""
    """The place in English, for details."""
    source: str = ""
    """Law and section."""
    verified: Verified = Verified.SHOP

    def __post_init__(self) -> None:
        if self.calendar and self.calendar not in CALENDARS:
            raise ValueError(
                f"expected a calendar of public holidays among {', '.join(sorted(CALENDARS))}, "
                f"got {self.calendar!r}; list the days in `days` instead"
            )

    def holiday(self, day: date) -> str | None:
        """The name of the public holiday on ``day``, None where it is none."""
        known = public_holidays(self.calendar, day.year).get(day) if self.calendar else None
        return known or ("a public holiday" if day in self.days else None)

    def spans(self, day: date) -> tuple[Span, ...]:
        """When it is open on a local date."""
        weekend = {_SATURDAY: self.saturday, _SUNDAY: self.sunday}.get(day.weekday())
        windows = self.weekdays if weekend is None else weekend
        rules = [tuple(window.span for window in windows)]
        if self.holidays is not None and self.holiday(day):
            rules.append(tuple(window.span for window in self.holidays))
        return shared(rules)
