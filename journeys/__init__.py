"""The shipped journeys. ``JOURNEYS`` is imported at its first use: ``journeys.vocabulary`` needs no story."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "JOURNEYS":
        from journeys.registry import SHIPPED

        return SHIPPED
    raise AttributeError(f"module 'journeys' has no attribute {name!r}")
