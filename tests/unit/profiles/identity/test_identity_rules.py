"""How many values a person may have, at the edges of their windows; and which rules make sense."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.identity import identifiers
from profiles.identity.identifiers import (
    DEFAULT_IDENTITY_RULES,
    DEVICE_TYPES,
    IDENTIFIER_TYPES,
    MICROSECOND,
    STRONG_TYPES,
    IdentityRules,
    ValueLimit,
    email_hash_key,
    strongest_first,
)

WEEK = timedelta(days=7) // MICROSECOND

TIMES = st.lists(st.integers(0, 30), max_size=12).map(sorted)

LIMITS = st.builds(
    ValueLimit, st.integers(1, 4), st.none() | st.integers(1, 12).map(lambda n: n * MICROSECOND)
)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param([0], [1], False, id="as many as allowed"),
        pytest.param([0, 1], [2], True, id="one too many"),
        pytest.param([0, 1], [WEEK - 1], True, id="the last just inside the window"),
        pytest.param([0, 1], [WEEK], False, id="the last just as far from the first as the window is long"),
        pytest.param([1, WEEK], [0], False, id="an earlier one, as far away"),
        pytest.param([1, WEEK], [2], True, id="one in the middle"),
        pytest.param([0, WEEK], [2], False, id="one between two that are a window apart"),
        pytest.param([0, 0], [0], True, id="all at once"),
        pytest.param([0, WEEK], [2 * WEEK, 3 * WEEK], False, id="many, far apart"),
        pytest.param([], [0, WEEK, WEEK], False, id="nothing new"),
    ],
)
def test_two_values_a_week(one: list[int], other: list[int], expected: bool) -> None:
    limit = ValueLimit(2, timedelta(days=7))

    assert expected is limit.is_exceeded_by(one, other)
    assert expected is limit.is_exceeded_by(other, one)


def test_a_limit_without_a_window_counts_for_ever() -> None:
    assert ValueLimit(1).is_exceeded_by([0], [1_000 * WEEK])


def too_many(limit: ValueLimit, times: list[int]) -> bool:
    """The definition, said by counting."""
    span = None if limit.period is None else limit.period // MICROSECOND
    return any(
        sum(start <= time and (span is None or time < start + span) for time in times) > limit.max_values
        for start in times
    )


@given(limit=LIMITS, one=TIMES, other=TIMES)
def test_a_limit_counts_every_window(limit: ValueLimit, one: list[int], other: list[int]) -> None:
    allowed: tuple[list[int], list[int]] = ([], [])
    for kept, times in zip(allowed, (one, other), strict=True):
        for time in times:
            if not too_many(limit, [*kept, time]):
                kept.append(time)

    assert too_many(limit, allowed[0] + allowed[1]) is limit.is_exceeded_by(*allowed)


@given(limit=LIMITS, one=TIMES, other=TIMES, more=st.integers(0, 30))
def test_a_broken_limit_stays_broken(limit: ValueLimit, one: list[int], other: list[int], more: int) -> None:
    grown = limit.is_exceeded_by(sorted([*one, more]), other)

    assert grown or not limit.is_exceeded_by(one, other)


def test_rules_that_make_no_sense_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError) as refused:
        IdentityRules(
            limits={"emial": ValueLimit(5), "phone": ValueLimit(0), "email": ValueLimit(1, timedelta())},
            shared_by={"user_id": 0},
            strong=frozenset(("cookie",)),
        )

    assert str(refused.value) == (
        f"these identity rules make no sense: limits names 'emial'; there are {', '.join(IDENTIFIER_TYPES)}; "
        f"strong names 'cookie'; there are {', '.join(IDENTIFIER_TYPES)}; "
        "limits: phone must allow at least 1, got 0; "
        "limits: email must count over a span longer than 0, got 0:00:00; "
        "shared_by: user_id must allow at least 1, got 0"
    )


def test_the_rules_know_every_type_of_identifier() -> None:
    strong = {"user_id", "loyalty_id", "email", "phone"}
    assert set(STRONG_TYPES) == DEFAULT_IDENTITY_RULES.strong == strong
    assert {*IDENTIFIER_TYPES} == {*strong, "push_token", "anonymous_id", "email_sha256"}
    assert (
        set(IDENTIFIER_TYPES)
        == set(DEFAULT_IDENTITY_RULES.shared_by)
        == {*DEFAULT_IDENTITY_RULES.limits, "email_sha256"}
    )
    assert set(IDENTIFIER_TYPES) - set(STRONG_TYPES) > DEVICE_TYPES


def test_the_hash_of_an_email_is_the_one_that_its_event_implies() -> None:
    ((kind, value),) = identifiers.implied_identifiers([("email", "ada@example.com")])

    assert f"{kind}:{value}" == email_hash_key("email:ada@example.com")


def test_keys_stand_in_the_order_of_their_types_then_of_their_values() -> None:
    keys = ["cookie:1", "anonymous_id:a", "user_id:b", "email:z@example.com", "user_id:a"]

    assert sorted(keys, key=strongest_first) == [
        "user_id:a",
        "user_id:b",
        "email:z@example.com",
        "anonymous_id:a",
        "cookie:1",
    ]
