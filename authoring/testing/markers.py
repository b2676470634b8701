"""Say which journeys a test runs."""

import pytest

from journeys.vocabulary import Journey


def with_journeys(*classes: type[Journey]) -> pytest.MarkDecorator:
    """The shop of this test runs these journeys, instead of those of WAYPOST_JOURNEYS::

        @with_journeys(PriceDrop)
        async def test_…(shopper: Shopper) -> None:

    or ``pytestmark = with_journeys(PriceDrop)`` for a whole file.
    """
    return pytest.mark.journeys.with_args(*classes)
