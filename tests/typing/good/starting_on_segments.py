"""A journey that starts on a segment gets the event of entering it, in its filter and its story."""

from typing import assert_type

from journeys.vocabulary import PERSON, Journey, Segment, hours, journey
from profiles.events import SegmentEntered

big_spenders = Segment("big-spenders", "SELECT profile_id FROM person WHERE spent > 500", every=hours(6))

newcomers = Segment("newcomers", "SELECT profile_id FROM person WHERE orders = 1", existing=True)


@journey(starts_on=big_spenders, keyed_by=PERSON)
class OnASegment(Journey):
    async def run(self, entry: SegmentEntered) -> str:
        assert_type(entry.segment, str)
        return entry.segment


@journey(
    starts_on=(big_spenders, newcomers),
    keyed_by=lambda e: e.segment,
    where=lambda e: e.segment.startswith("big"),
)
class OnSegments(Journey):
    async def run(self, entry: SegmentEntered) -> str:
        return entry.segment
