"""Which arms a run has still to tell of, and what a fallback watches for."""

from datetime import UTC, datetime

import pytest

from activities.contracts import Exposure
from journeys.vocabulary import EMAIL, PERSON, SMS, Journey, hours, if_not_delivered, if_not_seen, journey
from journeys.vocabulary.effects import Exposures
from journeys.vocabulary.fallback import EVENTS_BY_FALLBACK, Fallback
from profiles.events import ProductViewed

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

OFFER = Exposure(experiment="offer", arm="control", at=NOON)

TONE = Exposure(experiment="tone", arm="warm", at=NOON)

later = if_not_delivered(within=hours(1), then=SMS)


@journey(starts_on=ProductViewed, keyed_by=PERSON, name="unit-insistent")
class Insistent(Journey):
    """Names its fallback in the module."""

    async def run(self, entry: ProductViewed) -> str:
        return type(await self.send("note", promoting=None, fallback=later)).__name__


def test_an_exposure_is_told_until_an_activity_that_had_it_has_answered() -> None:
    exposures = Exposures()

    assert exposures.add("offer", "control", NOON)
    assert [exposures.unreported, exposures.unreported] == [(OFFER,), (OFFER,)]
    exposures.mark_reported((OFFER,))
    assert list(exposures.unreported) == []


def test_an_experiment_is_an_exposure_once() -> None:
    exposures = Exposures()
    exposures.add("offer", "control", NOON)

    assert not exposures.add("offer", "control", NOON + hours(1))
    exposures.mark_reported((OFFER,))
    assert not exposures.add("offer", "control", NOON + hours(2))
    assert exposures.unreported == ()


def test_an_experiment_that_came_up_meanwhile_is_still_to_be_told() -> None:
    exposures = Exposures()
    exposures.add("offer", "control", NOON)
    asked = exposures.unreported
    exposures.add("tone", "warm", NOON)
    exposures.mark_reported(asked)

    assert exposures.unreported == (TONE,)


@pytest.mark.parametrize(
    ("fallback", "unless"),
    [
        pytest.param(
            if_not_seen(within=hours(6), then=SMS),
            ["Message Opened", "Message Clicked", "Message Replied"],
            id="not seen",
        ),
        pytest.param(
            if_not_delivered(within=hours(1), then=(SMS, EMAIL)),
            ["Message Delivered", "Message Opened", "Message Clicked", "Message Replied"],
            id="not delivered: what was seen has arrived, if nobody said so",
        ),
    ],
)
def test_a_fallback_watches_for_what_makes_it_needless_and_for_a_bounce(
    fallback: Fallback, unless: list[str]
) -> None:
    assert [kind.event_name for kind in fallback.unless] == unless
    assert [kind.event_name for kind in fallback.events] == [*unless, "Message Bounced"]


def test_one_channel_or_several_may_be_named() -> None:
    assert if_not_seen(within=hours(6), then=SMS).then == (SMS,)
    assert if_not_seen(within=hours(6), then=(SMS, EMAIL)).then == (SMS, EMAIL)


@pytest.mark.parametrize("word", list(EVENTS_BY_FALLBACK), ids=lambda word: word.__name__)
def test_a_story_that_names_the_word_is_told_of_what_its_fallback_watches_for(word: object) -> None:
    made = word(within=hours(1), then=SMS)  # type: ignore[operator]

    assert EVENTS_BY_FALLBACK[word] == made.events  # type: ignore[index]


def test_a_story_that_names_a_fallback_of_its_module_is_told_as_well() -> None:
    assert {kind.event_name for kind in later.events} <= Insistent.definition.listen_names
