"""Fields as registers: whatever is heard, in whatever order, the same record comes of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.projection.computed import with_event_seen
from profiles.state.event_records import IncomingEvent
from profiles.state.traits import (
    LOCALE_ORIGIN,
    TIMEZONE_ORIGIN,
    TraitOrigins,
    TraitValues,
    field_origin,
    merge_context,
    merge_traits,
    parse_context,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

TOKYO = timezone(timedelta(hours=9))


@dataclass(frozen=True)
class Saying:
    """What one event says."""

    said: dict[str, Any]
    minute: int = 0
    source: str = "web"
    event_id: str = "e-1"
    verified: bool = True
    context: tuple[tuple[str, str], ...] = ()

    @property
    def origin(self) -> dict[str, Any]:
        # Alternately in two zones: the instant counts, not how it is written.
        at = (NOON + timedelta(minutes=self.minute)).astimezone(TOKYO if self.minute % 2 else UTC)
        return {"time": at, "source": self.source, "event_id": self.event_id, "verified": self.verified}


Record = tuple[TraitValues, TraitOrigins]


def hear(*sayings: Saying, record: Record | None = None) -> Record:
    """Traits and the context's guesses together, and their origins."""
    values, origins = record or ({}, {})
    for saying in sayings:
        traits = {
            name: value for name, value in values.items() if name not in (TIMEZONE_ORIGIN, LOCALE_ORIGIN)
        }
        traits, origins = merge_traits(traits, origins, saying.said, field_origin(**saying.origin))
        zone, locale, origins = merge_context(
            values.get(TIMEZONE_ORIGIN),
            values.get(LOCALE_ORIGIN),
            origins,
            dict(saying.context),
            field_origin(**saying.origin),
        )
        known = {
            name: value
            for name, value in ((TIMEZONE_ORIGIN, zone), (LOCALE_ORIGIN, locale))
            if value is not None
        }
        values = traits | known
    return values, origins


NAMES = st.sampled_from(("plan", "size", "city", "consents", TIMEZONE_ORIGIN))

WORDS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from(("gold", "silver", "")),
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2),
)

CONTEXTS = st.sampled_from(
    ((), (("timezone", "Europe/Berlin"),), (("timezone", "Asia/Tokyo"), ("locale", "ja")), (("locale", "?"),))
)

SAYINGS = st.lists(
    st.builds(
        Saying,
        said=st.dictionaries(NAMES, WORDS, max_size=3),
        minute=st.integers(0, 3),
        source=st.sampled_from(("pos", "web")),
        event_id=st.sampled_from(("e-1", "e-2", "e-3")),
        verified=st.booleans(),
        context=CONTEXTS,
    ),
    max_size=8,
)


@given(SAYINGS, st.randoms(use_true_random=False))
def test_any_order_of_any_sayings_gives_the_same_record(sayings: list[Saying], chance: Any) -> None:
    shuffled = list(sayings)
    chance.shuffle(shuffled)

    assert hear(*sayings) == hear(*shuffled)


@given(SAYINGS)
def test_hearing_all_of_it_again_changes_nothing(sayings: list[Saying]) -> None:
    once = hear(*sayings)

    assert once == hear(*sayings, record=once)


@given(SAYINGS)
def test_every_field_has_an_origin_and_every_origin_a_field(sayings: list[Saying]) -> None:
    values, origins = hear(*sayings)

    assert set(values) == set(origins)
    assert all(value is not None for value in values.values())


@pytest.mark.parametrize(
    ("stands", "falls"),
    [
        pytest.param(Saying({"plan": "gold"}, minute=1), Saying({"plan": "tin"}), id="the later word"),
        pytest.param(
            Saying({"plan": "gold"}),
            Saying({"plan": "tin"}, minute=9, verified=False),
            id="the verified word",
        ),
        pytest.param(Saying({"plan": "gold"}, source="b"), Saying({"plan": "tin"}, source="a"), id="source"),
        pytest.param(
            Saying({"plan": "gold"}, event_id="2"), Saying({"plan": "tin"}, event_id="1"), id="event id"
        ),
    ],
)
def test_of_two_words_on_a_field_one_stands(stands: Saying, falls: Saying) -> None:
    values, origins = hear(stands, falls)

    assert values == {"plan": "gold"}
    assert (values, origins) == hear(stands)


def test_an_origin_says_when_in_utc_where_and_how_surely() -> None:
    _, origins = hear(Saying({"plan": "gold"}, minute=1, verified=False))

    assert origins == {
        "plan": {"time": "2026-11-21T12:01:00.000000+00:00", "source": "web", "event_id": "e-1", "rank": 1}
    }


