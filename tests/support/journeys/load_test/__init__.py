"""A journey of most words, and an activity of its own, for a proof with many runs and killed workers."""

from tests.support.journeys.load_test.effects import give_points
from tests.support.journeys.load_test.story import Thousand

JOURNEYS = (Thousand,)

ACTIVITIES = (give_points,)
