"""The limits at which a template stops by itself, and how the stop says why."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from activities.sweeps import why
from policy.limits import Thresholds
from profiles.messaging.kill_switches import Sick


def test_a_stop_says_its_figures_and_the_limit() -> None:
    sick = Sick("cart_offer", sent=240, bounced=12, complained=1)

    assert why(sick, Thresholds()) == "12 of 240 bounced in the last day (5 %), the limit is 5 %"


def test_a_stop_says_all_that_is_past_a_limit() -> None:
    sick = Sick("cart_offer", sent=1000, bounced=100, complained=3)
    said = why(sick, Thresholds(window=timedelta(hours=6)))

    assert said == (
        "3 of 1000 were reported as spam in the last 6 hours (0.3 %), the limit is 0.1 %; "
        "100 of 1000 bounced in the last 6 hours (10 %), the limit is 5 %"
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Thresholds(complaints=0),
            "^complaints: expected above 0 and up to 100 percent, or none for never, got 0$",
        ),
        (lambda: Thresholds(bounces=101, window=timedelta(0)), "^bounces: .* got 101\nwindow: expected more"),
        (lambda: Thresholds(at_least=0), "^at_least: expected 1 or more, got 0$"),
    ],
    ids=["complaints", "two at once", "at least"],
)
def test_a_threshold_that_cannot_be_is_refused_with_all_faults(
    make: Callable[[], Thresholds], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make()