def test_what_is_no_trait_has_no_say_and_an_object_is_one_field() -> None:
    values, origins = hear(
        Saying({"size": {"shoe": 39, "hat": 57}}),
        Saying(
            {"size": {"shoe": 40}, "plan": None, "consents": {"email": True}, TIMEZONE_ORIGIN: "x"}, minute=1
        ),
    )

    assert values == {"size": {"shoe": 40}}
    assert set(origins) == {"size"}


def test_a_record_that_an_event_does_not_change_is_handed_back_as_it_is() -> None:
    values, origins = hear(Saying({"plan": "gold"}, minute=1))
    late = Saying({"plan": "tin"})
    same, same_origins = merge_traits(values, origins, late.said, field_origin(**late.origin))

    assert same is values
    assert same_origins is origins


def test_a_value_without_an_origin_gives_way_to_the_first_word() -> None:
    unverified = Saying({"plan": "gold"}, verified=False)

    assert hear(unverified, record=({"plan": "tin", "city": "Ulm"}, {}))[0] == {"plan": "gold", "city": "Ulm"}


@pytest.mark.parametrize(
    ("context", "said"),
    [
        pytest.param(
            {"timezone": " Europe/Berlin "}, {TIMEZONE_ORIGIN: "Europe/Berlin"}, id="blanks around it"
        ),
        pytest.param({"timezone": "Etc/GMT+5"}, {TIMEZONE_ORIGIN: "Etc/GMT+5"}, id="an offset by name"),
        pytest.param({"timezone": "Z" * 64}, {TIMEZONE_ORIGIN: "Z" * 64}, id="64 characters"),
        pytest.param({"timezone": "Z" * 65}, {}, id="65 characters"),
        pytest.param({"timezone": "+02:00"}, {}, id="an offset"),
        pytest.param({"timezone": "Europe Berlin"}, {}, id="no name"),
        pytest.param({"timezone": 2, "locale": True}, {}, id="no text"),
        pytest.param({"locale": "de-AT"}, {LOCALE_ORIGIN: "de-AT"}, id="a tag"),
        pytest.param({"locale": "zh_Hant_TW"}, {LOCALE_ORIGIN: "zh_Hant_TW"}, id="a tag with underscores"),
        pytest.param({"locale": "en-" + "-".join(["abcdefgh"] * 4)}, {}, id="a tag of 38 characters"),
        pytest.param({"locale": "German (Austria)"}, {}, id="no tag"),
        pytest.param({"page": {"url": "/"}}, {}, id="neither"),
    ],
)
def test_a_context_says_a_zone_and_a_locale_or_nothing(context: dict[str, Any], said: dict[str, str]) -> None:
    assert said == parse_context(context)


def happened(channel: str, minute: int, name: str = "Product Viewed", source: str = "web") -> IncomingEvent:
    """An event by its channel's clock."""
    at = NOON + timedelta(minutes=minute)
    return IncomingEvent(source=source, id="1", type=name, channel=channel, time=at, identifiers=())


EVENTS = st.lists(st.tuples(st.sampled_from(("web", "store")), st.integers(-3, 3)), max_size=6)


def seen(events: list[tuple[str, int]]) -> dict[str, str]:
    """All of them taken in at noon."""
    found: dict[str, str] = {}
    for channel, minute in events:
        found = with_event_seen(found, happened(channel, minute), NOON)
    return found


@given(EVENTS, EVENTS)
def test_last_seen_is_the_latest_of_each_channel_in_any_order(
    one: list[tuple[str, int]], other: list[tuple[str, int]]
) -> None:
    expected = {
        channel: (NOON + timedelta(minutes=min(0, max(m for c, m in [*one, *other] if c == channel))))
        for channel, _ in [*one, *other]
    }
    found = seen([*one, *other])

    assert expected == {channel: datetime.fromisoformat(at) for channel, at in found.items()}
    assert found == seen([*other, *one])


@pytest.mark.parametrize(
    ("name", "source", "counts"),
    [
        pytest.param("Message Opened", "sendgrid", True, id="opened"),
        pytest.param("Message Delivered", "sendgrid", False, id="delivered"),
        pytest.param("Message Bounced", "sendgrid", False, id="bounced"),
        pytest.param("Customer Lapsed", "waypost/sweep", False, id="found by a sweep"),
        pytest.param("Consent Changed", "waypost/consents", False, id="entered by hand"),
        pytest.param("Consent Changed", "waypost/preferences", True, id="on the person's own page"),
    ],
)
def test_only_what_comes_of_the_person_shows_that_they_were_there(
    name: str, source: str, counts: bool
) -> None:
    assert counts is bool(with_event_seen({}, happened("email", 0, name, source), NOON))
