"""Pytest marker for the journeys that a test runs."""

import pytest

from journeys.vocabulary import Journey


def with_journeys(*classes: type[Journey]) -> pytest.MarkDecorator:
    """Run these journeys in the shop of the test, instead of those of WAYPOST_JOURNEYS.

        @with_journeys(PriceDrop)
        async def test_…(shopper: Shopper) -> None:

    Or, for a whole file: ``pytestmark = with_journeys(PriceDrop)``.
    """
    return pytest.mark.journeys.with_args(*classes)
