"""The table of places with their own rules on hours. No legal advice.

Laws on telephone solicitation are applied to both SMS and push: whether a text is a "call" differs by law
and by court. Where sources differ, or a law is ambiguous, the stricter reading is used and the entry says so.
A region's entry replaces its country's. ``Limits.jurisdictions`` replaces entries of this table.
``Limits.quiet_hours`` can only narrow both.
"""

from dataclasses import dataclass, replace
from datetime import date, time
from enum import StrEnum
from typing import Any

from policy.hours.holidays import CALENDAR_CODES, public_holidays
from policy.hours.windows import Span, Window, intersect_spans

_SATURDAY, _SUNDAY = 5, 6


class SourceVerification(StrEnum):
    """How the source was verified."""

    TEXT = "text"
    """The text of the law was read, in a copy."""
    QUOTED = "quoted"
    """Quoted or summarized by a regulator, a law firm or the press."""
    VENDOR = "vendor"
    """Listed in tables of vendors only; where they differ, the stricter one is used."""
    SHOP = "shop"


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """The hours of one place. Raises ValueError for an unknown calendar."""

    weekdays: tuple[Window, ...]
    """Windows from Monday to Friday; empty: closed."""
    saturday: tuple[Window, ...] | None = None
    """None: as on weekdays."""
    sunday: tuple[Window, ...] | None = None
    """None: as on weekdays."""
    holidays: tuple[Window, ...] | None = None
    """On public holidays, in addition to the weekday's; None: no restriction."""
    calendar: str = ""
    """The calendar of public holidays, as in ``policy.hours.holidays``; empty: only ``days``."""
    days: tuple[date, ...] = ()
    """Additional public holidays, such as those proclaimed by a governor."""
    name: str = ""
    """The place in English, for details."""
    source: str = ""
    """Law and section."""
    verified: SourceVerification = SourceVerification.SHOP

    def __post_init__(self) -> None:
        if self.calendar and self.calendar not in CALENDAR_CODES:
            raise ValueError(
                f"expected a calendar of public holidays among {', '.join(sorted(CALENDAR_CODES))}, "
                f"got {self.calendar!r}; list the days in `days` instead"
            )

    def holiday_name(self, day: date) -> str | None:
        """Return the name of the public holiday on ``day``; None where it is none."""
        known = public_holidays(self.calendar, day.year).get(day) if self.calendar else None
        return known or ("a public holiday" if day in self.days else None)

    def open_spans(self, day: date) -> tuple[Span, ...]:
        """Return the open spans of a local date."""
        weekend = {_SATURDAY: self.saturday, _SUNDAY: self.sunday}.get(day.weekday())
        windows = self.weekdays if weekend is None else weekend
        rules = [tuple(window.span for window in windows)]
        if self.holidays is not None and self.holiday_name(day):
            rules.append(tuple(window.span for window in self.holidays))
        return intersect_spans(rules)


_TEXT, _QUOTED, _VENDOR = SourceVerification.TEXT, SourceVerification.QUOTED, SourceVerification.VENDOR


# pragma: no mutate start, called at import only
def _daily_window(opens: int, closes: int) -> tuple[Window, ...]:
    return (Window(time(opens), time(closes)),)


def _closed_on_sundays_and_holidays(calendar: str) -> dict[str, Any]:
    return {"sunday": (), "holidays": (), "calendar": calendar}


def _every_day(name: str, opens: int, closes: int, source: str, verified: SourceVerification) -> Jurisdiction:
    return Jurisdiction(_daily_window(opens, closes), name=name, source=source, verified=verified)


# pragma: no mutate end
_US_FEDERAL = _every_day("the United States", 8, 21, "47 CFR 64.1200(c)(1)", _TEXT)

_US_TERRITORIES = {
    "AS": "American Samoa",
    "GU": "Guam",
    "MP": "the Northern Mariana Islands",
    "PR": "Puerto Rico",
    "VI": "the U.S. Virgin Islands",
}

_FRANCE = Jurisdiction(
    _daily_window(8, 20),
    **_closed_on_sundays_and_holidays("FR"),
    name="France",
    source="rule of the mobile carriers for commercial SMS; vendors say 8 to 20 or to 22. Decree 2022-1313 "
    "(Code de la consommation, D. 223-9: Monday to Friday 10 to 13 and 14 to 20) is about voice calls, and "
    "not about people who agreed beforehand, as marketing by SMS demands anyway: not applied",
    verified=_VENDOR,
)

_FRENCH_OVERSEAS = {
    "GF": "French Guiana",
    "GP": "Guadeloupe",
    "MQ": "Martinique",
    "RE": "Réunion",
    "YT": "Mayotte",
}

