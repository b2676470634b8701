"""The hours of a place once more, as plainly as they can be said: look at the wall clock and the day."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

from policy.hours.jurisdictions import Jurisdiction
from policy.hours.windows import QuietHours


def open_by_model(hours: QuietHours | Jurisdiction, zone: str, at: datetime) -> bool:
    """Whether the hours are open, by the clock on the wall in the zone."""
    here = at.astimezone(ZoneInfo(zone))
    clock, day = here.time(), here.weekday()
    if isinstance(hours, QuietHours):
        after, before = clock >= hours.opens, clock < hours.closes
        return (after and before) if hours.opens < hours.closes else (after or before)
    windows = hours.weekdays
    if day == 5 and hours.saturday is not None:
        windows = hours.saturday
    if day == 6 and hours.sunday is not None:
        windows = hours.sunday
    inside = any(one.opens <= clock and (clock < one.closes or one.closes == time()) for one in windows)
    if hours.holidays is None or not hours.holiday_name(here.date()):
        return inside
    return inside and any(one.opens <= clock < one.closes for one in hours.holidays)
