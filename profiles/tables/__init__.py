"""The unified profile as Postgres tables. Decisions read only columns stamped by ingest or a run's
clock; ``recorded_at`` is Postgres's own stamp, for people, and no decision reads it."""

from profiles.tables import (
    consents,
    exposures,
    identity,
    messages,
    orders,
    people,
    policies,
    products,
    runs,
    sandbox,
    segments,
    stops,
)

__all__ = [
    "consents",
    "exposures",
    "identity",
    "messages",
    "orders",
    "people",
    "policies",
    "products",
    "runs",
    "sandbox",
    "segments",
    "stops",
]
