"""The limits at which a template stops by itself, and how the stop says why."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from activities.sweeps import describe_rates
from policy.limits import TemplateStopThresholds
from profiles.messaging.kill_switches import UnhealthyTemplate


def test_a_stop_says_its_figures_and_the_limit() -> None:
    sick = UnhealthyTemplate("cart_offer", sent=240, bounced=12, complained=1)

    assert (
        describe_rates(sick, TemplateStopThresholds())
        == "12 of 240 bounced in the last day (5 %), the limit is 5 %"
    )


def test_a_stop_says_all_that_is_past_a_limit() -> None:
    sick = UnhealthyTemplate("cart_offer", sent=1000, bounced=100, complained=3)
    said = describe_rates(sick, TemplateStopThresholds(window=timedelta(hours=6)))

    assert said == (
        "3 of 1000 were reported as spam in the last 6 hours (0.3 %), the limit is 0.1 %; "
        "100 of 1000 bounced in the last 6 hours (10 %), the limit is 5 %"
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: TemplateStopThresholds(complaints=0),
            "^complaints: expected above 0 and up to 100 percent, or none for never, got 0$",
        ),
        (
            lambda: TemplateStopThresholds(bounces=101, window=timedelta(0)),
            "^bounces: .* got 101\nwindow: expected more",
        ),
        (lambda: TemplateStopThresholds(at_least=0), "^at_least: expected 1 or more, got 0$"),
    ],
    ids=["complaints", "two at once", "at least"],
)
def test_a_threshold_that_cannot_be_is_refused_with_all_faults(
    make: Callable[[], TemplateStopThresholds], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make()
