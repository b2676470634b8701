"""Sweeps as activities: lapsed profiles, changed products, segments, and templates past a threshold."""

from collections.abc import Mapping
from dataclasses import asdict

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contracts import SegmentSweepResult, SweepRequest, SweepResult, SweepSegment
from policy.durations import format_duration
from policy.limits import TemplateStopThresholds
from profiles.db.database import Database
from profiles.ingest.pipeline import Ingest
from profiles.messaging.kill_switches import (
    AUTOMATIC_ACTOR,
    DeliverabilityLimits,
    UnhealthyTemplate,
    activate_kill_switch,
    unhealthy_templates,
)
from profiles.projection.lapse import DEFAULT_LAPSE_RULES
from profiles.sweeps.lapsed import sweep_lapsed
from profiles.sweeps.opt_in_requests import OptInRules, sweep_opt_in_requests
from profiles.sweeps.product_alerts import DEFAULT_ALERT_RULES, sweep_products
from profiles.sweeps.segments import SegmentQuery, SegmentQueryError, sweep_segment

log = structlog.get_logger(__name__)


class TemplateSweepActivities:
    """The sweep that stops templates with too many bounces or complaints. It never restarts one."""

    def __init__(self, database: Database, thresholds: TemplateStopThresholds) -> None:
        self._database = database
        self._thresholds = thresholds

    @activity.defn(name="sweep_templates")
    async def sweep_templates(self, request: SweepRequest) -> SweepResult:
        """Stop every template past a threshold. ``entered`` is the number stopped. Idempotent."""
        thresholds, stopped = self._thresholds, 0
        async with self._database.transaction() as connection:
            rates = DeliverabilityLimits(
                thresholds.complaints,
                thresholds.bounces,
                thresholds.window,
                thresholds.at_least,
                thresholds.least_reports,
            )
            for unhealthy in await unhealthy_templates(connection, rates):
                reason = describe_rates(unhealthy, thresholds)
                stop = ("template", unhealthy.template)
                if await activate_kill_switch(connection, *stop, reason=reason, actor=AUTOMATIC_ACTOR):
                    stopped += 1
                    log.warning("template stopped by itself", template=unhealthy.template, reason=reason)
        return SweepResult(entered=stopped)


def describe_rates(sick: UnhealthyTemplate, thresholds: TemplateStopThresholds) -> str:
    """Describe the rates past a threshold: "12 of 240 bounced in the last day (5 %), the limit is 5 %"."""
    counts = (
        ("were reported as spam", sick.complained, thresholds.complaints),
        ("bounced", sick.bounced, thresholds.bounces),
    )
    window = format_duration(thresholds.window).removeprefix("1 ")
    parts = [
        f"{count} of {sick.sent} {what} in the last {window} "
        f"({100 * count / sick.sent:.3g} %), the limit is {limit:g} %"
        for what, count, limit in counts
        if limit is not None and count >= thresholds.least_reports and 100 * count >= limit * sick.sent
    ]
    return "; ".join(parts)


class SweepActivities:
    """The sweeps that write events for lapsed profiles, and for profiles with changed products in carts."""

    def __init__(self, database: Database, ingest: Ingest) -> None:
        self._database, self._ingest = database, ingest

    @activity.defn(name="sweep_lapsed")
    async def sweep_lapsed(self, request: SweepRequest) -> SweepResult:
        """Write events for all lapsed profiles, batch by batch. Idempotent."""
        entered = 0
        while count := await sweep_lapsed(
            self._database, self._ingest, rules=DEFAULT_LAPSE_RULES, limit=request.batch
        ):
            entered += count
        return SweepResult(entered=entered)

    @activity.defn(name="sweep_products")
    async def sweep_products(self, request: SweepRequest) -> SweepResult:
        """Write events for all changed products, batch by batch. Idempotent."""
        entered = 0
        while True:
            examined, written = await sweep_products(
                self._database, self._ingest, rules=DEFAULT_ALERT_RULES, limit=request.batch
            )
            entered += written
            if not examined:
                return SweepResult(entered=entered)


class OptInSweepActivities:
    """The sweep that has addresses asked to confirm the consents that pages have sent."""

    def __init__(self, database: Database, ingest: Ingest, rules: OptInRules) -> None:
        self._database, self._ingest, self._rules = database, ingest, rules

    @activity.defn(name="sweep_opt_in_requests")
    async def sweep_opt_in_requests(self, request: SweepRequest) -> SweepResult:
        """Write events for one batch of the addresses that wait. Idempotent."""
        entered = await sweep_opt_in_requests(
            self._database, self._ingest, rules=self._rules, limit=request.batch
        )
        return SweepResult(entered=entered)


class SegmentActivities:
    """The sweep of the segments on which this worker's journeys start."""

    def __init__(self, database: Database, ingest: Ingest, segments: Mapping[str, SegmentQuery]) -> None:
        self._database = database
        self._ingest = ingest
        self._segments = dict(segments)

    @activity.defn(name="sweep_segment")
    async def sweep_segment(self, request: SweepSegment) -> SegmentSweepResult:
        """Enter the new members of a segment. Idempotent.

        Raises ApplicationError, to be retried, where the query fails, and where this worker's code has no
        such segment: during a deployment another worker may have it.
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
