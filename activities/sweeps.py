"""Stop the templates that too many people's mailboxes refuse, or too many people report."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contracts import SegmentSweepResult, SweepRequest, SweepResult, SweepSegment
from policy.durations import format_duration
from policy.limits import TemplateStopThresholds
from profiles.db.database import Database
from profiles.ingest.pipeline import Ingest
from profiles.messaging.kill_switches import (
    DeliverabilityLimits,
    UnhealthyTemplate,
    stop_template,
    unhealthy_templates,
)
from profiles.projection.lapse import DEFAULT_LAPSE_RULES, LapseRules
from profiles.sweeps.lapsed import sweep_lapsed
from profiles.sweeps.product_alerts import DEFAULT_ALERT_RULES, ProductAlertRules, sweep_products
from profiles.sweeps.segments import SegmentQuery, SegmentQueryError, sweep_segment

log = structlog.get_logger(__name__)


class TemplateSweepActivities:
    """Sweeps that switch kill switches on, and never off."""

    def __init__(self, database: Database, thresholds: TemplateStopThresholds) -> None:
        self._database = database
        self._thresholds = thresholds

    @activity.defn(name="sweep_templates")
    async def sweep_templates(self, request: SweepRequest) -> SweepResult:
        """Stop every template past a threshold; idempotent. ``entered``: how many were stopped."""
        t, stopped = self._thresholds, 0
        async with self._database.transaction() as connection:
            rates = DeliverabilityLimits(t.complaints, t.bounces, t.window, t.at_least, t.least_reports)
            for sick in await unhealthy_templates(connection, rates):
                reason = describe_rates(sick, t)
                if await stop_template(connection, sick, reason):
                    stopped += 1
                    log.warning("template stopped by itself", template=sick.template, reason=reason)
        return SweepResult(entered=stopped)


def describe_rates(sick: UnhealthyTemplate, thresholds: TemplateStopThresholds) -> str:
    """In words: "12 of 240 bounced in the last day (5 %), the limit is 5 %"."""
    counts = (
        ("were reported as spam", sick.complained, thresholds.complaints),
        ("bounced", sick.bounced, thresholds.bounces),
    )
    said = [
        f"{count} of {sick.sent} {what} in the last {_describe_window(thresholds.window)} "
        f"({100 * count / sick.sent:.3g} %), the limit is {limit:g} %"
        for what, count, limit in counts
        if limit is not None and count >= thresholds.least_reports and 100 * count >= limit * sick.sent
    ]
    return "; ".join(said)


def _describe_window(window: timedelta) -> str:
    return format_duration(window).removeprefix("1 ")


class SweepActivities:
    """Sweeps that enter people by writing events."""

    def __init__(self, database: Database, ingest: Ingest, lapse: LapseRules = DEFAULT_LAPSE_RULES) -> None:
        self._database = database
        self._ingest = ingest
        self._lapse = lapse

    @activity.defn(name="sweep_lapsed")
    async def sweep_lapsed(self, request: SweepRequest) -> SweepResult:
        """Until nobody is left to find; idempotent."""
        entered = 0
        while found := await sweep_lapsed(
            self._database, self._ingest, rules=self._lapse, limit=request.batch
        ):
            entered += found
        return SweepResult(entered=entered)


class ProductSweepActivities:
    """Sweeps that tell people about their carts by writing events."""

    def __init__(
        self, database: Database, ingest: Ingest, news: ProductAlertRules = DEFAULT_ALERT_RULES
    ) -> None:
        self._database = database
        self._ingest = ingest
        self._alert_rules = news

    @activity.defn(name="sweep_products")
    async def sweep_products(self, request: SweepRequest) -> SweepResult:
        """Until no change is left; idempotent."""
        entered = 0
        while True:
            looked_at, told = await sweep_products(
                self._database, self._ingest, rules=self._alert_rules, limit=request.batch
            )
            entered += told
            if not looked_at:
                return SweepResult(entered=entered)


class SegmentActivities:
    """Sweeps of the segments that this worker's journeys start on."""

    def __init__(self, database: Database, ingest: Ingest, segments: Mapping[str, SegmentQuery]) -> None:
        self._database = database
        self._ingest = ingest
        self._segments = dict(segments)

    @activity.defn(name="sweep_segment")
    async def sweep_segment(self, request: SweepSegment) -> SegmentSweepResult:
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
        except SegmentQueryError as fault:
            raise ApplicationError(str(fault), type="SegmentFault") from fault
        return SegmentSweepResult(**asdict(swept))
