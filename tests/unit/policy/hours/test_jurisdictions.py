"""Hours of places: whose rules hold, what they say at the hour, and what the shop may change."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from policy.checks.quiet_hours import applicable_hours
from policy.facts import ConsentFact, Facts, Plan
from policy.gate import decide
from policy.hours.jurisdictions import JURISDICTIONS, Jurisdiction, SourceVerification
from policy.hours.places import SOURCE_PHONE, SOURCE_ZONE, Place
from policy.hours.time_zones import zones_by_country
from policy.hours.us_states import US_STATES
from policy.hours.windows import QuietHours, Window
from policy.limits import Limits
from policy.verdict import Allow, Channel, CheckRecord, Defer, MessageClass, Reason, Withhold

LATER = datetime.fromisoformat("2028-12-31 00:00+00:00")

SMS = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", None, LATER)

YES = Facts(consents=(ConsentFact("all", "all", granted=True),))

EASTERN, CENTRAL, PARIS = "America/New_York", "America/Chicago", "Europe/Paris"

FRENCH_CALLS = Jurisdiction(
    (Window(time(10), time(13)), Window(time(14), time(20))),
    saturday=(),
    sunday=(),
    holidays=(),
    calendar="FR",
)


def somebody(zone: str, *places: str, source: str = "phone") -> Facts:
    known = tuple(Place(code[:2], code if "-" in code else "", SOURCE_PHONE) for code in places)
    return replace(YES, zone=zone, zone_source=source, zones=(zone,), places=known)


def local(zone: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def check_of(who: Facts, at: datetime, plan: Plan = SMS, limits: Limits | None = None) -> CheckRecord:
    verdict = decide(plan, who, limits or Limits(), at)
    [found] = [check for check in verdict.checks if check.name == "quiet_hours"]
    return found


@pytest.mark.parametrize(
    ("zone", "place", "at", "opens"),
    [
        pytest.param(EASTERN, "US-FL", "2026-06-01 19:59", None, id="Florida until eight"),
        pytest.param(EASTERN, "US-FL", "2026-06-01 20:00", "2026-06-02 08:00", id="Florida from eight"),
        pytest.param(
            EASTERN, "US-NY", "2026-06-01 20:59", None, id="a state without a rule: the federal one"
        ),
        pytest.param(CENTRAL, "US-TX", "2026-06-07 11:59", "2026-06-07 12:00", id="Texas on Sunday"),
        pytest.param(CENTRAL, "US-TX", "2026-06-08 08:59", "2026-06-08 09:00", id="Texas on Monday"),
        pytest.param(CENTRAL, "US-LA", "2026-07-03 12:00", "2026-07-06 08:00", id="observed, 4 July, Sunday"),
        pytest.param("America/Denver", "US-UT", "2026-07-24 12:00", "2026-07-25 08:00", id="Pioneer Day"),
        pytest.param(EASTERN, "US-RI", "2026-06-06 09:30", "2026-06-06 10:00", id="Rhode Island on Saturday"),
        pytest.param(PARIS, "FR", "2026-06-06 19:59", None, id="France on Saturday"),
        pytest.param(PARIS, "FR", "2026-05-23 20:00", "2026-05-26 08:00", id="Pentecost and Whit Monday"),
        pytest.param("Asia/Calcutta", "IN", "2026-06-06 09:30", "2026-06-06 10:00", id="India"),
        pytest.param("Europe/Berlin", "DE", "2026-06-07 20:59", None, id="no rule: the shop's own hours"),
    ],
)
def test_marketing_waits_for_the_hours_of_the_place(
    zone: str, place: str, at: str, opens: str | None
) -> None:
    verdict = decide(SMS, somebody(zone, place), Limits(), local(zone, at))

    if opens is None:
        assert isinstance(verdict, Allow)
    else:
        assert isinstance(verdict, Defer)
        assert verdict.until == local(zone, opens)
        assert verdict.reason is Reason.QUIET_HOURS


@pytest.mark.parametrize(
    ("zone", "place", "at", "expected"),
    [
        (
            EASTERN,
            "US-FL",
            "2026-06-07 20:30",
            "20:30 in Florida (from the phone number), America/New_York (from phone), open 08:00 to 20:00; "
            "next 08:00 on Monday",
        ),
        (
            CENTRAL,
            "US-LA",
            "2026-07-03 12:00",
            "12:00 in Louisiana (from the phone number), America/Chicago (from phone), closed on Friday "
            "(Independence Day (observed)); next 08:00 on Monday",
        ),
        (
            EASTERN,
            "US-FL",
            "2026-06-07 12:00",
            "12:00 in Florida (from the phone number), America/New_York (from phone), open 08:00 to 20:00",
        ),
    ],
)
def test_the_detail_says_where_when_and_until_when(zone: str, place: str, at: str, expected: str) -> None:
    assert expected == check_of(somebody(zone, place), local(zone, at)).detail


def test_transactional_messages_and_email_follow_the_shops_hours_alone() -> None:
    receipt = Plan(Channel.SMS, MessageClass.TRANSACTIONAL, "transactional", None, LATER)
    sunday = local(CENTRAL, "2026-06-07 12:00")
    louisianan = somebody(CENTRAL, "US-LA")

    assert check_of(louisianan, sunday, receipt).passed
    assert check_of(louisianan, sunday, replace(SMS, channel=Channel.EMAIL)).passed
    assert not check_of(louisianan, sunday, replace(SMS, channel=Channel.PUSH)).passed


def test_the_shops_hours_and_the_places_narrow_each_other() -> None:
    floridian = somebody(EASTERN, "US-FL")
    late, early = Limits(quiet_hours={Channel.SMS: QuietHours(time(10), time(23))}), Limits(quiet_hours={})

    assert not check_of(floridian, local(EASTERN, "2026-06-01 09:59"), limits=late).passed
    assert check_of(floridian, local(EASTERN, "2026-06-01 10:00"), limits=late).passed
    assert not check_of(floridian, local(EASTERN, "2026-06-01 20:00"), limits=late).passed
    assert not check_of(floridian, local(EASTERN, "2026-06-01 07:00"), limits=early).passed


def test_the_shop_replaces_adds_and_chooses_channels() -> None:
    lunch, evening = local(PARIS, "2026-06-02 13:30"), local(EASTERN, "2026-06-02 20:30")
    calls = Limits(jurisdictions={"FR": FRENCH_CALLS})
    none, emails = (
        Limits(jurisdiction_channels=()),
        Limits(jurisdiction_channels=(Channel.EMAIL, Channel.ADS)),
    )
    letter = replace(SMS, channel=Channel.EMAIL)

    assert check_of(somebody(PARIS, "FR"), lunch).passed
    refused = decide(SMS, somebody(PARIS, "FR"), calls, lunch)
    assert isinstance(refused, Defer)
    assert refused.until == local(PARIS, "2026-06-02 14:00")
    assert "open 10:00 to 13:00 and 14:00 to 20:00; next 14:00 on Tuesday" in refused.detail
    assert check_of(somebody(EASTERN, "US-FL"), evening, limits=none).passed
    assert not check_of(somebody(EASTERN, "US-FL"), evening, letter, emails).passed
    assert check_of(somebody(EASTERN, "US-FL"), evening, replace(SMS, channel=Channel.ADS), emails).passed


def test_an_entry_of_the_shop_may_be_a_region_of_any_country_and_proclaim_holidays() -> None:
    bavaria = Jurisdiction(
        (Window(time(9), time(18)),), holidays=(), days=(date(2026, 6, 4),), name="Bavaria"
    )
    limits = Limits(jurisdictions={"DE-BY": bavaria})
    corpus_christi, day_after = (
        local("Europe/Berlin", "2026-06-04 12:00"),
        local("Europe/Berlin", "2026-06-05 12:00"),
    )

    assert not check_of(somebody("Europe/Berlin", "DE-BY"), corpus_christi, limits=limits).passed
    assert check_of(somebody("Europe/Berlin", "DE-BY"), day_after, limits=limits).passed
    assert check_of(somebody("Europe/Berlin", "DE-HH"), corpus_christi, limits=limits).passed
    # Nothing is known of the Land: it may be that one.
    assert not check_of(somebody("Europe/Berlin", "DE"), corpus_christi, limits=limits).passed


def rules_for(who: Facts) -> set[str]:
    governing = applicable_hours(SMS, who, Limits())
    assert governing is not None
    return {one.name for one in governing.hours.hours if isinstance(one, Jurisdiction)}


def test_where_the_state_is_unknown_the_rules_of_all_states_hold() -> None:
    american = somebody(EASTERN, "US")
    everywhere = {entry.name for code, entry in JURISDICTIONS.items() if code.startswith("US")}

    assert everywhere == rules_for(american)
    detail = check_of(american, local(EASTERN, "2026-06-02 18:30")).detail
    assert f"region unknown, so the strictest of {len(everywhere)} rules" in detail
    assert "open 10:00 to 17:00" in detail


def test_a_zone_that_somebody_named_rules_out_the_states_with_other_clocks() -> None:
    pacific = rules_for(somebody("America/Los_Angeles", "US", source="traits"))
    louisville = rules_for(somebody("America/Kentucky/Louisville", "US", source="context"))

    assert pacific == {"the United States", "Nevada", "Washington"}
    assert {"Kentucky", "Florida", "Texas"} & louisville == {"Kentucky", "Florida"}


def test_where_number_and_zone_contradict_each_other_the_stricter_rule_holds() -> None:
    places = (Place("US", "US-FL", SOURCE_PHONE), Place("FR", "", SOURCE_ZONE))
    traveller = replace(somebody(PARIS, source="traits"), places=places)
    saturday, sunday = local(PARIS, "2026-06-06 12:00"), local(PARIS, "2026-06-07 12:00")

    assert rules_for(traveller) == {"Florida", "France"}
    assert check_of(traveller, saturday).passed
    assert not check_of(traveller, sunday).passed
    assert (
        "Florida (from the phone number) and France (from the time zone)"
        in check_of(traveller, sunday).detail
    )


def test_hours_that_never_meet_are_never_open() -> None:
    night = Limits(quiet_hours={Channel.SMS: QuietHours(time(22), time(6))})

    verdict = decide(SMS, somebody(EASTERN, "US-FL"), night, local(EASTERN, "2026-06-01 23:00"))

    assert isinstance(verdict, Withhold)
    assert verdict.reason is Reason.EXPIRED


def test_every_entry_says_what_it_is_and_where_it_is_from() -> None:
    for code, entry in JURISDICTIONS.items():
        country, _, region = code.partition("-")

        assert country in zones_by_country(), code
        assert not region or region in US_STATES, code
        assert entry.name, code
        assert entry.source, code
        assert entry.verified is not SourceVerification.SHOP, code
        assert (entry.holidays is None) == (not entry.calendar), code


def test_no_state_is_more_lenient_than_federal_law() -> None:
    federal = JURISDICTIONS["US"].open_spans(date(2026, 6, 1))[0]

    for code, entry in JURISDICTIONS.items():
        if code.startswith("US-"):
            for day in range(1, 8):
                for opens, closes in entry.open_spans(date(2026, 6, day)):
                    assert federal[0] <= opens < closes <= federal[1], code


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got 'Florida'\nspread: expected 0 or more on sms, got -1d"):
        Limits(jurisdictions={"Florida": FRENCH_CALLS}, spread={Channel.SMS: -timedelta(days=1)})
    with pytest.raises(ValueError, match=r"expected a calendar of public holidays among .*, got 'DE'"):
        Jurisdiction((), calendar="DE")
