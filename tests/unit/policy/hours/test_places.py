"""Places: where somebody may be by address, phone number and zone, and the clocks they may live by."""

from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import geocoder

from policy.hours.places import (
    SOURCE_ADDRESS,
    SOURCE_PHONE,
    SOURCE_ZONE,
    Place,
    add_place_zones,
    country_for_zone,
    parse_country,
    resolve_places,
)
from policy.hours.time_zones import ResolvedZone, canonical_zone, resolve_zone
from policy.hours.us_states import US_STATES, parse_state, state_for_phone

FLORIDIAN, CALIFORNIAN, TOLL_FREE, PARISIAN = "+13055550123", "+14155550123", "+18005550123", "+33612345678"

UNKNOWN = ResolvedZone("UTC", "default", ("UTC",))

EASTERN, BERLIN = "America/New_York", "Europe/Berlin"


def said(zone: str) -> ResolvedZone:
    return ResolvedZone(zone, "traits", (zone,))


@pytest.mark.parametrize(
    ("traits", "phone", "zone", "expected"),
    [
        pytest.param({}, None, UNKNOWN, (), id="nothing is known"),
        pytest.param({}, FLORIDIAN, UNKNOWN, (Place("US", "US-FL", SOURCE_PHONE),), id="an area code"),
        pytest.param({}, TOLL_FREE, UNKNOWN, (Place("US", "", SOURCE_PHONE),), id="a number of no state"),
        pytest.param({}, PARISIAN, UNKNOWN, (Place("FR", "", SOURCE_PHONE),), id="a country code"),
        pytest.param({}, "+88212345678", UNKNOWN, (), id="a number of no country"),
        pytest.param({}, "0305550123", UNKNOWN, (), id="no number"),
        pytest.param(
            {"address": {"country": "us", "state": "Texas"}},
            FLORIDIAN,
            UNKNOWN,
            (Place("US", "US-TX", SOURCE_ADDRESS),),
            id="people keep their number when they move",
        ),
        pytest.param(
            {"address": {"country": "United States"}},
            FLORIDIAN,
            UNKNOWN,
            (Place("US", "US-FL", SOURCE_PHONE),),
            id="the number says which state",
        ),
        pytest.param(
            {"address": {"state": "CA"}},
            FLORIDIAN,
            UNKNOWN,
            (Place("US", "US-CA", SOURCE_ADDRESS),),
            id="the number says which country the state is of",
        ),
        pytest.param(
            {"region": "us-la"}, None, UNKNOWN, (Place("US", "US-LA", SOURCE_ADDRESS),), id="an ISO code"
        ),
        pytest.param({"state": "CA"}, None, UNKNOWN, (), id="a state of no country"),
        pytest.param(
            {"country": "DE", "region": "DE-BY"},
            None,
            UNKNOWN,
            (Place("DE", "DE-BY", SOURCE_ADDRESS),),
            id="a Land",
        ),
        pytest.param(
            {"country": "DE"},
            FLORIDIAN,
            UNKNOWN,
            (Place("DE", "", SOURCE_ADDRESS), Place("US", "US-FL", SOURCE_PHONE)),
            id="address and number contradict each other: both",
        ),
        pytest.param(
            {},
            FLORIDIAN,
            said(BERLIN),
            (Place("US", "US-FL", SOURCE_PHONE), Place("DE", "", SOURCE_ZONE)),
            id="number and zone contradict each other: both",
        ),
        pytest.param(
            {}, FLORIDIAN, said("US/Eastern"), (Place("US", "US-FL", SOURCE_PHONE),), id="an old name"
        ),
        pytest.param({}, None, said("Asia/Calcutta"), (Place("IN", "", SOURCE_ZONE),), id="only a zone"),
        pytest.param({}, None, said("UTC"), (), id="a zone of no country"),
        pytest.param({"address": "Berlin", "country": 7}, None, UNKNOWN, (), id="no words"),
    ],
)
def test_a_place_is_what_address_number_and_zone_say(
    traits: dict[str, Any], phone: str | None, zone: ResolvedZone, expected: tuple[Place, ...]
) -> None:
    assert expected == resolve_places(traits, phone, zone)


def test_the_default_zone_of_the_shop_says_nothing_of_a_person() -> None:
    assert resolve_places({}, None, ResolvedZone(EASTERN, "default", (EASTERN,))) == ()


