"""Deadlines of tests, scaled in one place so that they hold on a slow or busy machine."""

import os

SCALE = float(os.environ.get("WAYPOST_TEST_DEADLINE_SCALE", "5"))
"""How many times slower than a quiet two-core machine a test may run.

A wait ends as soon as its condition holds, so a higher scale costs time only where a test fails.
"""


def scaled(seconds: float) -> float:
    """Return the seconds to wait for what takes up to ``seconds`` on a quiet two-core machine."""
    return seconds * SCALE
