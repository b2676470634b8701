"""Which segments journeys start on, and what is wrong with them, all at once."""

from collections.abc import Mapping
from dataclasses import fields

from journeys.vocabulary.definition import JourneyDefinition
from journeys.vocabulary.segment import Segment
from profiles.database import Database
from profiles.segment_queries import query_faults
from workers.faults import Fault


def declared_segments(journeys: Mapping[str, JourneyDefinition]) -> dict[str, Segment]:
    """Segments by name; journeys may share one."""
    return {segment.name: segment for definition in journeys.values() for segment in definition.segments}


def segment_faults(journeys: Mapping[str, JourneyDefinition]) -> list[str]:
    """Segments that two journeys declare under one name but not alike, a sentence each.

    A name has one schedule and one set of members, so it can have one query only.
    """
    first: dict[str, tuple[str, Segment]] = {}
    faults = []
    for name, definition in journeys.items():
        for segment in definition.segments:
            other, known = first.setdefault(segment.name, (name, segment))
            differing = [
                field.name
                for field in fields(Segment)
                if getattr(segment, field.name) != getattr(known, field.name)
            ]
            if differing:
                faults.append(
                    f"segment {segment.name!r}: {name} and {other} declare it with different "
                    f"{' and '.join(differing)}; share one Segment between them, or give it another name"
                )
    return faults


async def refuse_wrong_segments(database: Database, journeys: Mapping[str, JourneyDefinition]) -> None:
    """Raise ``Fault`` with all that is wrong with the journeys' segments; Postgres judges their queries."""
    faults = segment_faults(journeys)
    segments = (segment for definition in journeys.values() for segment in definition.segments)
    faults += await query_faults(database, dict.fromkeys(segments))
    if faults:
        raise Fault("segments cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults))
