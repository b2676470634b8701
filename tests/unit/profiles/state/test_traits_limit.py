"""A profile has a bounded number of traits: the weakest go, in whatever order the events came."""

import random
from datetime import UTC, datetime, timedelta

from profiles.state.bounds import MAX_TRAITS
from profiles.state.traits import TraitOrigins, TraitValues, field_origin, merge_traits

MORNING = datetime(2026, 11, 21, tzinfo=UTC)

Saying = tuple[int, bool]
"""(number of the trait and its minute, verified)."""


def hear(sayings: list[Saying]) -> tuple[TraitValues, TraitOrigins]:
    traits: TraitValues = {}
    origins: TraitOrigins = {
        "context.timezone": field_origin(time=MORNING, source="s", event_id="z", verified=False)
    }
    for number, verified in sayings:
        time = MORNING + timedelta(minutes=number)
        origin = field_origin(time=time, source="s", event_id=str(number), verified=verified)
        traits, origins = merge_traits(traits, origins, {f"t-{number}": number}, origin)
    return traits, origins


def test_a_stranger_displaces_no_trait_of_a_verified_event() -> None:
    verified, unverified = [(n, True) for n in range(MAX_TRAITS - 1)], [(n, False) for n in range(500, 1000)]
    traits, origins = hear([*verified, *unverified])

    assert set(traits) == {f"t-{n}" for n in range(MAX_TRAITS - 1)} | {"t-999"}
    assert set(origins) == {*traits, "context.timezone"}


def test_a_verified_trait_displaces_one_of_a_stranger() -> None:
    traits, _ = hear([*((n, False) for n in range(MAX_TRAITS)), (1_000, True)])

    assert len(traits) == MAX_TRAITS
    assert "t-1000" in traits
    assert "t-0" not in traits


def test_any_order_of_events_gives_the_same_traits() -> None:
    sayings = [(n, n % 3 == 0) for n in range(MAX_TRAITS + 100)]
    shuffled = random.Random(1).sample(sayings, len(sayings))

    assert hear(sayings) == hear(shuffled)


def test_traits_that_are_too_many_and_weak_change_nothing() -> None:
    traits, origins = hear([(n, True) for n in range(MAX_TRAITS)])
    origin = field_origin(time=MORNING, source="s", event_id="x", verified=False)
    after = merge_traits(traits, origins, {"more": 1}, origin)

    assert after[0] is traits
    assert after[1] is origins
