"""The test kit for journeys: a shopper's actions as verbs, and their results as attributes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from authoring.testing.errors import StoryFailed, TellingFault
    from authoring.testing.markers import with_journeys
    from authoring.testing.observations import Received, Withheld
    from authoring.testing.shop import Shop
    from authoring.testing.shopper import Shopper

__all__ = ["Received", "Shop", "Shopper", "StoryFailed", "TellingFault", "Withheld", "with_journeys"]

_HOMES = {
    "Received": "observations",
    "Shop": "shop",
    "Shopper": "shopper",
    "StoryFailed": "errors",
    "TellingFault": "errors",
    "Withheld": "observations",
    "with_journeys": "markers",
}


def __getattr__(name: str) -> Any:
    """Import a name at its first use, so that tests of decisions alone do not import the servers."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"authoring.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'authoring.testing' has no attribute {name!r}; it has {', '.join(__all__)}")
