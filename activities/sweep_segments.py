"""Run the sweep of one segment."""

from collections.abc import Mapping
from dataclasses import asdict

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.segment_contracts import SegmentSwept, SweepSegment
from profiles.database import Database
from profiles.ingest import Ingest
from profiles.segment_queries import SegmentFault, SegmentQuery
from profiles.segments import sweep_segment


class SegmentActivities:
    """Sweeps of the segments that this worker's journeys start on."""

    def __init__(self, database: Database, ingest: Ingest, segments: Mapping[str, SegmentQuery]) -> None:
        self._database = database
        self._ingest = ingest
        self._segments = dict(segments)

    @activity.defn(name="sweep_segment")
    async def sweep_segment(self, request: SweepSegment) -> SegmentSwept:
        """Enter newcomers; idempotent, so that it may be tried again at any time.

        Fails, to be tried again, where the query does, and on a worker whose code knows no such segment:
        during a deploy another one may.
        """
        segment = self._segments.get(request.segment)
        if segment is None:
            known = ", ".join(sorted(self._segments)) or "none"
            raise ApplicationError(
                f"no journey of this worker starts on the segment {request.segment!r}; there are: {known}",
                type="NoSuchSegment",
            )
        try:
            swept = await sweep_segment(self._database, self._ingest, segment, progress=activity.heartbeat)
        except SegmentFault as fault:
            raise ApplicationError(str(fault), type="SegmentFault") from fault
        return SegmentSwept(**asdict(swept))
