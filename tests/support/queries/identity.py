"""Who is who: as the rules find it over all that was said, and as it is in Postgres."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.identity.graph import IdentityGraph, Link, resolve_graph
from profiles.identity.identifiers import split_key
from profiles.ingest.resolution import EventIdentifiers
from profiles.state.event_records import IncomingEvent

ProfileKeys = set[frozenset[str]]


def named(event: IncomingEvent) -> EventIdentifiers:
    """Whom an event names, as ingest weighs it."""
    place: dict[str, Any] = {"source": event.source, "id": event.id, "time": event.time, "at": event.time}
    return EventIdentifiers.from_event(event.identifiers, event_id=new_id(), verified=event.verified, **place)


def resolved(events: Iterable[IncomingEvent], cuts: Iterable[frozenset[str]] = ()) -> IdentityGraph:
    """Who is who by the pure rules, over the links of all events at once."""
    told = [named(event) for event in events]
    links = [Link(one.keys, one.time, one.source, one.id, one.verified) for one in told if one.keys]
    return resolve_graph(links, cuts=tuple(cuts))


def people(graph: IdentityGraph) -> ProfileKeys:
    """The keys of each person."""
    return {frozenset(cluster) for cluster in graph.clusters}


async def people_in(database: Database) -> ProfileKeys:
    """The keys of each person in Postgres. Fails where an identifier points at a profile that is no more."""
    found: dict[UUID, set[str]] = {}
    async with database.transaction() as connection:
        rows = await connection.fetch(
            "SELECT i.profile_id, i.type || ':' || i.value AS key FROM identifier i "
            "JOIN profile p ON p.profile_id = i.profile_id AND p.merged_into IS NULL"
        )
        [identifiers] = await connection.fetch("SELECT count(*) AS count FROM identifier")
    assert len(rows) == identifiers["count"], "an identifier points at a profile that is merged or missing"
    for row in rows:
        found.setdefault(row["profile_id"], set()).add(row["key"])
    return {frozenset(keys) for keys in found.values()}


async def quarantined_in(database: Database) -> set[str]:
    """The keys that Postgres holds to be nobody's."""
    async with database.transaction() as connection:
        rows = await connection.fetch(
            "SELECT type || ':' || value AS key FROM identifier WHERE status = 'quarantined'"
        )
    return {row["key"] for row in rows}


def of_kind(keys: Iterable[str], kind: str) -> list[str]:
    """The values of one type among keys."""
    return sorted(value for one in keys for own, value in [split_key(one)] if own == kind)
