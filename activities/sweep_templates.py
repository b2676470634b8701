"""Stop the templates that too many people's mailboxes refuse, or too many people report."""

from datetime import timedelta

import structlog
from temporalio import activity

from activities.contracts import Sweep, Swept
from policy.durations import in_words
from policy.provider_limits import Thresholds
from profiles.database import Database
from profiles.stopping_rates import Rates, Sick, sick_templates, stop_template

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
