"""Stop the templates that too many people's mailboxes refuse, or too many people report."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contracts import SegmentSwept, Sweep, SweepSegment, Swept
from policy.durations import in_words
from policy.limits import Thresholds
from profiles.db.database import Database
from profiles.ingest.pipeline import Ingest
from profiles.messaging.kill_switches import Rates, Sick, sick_templates, stop_template
from profiles.projection.lapse import DEFAULT_LAPSE, Lapse
from profiles.sweeps.lapsed import sweep_lapsed
from profiles.sweeps.product_alerts import DEFAULT_NEWS, ProductNews, sweep_products
from profiles.sweeps.segments import SegmentFault, SegmentQuery, sweep_segment

log = structlog.get_logger(__name__)


class TemplateSweepActivities:
    """Sweeps that switch kill switches on, and never off."""

    def __init__(self, database: Database, thresholds: Thresholds) -> None:
        self._database = database
        self._thresholds = thresholds

    @activity.defn(name="sweep_templates")
    async def sweep_templates(self, request: Sweep) -> Swept:
        """Stop every template past a threshold; idempotent. ``entered``: how many were stopped."""
        t, stopped = self._thresholds, 0
        async with self._database.transaction() as connection:
            rates = Rates(t.complaints, t.bounces, t.window, t.at_least, t.least_reports)
            for sick in await sick_templates(connection, rates):
                reason = why(sick, t)
                if await stop_template(connection, sick, reason):
                    stopped += 1
                    log.warning("template stopped by itself", template=sick.template, reason=reason)
        return Swept(entered=stopped)


def why(sick: Sick, thresholds: Thresholds) -> str:
    """In words: "12 of 240 bounced in the last day (5 %), the limit is 5 %"."""
    counts = (
        ("were reported as spam", sick.complained, thresholds.complaints),
        ("bounced", sick.bounced, thresholds.bounces),
    )
    said = [
        f"{count} of {sick.sent} {what} in the last {_span(thresholds.window)} "
        f"({100 * count / sick.sent:.3g} %), the limit is {limit:g} %"
        for what, count, limit in counts
        if limit is not None and count >= thresholds.least_reports and 100 * count >= limit * sick.sent
    ]
    return "; ".join(said)


def _span(window: timedelta) -> str:
    return in_words(window).removeprefix("1 ")


class SweepActivities:
    """Sweeps that enter people by writing events."""

    def __init__(self, database: Database, ingest: Ingest, lapse: Lapse = DEFAULT_LAPSE) -> None:
        self._database = database
        self._ingest = ingest
        self._lapse = lapse

    @activity.defn(name="sweep_lapsed")
    async def sweep_lapsed(self, request: Sweep) -> Swept:
        """Until nobody is left to find; idempotent."""
        entered = 0
        while found := await sweep_lapsed(
            self._database, self._ingest, lapse=self._lapse, limit=request.batch
        ):
            entered += found
        return Swept(entered=entered)


class ProductSweepActivities:
    """Sweeps that tell people about their carts by writing events."""

    def __init__(self, database: Database, ingest: Ingest, news: ProductNews = DEFAULT_NEWS) -> None:
        self._database = database
        self._ingest = ingest
        self._news = news

    @activity.defn(name="sweep_products")
    async def sweep_products(self, request: Sweep) -> Swept:
        """Until no change is left; idempotent."""
        entered = 0
        while True:
            looked_at, told = await sweep_products(
                self._database, self._ingest, news=self._news, limit=request.batch
            )
            entered += told
            if not looked_at:
                return Swept(entered=entered)


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
