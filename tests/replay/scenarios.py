"""All replay scenarios of the shipped journeys: one for each wait point and each outcome.

Importing this module registers the scenarios of every journey in ``TALES``.
"""

from tests.replay import cart_scenarios, opt_in_scenarios, purchase_scenarios, win_back_scenarios
from tests.replay.scenario import CANARIES, TALES, ReplayScenario

__all__ = [
    "CANARIES",
    "TALES",
    "ReplayScenario",
    "cart_scenarios",
    "opt_in_scenarios",
    "purchase_scenarios",
    "win_back_scenarios",
]