JURISDICTIONS: dict[str, Jurisdiction] = {
    "FR": _FRANCE,
    **{code: replace(_FRANCE, name=name, calendar=code) for code, name in _FRENCH_OVERSEAS.items()},
    "IN": _every_day(
        "India", 10, 21, "TRAI, TCCCPR 2018; sources differ (9 or 10), the stricter kept", _VENDOR
    ),
    "US": _US_FEDERAL,
    **{code: replace(_US_FEDERAL, name=name) for code, name in _US_TERRITORIES.items()},
    "US-AL": Jurisdiction(
        _daily_window(8, 20),
        **_closed_on_sundays_and_holidays("US-AL"),
        name="Alabama",
        source="Ala. Code 8-19A and 8-19C, Public Service Commission rules; the section was not found",
        verified=_VENDOR,
    ),
    "US-CT": _every_day(
        "Connecticut",
        9,
        20,
        "Conn. Gen. Stat. 42-288a, which names texts; sources differ (until 20 or 21), stricter kept",
        _VENDOR,
    ),
    "US-FL": _every_day("Florida", 8, 20, "Fla. Stat. 501.616(6)(a)", _TEXT),
    "US-IL": _every_day("Illinois", 9, 21, "815 ILCS 305; about recorded calls, kept as stricter", _VENDOR),
    "US-KY": _every_day("Kentucky", 10, 21, "Ky. Rev. Stat. 367.46955", _VENDOR),
    "US-LA": Jurisdiction(
        _daily_window(8, 20),
        **_closed_on_sundays_and_holidays("US-LA"),
        name="Louisiana",
        source="La. Pub. Serv. Comm'n General Order R-29617, V(A); La. R.S. 45:811. What a governor "
        "proclaims adds days: put them into `days`",
        verified=_QUOTED,
    ),
    "US-MA": _every_day("Massachusetts", 8, 20, "Mass. Gen. Laws ch. 159C", _VENDOR),
    "US-MD": _every_day("Maryland", 8, 20, "Md. Code, Com. Law 14-4502", _QUOTED),
    "US-ME": Jurisdiction(
        _daily_window(9, 17),
        saturday=(),
        sunday=(),
        name="Maine",
        source="Me. Rev. Stat. tit. 10, 1498; about automated calls, kept as stricter",
        verified=_VENDOR,
    ),
    "US-MI": _every_day("Michigan", 9, 21, "Mich. Comp. Laws 445.111 ff.", _VENDOR),
    "US-MN": _every_day("Minnesota", 9, 21, "Minn. Stat. 325E.30", _VENDOR),
    "US-MS": Jurisdiction(
        _daily_window(8, 20),
        **_closed_on_sundays_and_holidays("US-MS"),
        name="Mississippi",
        source="Miss. Code 77-3-723 (hours and Sundays); holidays as vendors list them, kept as stricter",
        verified=_TEXT,
    ),
    "US-NJ": _every_day(
        "New Jersey", 8, 20, "N.J. Stat. 56:8-119 ff.; one vendor's table, kept as stricter", _VENDOR
    ),
    "US-NM": _every_day("New Mexico", 9, 21, "N.M. Stat. 57-12-22", _VENDOR),
    "US-NV": _every_day("Nevada", 9, 20, "Nev. Rev. Stat. ch. 597 and 599B", _VENDOR),
    "US-OK": _every_day("Oklahoma", 8, 20, "Okla. Stat. tit. 15, 775C.4", _QUOTED),
    "US-PA": Jurisdiction(
        _daily_window(9, 19),
        **_closed_on_sundays_and_holidays("US-PA"),
        name="Pennsylvania",
        source="73 Pa. Stat. 2245(a)(10) (holidays); hours and Sundays as in Senate Bill 992 of 2025 when it "
        "passed the Senate, which names texts: whether and how it became law was not seen, kept as stricter",
        verified=_QUOTED,
    ),
    "US-RI": Jurisdiction(
        _daily_window(9, 18),
        saturday=_daily_window(10, 17),
        **_closed_on_sundays_and_holidays("US-RI"),
        name="Rhode Island",
        source="R.I. Gen. Laws 5-61-3.6 with 5-61-2; vendors also say 10 to 17 on Sundays, the stricter kept",
        verified=_VENDOR,
    ),
    "US-SD": Jurisdiction(
        _daily_window(9, 21),
        saturday=(),
        sunday=(),
        name="South Dakota",
        source="S.D. Codified Laws 37-30-28; about automated dialing, kept as stricter",
        verified=_TEXT,
    ),
    "US-TX": Jurisdiction(
        _daily_window(9, 21),
        sunday=_daily_window(12, 21),
        name="Texas",
        source="Tex. Bus. & Com. Code 301.051; ch. 302 names texts since 2025-09-01 (S.B. 140)",
        verified=_QUOTED,
    ),
    "US-UT": Jurisdiction(
        _daily_window(8, 21),
        **_closed_on_sundays_and_holidays("US-UT"),
        name="Utah",
        source="Utah Code 13-25a-103(3); not about people who agreed beforehand, kept as stricter",
        verified=_TEXT,
    ),
    "US-WA": _every_day("Washington", 8, 20, "RCW 19.158.040(2)", _TEXT),
    "US-WY": _every_day("Wyoming", 8, 20, "Wyo. Stat. 40-12-302; one vendor's table", _VENDOR),
}
"""ISO 3166-1 code of the country, or ISO 3166-2 code of the region → its hours."""
