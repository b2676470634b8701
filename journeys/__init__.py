"""The shipped journeys. ``JOURNEYS`` is found on first use, so that importing a word costs no story."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "JOURNEYS":
        from journeys.registry import SHIPPED

        return SHIPPED
    raise AttributeError(f"module 'journeys' has no attribute {name!r}")
