"""The pure half of the testing kit: a person in a line, and what the real gate says."""

import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from authoring import testing
from authoring.testing.calendar import DEFAULT_START, day_number, format_day_time, next_time_of_day
from authoring.testing.pure import Person, arm, person, verdict, why_not
from authoring.testing.timeline import Timeline
from policy.experiments import assign_arm
from policy.limits import Limits, SuppressionRule
from policy.verdict import Allow, Defer

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("who", "said"),
    [
        pytest.param(person(), None, id="nothing against it"),
        pytest.param(person(bought={"lamp": 3 * DAY}), "purchased", id="bought three days ago"),
        pytest.param(person(bought={"lamp": 400 * DAY}), None, id="bought longer ago than a year"),
        pytest.param(person(bought={"chair": DAY}), None, id="bought something else"),
        pytest.param(person(consents={}), "no_consent", id="never asked"),
        pytest.param(person(consents={}, is_customer=True), None, id="a customer's address"),
        pytest.param(person(consents={"email": False}), "opted_out", id="said no"),
        pytest.param(person(opted_out=["all"]), "opted_out", id="their address is opted out"),
        pytest.param(person(sent=[("email", HOUR), ("email", 2 * HOUR)]), "capped", id="two today"),
        pytest.param(person(sent=[("email", HOUR), ("email", 25 * HOUR)]), None, id="one of them yesterday"),
        pytest.param(person(bounced=True), "bounced", id="their address bounced"),
        pytest.param(person(has_address=False), "no_address", id="nowhere to write to"),
        pytest.param(person(erased=True), "erased", id="erased"),
        pytest.param(person(cart=["chair"]), "run_ended", id="no longer in the cart"),
        pytest.param(person(sold_out=["lamp"]), "out_of_stock", id="sold out"),
        pytest.param(person(held=["a support ticket 17"]), "lower_priority", id="a ticket is open"),
        pytest.param(person(run="ended"), "run_ended", id="the run is over"),
    ],
)
def test_a_person_in_a_line_is_judged_by_the_real_gate(who: Person, said: str | None) -> None:
    assert why_not(verdict(who, promoting=["lamp"])) == said


def test_what_was_bought_drops_out_of_what_is_promoted() -> None:
    said = verdict(person(bought={"lamp": DAY}), promoting=["lamp", "chair"])

    assert said == Allow(items=("chair",), removed=("lamp",))


def test_an_sms_at_night_waits_for_eight_by_their_own_clock() -> None:
    night = datetime(2030, 1, 15, 23, 0, tzinfo=ZoneInfo("Asia/Tokyo"))
    said = verdict(person(zone="Asia/Tokyo"), channel="sms", at=night)

    assert isinstance(said, Defer)
    assert said.until == datetime(2030, 1, 16, 8, 0, tzinfo=ZoneInfo("Asia/Tokyo"))


def test_the_shops_own_limits_count() -> None:
    assert why_not(verdict(person(), limits=Limits(kill_switches=("email",)))) == "kill_switch"


def test_transactional_mail_needs_no_consent() -> None:
    assert why_not(verdict(person(consents={}), "transactional")) is None


def test_the_shops_own_rules_of_suppression_count() -> None:
    limits = Limits(suppression=(SuppressionRule(timedelta(0), product="coffee"),))
    who = person(bought={"coffee": DAY, "lamp": DAY})

    assert verdict(who, promoting=["coffee", "lamp"], limits=limits) == Allow(("coffee",), ("lamp",))


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="pigeon"):
        verdict(person(), channel="pigeon")


def test_the_arm_is_the_one_a_story_would_get() -> None:
    ada = person("0190f7a2-0000-7000-8000-000000000001")

    assert arm(ada, "offer", offer=50, control=50) == assign_arm(
        ada.id, "offer", {"offer": 50, "control": 50}
    )
    assert {arm(person(str(n)), "offer", offer=50, control=50) for n in range(20)} == {"offer", "control"}


def test_decisions_load_neither_temporal_nor_a_database() -> None:
    code = (
        "import sys, authoring.testing.pure; "
        "print([m for m in ('temporalio', 'asyncpg', 'sqlalchemy', 'pytest') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_kit_offers_these_names_and_no_more() -> None:
    assert testing.__all__ == [
        *("Received", "Shop", "Shopper", "StoryFailed", "TellingFault", "Withheld", "with_journeys")
    ]
    assert all(callable(getattr(testing, name)) for name in testing.__all__)
    with pytest.raises(AttributeError, match="it has Received, Shop, Shopper"):
        testing.Shoper  # noqa: B018 - the attribute is what is asked for


def test_the_calendar_starts_at_noon_on_a_monday_ahead() -> None:
    local = DEFAULT_START.astimezone(ZoneInfo("Europe/Berlin"))

    assert (local.strftime("%A"), local.hour, local.month) == ("Monday", 12, 6)
    assert datetime.now(UTC) < DEFAULT_START


def test_days_are_counted_by_the_shoppers_own_midnight() -> None:
    assert format_day_time(DEFAULT_START + 21 * HOUR, DEFAULT_START, "Europe/Berlin") == "day 2 09:00"
    assert day_number(DEFAULT_START + 12 * HOUR, DEFAULT_START, "Europe/Berlin") == 2
    assert day_number(DEFAULT_START + 12 * HOUR, DEFAULT_START, "America/New_York") == 1


def test_the_next_time_a_clock_shows_is_never_now() -> None:
    assert next_time_of_day(DEFAULT_START, time(12), "Europe/Berlin") == DEFAULT_START + DAY
    assert next_time_of_day(DEFAULT_START, time(12, 30), "Europe/Berlin") == DEFAULT_START + HOUR / 2
    assert next_time_of_day(DEFAULT_START, time(9), "Europe/Berlin") == DEFAULT_START + 21 * HOUR


def test_what_a_run_says_in_utc_is_shown_by_the_shoppers_clock() -> None:
    timeline = Timeline("Ada", "Europe/Berlin", DEFAULT_START)
    later, new_year = DEFAULT_START + DAY, datetime(DEFAULT_START.year + 1, 1, 1, 11, tzinfo=UTC)

    said = f"until {later:%a %d %b %H:%M} UTC"
    assert timeline.localise_times(said, DEFAULT_START) == "until day 2 12:00"
    said = f"until {new_year:%a %d %b %H:%M} UTC"
    assert timeline.localise_times(said, new_year - DAY) == f"until {timeline.when(new_year)}"
