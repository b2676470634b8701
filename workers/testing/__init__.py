"""The testing kit that ships with Waypost: tell what a shopper does, look at what reaches them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.testing.faults import StoryFailed, TellingFault
    from workers.testing.ledger import Received, Withheld
    from workers.testing.marks import with_journeys
    from workers.testing.shop import Shop
    from workers.testing.shopper import Shopper

__all__ = ["Received", "Shop", "Shopper", "StoryFailed", "TellingFault", "Withheld", "with_journeys"]

_HOMES = {
    "Received": "ledger",
    "Shop": "shop",
    "Shopper": "shopper",
    "StoryFailed": "faults",
    "TellingFault": "faults",
    "Withheld": "ledger",
    "with_journeys": "marks",
}


def __getattr__(name: str) -> Any:
    """Found on first use, so that a test of decisions alone costs no server's imports."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"workers.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'workers.testing' has no attribute {name!r}; it has {', '.join(__all__)}")
