"""Whether somebody may be written to, on the facts as the gate reads them."""

from typing import Any
from uuid import UUID

from activities.gate.mapping import to_facts, to_plan
from policy.checks.eligibility import has_consent, not_opted_out
from policy.checks.result import CheckResult
from policy.limits import Limits
from policy.verdict import Channel
from profiles.db.sql import new_id
from profiles.messaging.claims import read_locked_snapshot
from profiles.messaging.snapshot import SnapshotQuery
from tests.support.environments.ingest import LAMP, IngestHarness


async def run_of(facts: IngestHarness, **identifiers: str) -> UUID:
    """A live run of somebody's cart."""
    await facts.happens("Product Added", LAMP | {"cart_id": f"c-{new_id().hex}"}, **identifiers)
    return UUID(str((await facts.runs())[-1]["run_id"]))


async def may_mail(facts: IngestHarness, run_id: UUID, channel: Channel = Channel.EMAIL) -> list[str]:
    """What policy says of marketing to this person, on the facts as the gate reads them: reasons against."""
    async with facts.database.transaction() as connection:
        [now] = await facts.values("SELECT now()")
        snapshot = await read_locked_snapshot(connection, SnapshotQuery(run_id, "s", channel.value, now))
    assert snapshot is not None
    known = to_facts(snapshot, channel, "UTC")
    plan: Any = to_plan(_PlanRequest(channel), "marketing", "marketing")  # type: ignore[arg-type]
    found: list[CheckResult] = [check(plan, known, Limits(), now) for check in (not_opted_out, has_consent)]
    return [finding.reason.value for finding in found if finding.reason]


class _PlanRequest:
    promoting = None
    expires_at = None
    journey = "carts"
    cart_id = None
    holdout = 0.0
    value = 0.0
    when_capped = None
    template = ""
    run_id = step = "-"

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
