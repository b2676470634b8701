"""Whether somebody may be written to, on the facts as the gate reads them."""

from typing import Any
from uuid import UUID

from activities.gate.mapping import facts_of, plan_of
from policy.checks.eligibility import consented, not_opted_out
from policy.checks.result import Finding
from policy.limits import Limits
from policy.verdict import Channel
from profiles.db.sql import new_id
from profiles.messaging.claims import read_under_lock
from profiles.messaging.snapshot import Ask
from tests.facts import LAMP, Facts


async def run_of(facts: Facts, **identifiers: str) -> UUID:
    """A live run of somebody's cart."""
    await facts.happens("Product Added", LAMP | {"cart_id": f"c-{new_id().hex}"}, **identifiers)
    return UUID(str((await facts.runs())[-1]["run_id"]))


async def may_mail(facts: Facts, run_id: UUID, channel: Channel = Channel.EMAIL) -> list[str]:
    """What policy says of marketing to this person, on the facts as the gate reads them: reasons against."""
    async with facts.database.transaction() as connection:
        [now] = await facts.values("SELECT now()")
        snapshot = await read_under_lock(connection, Ask(run_id, "s", channel.value, now))
    assert snapshot is not None
    known = facts_of(snapshot, channel, "UTC")
    plan: Any = plan_of(_Request(channel), "marketing", "marketing")  # type: ignore[arg-type]
    found: list[Finding] = [check(plan, known, Limits(), now) for check in (not_opted_out, consented)]
    return [finding.reason.value for finding in found if finding.reason]


class _Request:
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
