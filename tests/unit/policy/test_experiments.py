"""Assignment: which arm of an experiment a person is in."""

from collections import Counter

import pytest

from policy.experiments import assign_arm

PEOPLE = [f"person-{number}" for number in range(4_000)]


def test_a_person_stays_in_the_arm_from_one_release_to_the_next() -> None:
    # sha256 of "5:offer:p-1" and "5:offer:p-2" begin with e9 and 13 (half is 80),
    # and the arms in order are control, offer.
    assert assign_arm("p-1", "offer", {"offer": 50, "control": 50}) == "offer"
    assert assign_arm("p-2", "offer", {"offer": 50, "control": 50}) == "control"


def test_the_order_in_which_arms_are_written_does_not_matter() -> None:
    for person in PEOPLE[:200]:
        assert assign_arm(person, "offer", {"a": 1, "b": 2}) == assign_arm(person, "offer", {"b": 2, "a": 1})


def test_arms_are_filled_in_proportion_to_their_weights() -> None:
    counts = Counter(assign_arm(person, "offer", {"a": 10, "b": 30, "none": 0}) for person in PEOPLE)

    assert {"a", "b"} == counts.keys()
    assert 900 < counts["a"] < 1_100


def test_two_experiments_split_people_independently() -> None:
    arms = {"a": 50, "b": 50}
    counts = Counter((assign_arm(person, "one", arms), assign_arm(person, "two", arms)) for person in PEOPLE)

    assert all(900 < count < 1_100 for count in counts.values())
    assert len(counts) == 4


def test_an_arm_of_the_smallest_weight_takes_everybody_where_it_is_alone() -> None:
    assert {assign_arm(person, "offer", {"a": 1}) for person in PEOPLE[:20]} == {"a"}


@pytest.mark.parametrize("weights", [{}, {"a": 0}, {"a": 2, "b": -1}])
def test_weights_that_share_out_nothing_are_refused(weights: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="experiment 'offer': expected arms with weights of 0 or more"):
        assign_arm("p-1", "offer", weights)
