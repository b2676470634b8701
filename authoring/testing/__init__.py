"""The test kit for journeys: a shopper's actions as verbs, and their results as attributes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from authoring.testing.errors import StoryFailed, TellingFault
    from authoring.testing.observations import Received, Withheld
    from authoring.testing.shop import Shop
    from authoring.testing.shopper import Shopper
    from journeys.vocabulary import Journey

__all__ = ["Received", "Shop", "Shopper", "StoryFailed", "TellingFault", "Withheld", "with_journeys"]

_HOMES = {
    "Received": "observations",
    "Shop": "shop",
    "Shopper": "shopper",
    "StoryFailed": "errors",
    "TellingFault": "errors",
    "Withheld": "observations",
}


def __getattr__(name: str) -> Any:
    """Import a name at its first use, so that tests of decisions alone do not import the servers."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"authoring.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'authoring.testing' has no attribute {name!r}; it has {', '.join(__all__)}")


def with_journeys(*classes: "type[Journey]") -> "pytest.MarkDecorator":
    """Run these journeys in the shop of the test, instead of those of WAYPOST_JOURNEYS.

        @with_journeys(PriceDrop)
        async def test_…(shopper: Shopper) -> None:

    Or, for a whole file: ``pytestmark = with_journeys(PriceDrop)``.
    """
    import pytest

    return pytest.mark.journeys.with_args(*classes)