TEXT = st.none() | st.text(max_size=12) | st.sampled_from(["US", "us-fl", "Florida", "Germany", "CA"])


@settings(deadline=None)  # the first call reads the numbering plans
@given(
    TEXT, TEXT, st.none() | st.from_regex(r"\+[0-9]{1,15}", fullmatch=True), st.sampled_from(["UTC", BERLIN])
)
def test_whatever_people_type_their_places_have_codes_and_clocks(
    country: str | None, state: str | None, phone: str | None, default: str
) -> None:
    zone = resolve_zone(None, None, phone, default)
    places = resolve_places({"address": {"country": country, "state": state}}, phone, zone)
    there = add_place_zones(places, zone)

    assert all(len(place.country) == 2 and place.region[:2] in ("", place.country) for place in places)
    assert there.zone in there.zones
    assert all(canonical_zone(one) == one for one in there.zones)


@pytest.mark.parametrize(
    ("traits", "phone", "named", "expected"),
    [
        pytest.param({}, FLORIDIAN, None, (EASTERN,), id="the number's own"),
        pytest.param(
            {"country": "US", "state": "FL"}, None, None, ("America/Chicago", EASTERN), id="those of a state"
        ),
        pytest.param(
            {"country": "US", "state": "FL"},
            CALIFORNIAN,
            None,
            ("America/Chicago", "America/Los_Angeles", EASTERN),
            id="a number from elsewhere: its own and those of the state",
        ),
        pytest.param({"country": "US", "state": "FL"}, FLORIDIAN, None, (EASTERN,), id="both agree"),
        pytest.param({"country": "US", "state": "FL"}, None, BERLIN, (BERLIN,), id="what is said stands"),
        pytest.param({"country": "Japan"}, None, None, ("Asia/Tokyo",), id="those of a country"),
        pytest.param({}, None, None, ("UTC",), id="nothing is known"),
    ],
)
def test_clocks_are_those_of_the_number_and_of_the_address(
    traits: dict[str, Any], phone: str | None, named: str | None, expected: tuple[str, ...]
) -> None:
    zone = resolve_zone(named, None, phone, "UTC")

    there = add_place_zones(resolve_places(traits, phone, zone), zone)

    assert expected == there.zones
    assert there.zone in there.zones


def test_it_is_said_what_the_clocks_were_taken_from() -> None:
    moved = resolve_zone(None, None, CALIFORNIAN, "UTC")
    florida = resolve_places({"country": "US", "state": "FL"}, None, UNKNOWN)

    assert add_place_zones(florida, UNKNOWN).source == "address"
    assert add_place_zones(florida, moved).source == "phone and address"


def test_a_region_is_known_however_its_code_is_written() -> None:
    assert resolve_places({"country": "DE", "region": "de-by"}, None, UNKNOWN) == (
        Place("DE", "DE-BY", SOURCE_ADDRESS),
    )


def test_the_area_codes_are_those_of_the_numbering_plan() -> None:
    compared = 0
    for area in range(201, 990):
        number = phonenumbers.parse(f"+1{area}2345678")
        where = geocoder.description_for_number(number, "en")
        if phonenumbers.region_code_for_number(number) != "US" or not where:
            continue
        named = {"Washington State": "WA", "Washington D.C.": "DC"}.get(where) or parse_state(
            where.rsplit(", ", 1)[-1]
        )
        compared += 1

        assert named is not None, where
        assert named == state_for_phone(f"+1{area}2345678"), area
    assert compared == sum(len(state.area_codes) for state in US_STATES.values())


def test_there_are_fifty_states_and_the_district() -> None:
    assert len(US_STATES) == 51
    assert parse_state("district of columbia") == "DC"
    assert parse_state(" us-wy ") == "WY"
    assert parse_state("Bavaria") is None
    assert state_for_phone("+493012345678") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("de", "DE"), (" Germany ", "DE"), ("USA", "US"), ("uk", "GB"), ("Atlantis", None), ("", None)],
)
def test_a_country_goes_by_its_code_or_its_english_name(text: str, expected: str | None) -> None:
    assert expected == parse_country(text)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Europe/Oslo", "NO"), ("US/Pacific", "US"), ("America/Puerto_Rico", "PR"), ("Etc/GMT+5", None)],
)
def test_a_zone_is_of_the_country_that_keeps_it(zone: str, expected: str | None) -> None:
    assert expected == country_for_zone(zone)
