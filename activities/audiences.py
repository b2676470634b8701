"""Adds profiles to ad audiences. An ad promotes items, so it passes the same gate as a message."""

from dataclasses import replace
from datetime import datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contracts import JoinAudience, SendMessage, SendResult, SendStatus
from activities.gate.decider import Decider, input_verdict, save_exposures
from activities.gate.mapping import to_plan
from activities.gate.send_gate import GateRequest, PriorAttempt, SendGate
from activities.run_context import no_such_run, run_now
from policy.limits import Limits
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Verdict
from profiles.db.database import Database
from profiles.messaging.audiences import add_to_audience
from profiles.messaging.claims import (
    GATE_DEADLINE_S,
    lock_profile_sql,
    read_locked_snapshot,
    write_decisions_sql,
)

AUDIENCE_TOPIC = "marketing"


class AudienceActivities:
    """Activities on ad audiences. The relay delivers the entries to the ad platform."""

    def __init__(self, database: Database, limits: Limits, *, default_zone: str = "UTC") -> None:
        self._database = database
        self._decider = Decider(limits, default_zone=default_zone)
        self._gate = SendGate(database, limits, default_zone=default_zone)

    async def decide_and_add(self, request: SendMessage, at: datetime) -> Verdict:
        """Decide, and queue the entry if allowed. Idempotent per run and step. Locks held: the profile's."""
        query = self._decider.snapshot_query(request, at, MessageClass.MARKETING)

        async def work(connection: object) -> Verdict:
            snapshot = await read_locked_snapshot(connection, query)
            if snapshot is None:
                raise no_such_run(f"no run {request.run_id}")
            if snapshot.existing_message and snapshot.existing_message.status == "sent":
                return Allow(items=snapshot.existing_message.items)
            plan = to_plan(request, MessageClass.MARKETING, AUDIENCE_TOPIC)
            decided = await self._decider.decide(connection, request, plan, snapshot, at)
            verdict, row = decided.verdict, decided.message_row
            if isinstance(verdict, Allow):
                row = replace(row, status="sent")
                allowed = [item for item in request.promoting or () if item.key in verdict.items]
                await add_to_audience(
                    connection,
                    audience=request.template,
                    profile_id=snapshot.profile_id,
                    run_id=query.run_id,
                    items=[(item.key, item.sku) for item in allowed],
                    at=at,
                )
            await save_exposures(connection, request)
            await self._database.commit(connection, write_decisions_sql(row))
            return verdict

        return await self._database.run(work, lock_profile_sql(query), GATE_DEADLINE_S)

    @activity.defn(name="join_audience")
    async def join_audience(self, request: JoinAudience) -> SendResult:
        """Add the profile to an audience for the items that the gate allows.

        Raises ApplicationError for a run that does not exist, and to be retried where the gate could not
        decide. Idempotent per run, audience and item.
        """
        at = run_now(request.clock_offset_s)
        if request.input_fault:
            return await self._record_undecodable(request, at)
        verdict = await self.decide_and_add(_to_message(request), at)
        if isinstance(verdict, Defer) and verdict.reason is Reason.ERROR:
            raise ApplicationError("the gate could not decide; on record as deferred", type="GateError")
        if isinstance(verdict, Allow):
            return SendResult(
                status=SendStatus.SENT, channel=Channel.ADS, items=verdict.items, removed=verdict.removed
            )
        return SendResult(
            status=SendStatus.DEFERRED if isinstance(verdict, Defer) else SendStatus.WITHHELD,
            channel=Channel.ADS,
            reason=verdict.reason,
            detail=verdict.detail,
            removed=verdict.removed,
        )

    async def _record_undecodable(self, request: JoinAudience, at: datetime) -> SendResult:
        """Record a request as withheld that could not be decoded."""
        verdict = input_verdict(request)
        case = GateRequest(_to_message(request), MessageClass.MARKETING, AUDIENCE_TOPIC, at)
        outcome = await self._gate.withhold(case, verdict)
        is_member = isinstance(outcome, PriorAttempt) and outcome.accepted
        status = SendStatus.SENT if is_member else SendStatus.WITHHELD
        return SendResult(status=status, channel=Channel.ADS, reason=verdict.reason, detail=verdict.detail)


def _to_message(request: JoinAudience) -> SendMessage:
    return SendMessage.model_validate(
        dict(request) | {"template": request.audience, "channel": Channel.ADS, "promoting": request.items}
    )
