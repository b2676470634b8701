"""The limits at which a template stops by itself, and how the stop says why."""

from datetime import timedelta

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
