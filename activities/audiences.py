"""Adds profiles to ad audiences. An ad promotes items, so it passes the same gate as a message."""

from dataclasses import replace
from datetime import datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contracts import JoinAudience, SendMessage, SendResult, SendStatus
from activities.gate.decider import Decider, save_exposures
from activities.gate.mapping import to_plan
from activities.run_context import NoSuchRun, run_now
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
"""Consent topic of ads."""


class AudienceGate:
    """Decides on entries to audiences. The relay delivers them to the ad platform."""

    def __init__(self, database: Database, limits: Limits, *, default_zone: str = "UTC") -> None:
        self._database = database
        self._decider = Decider(limits, default_zone=default_zone)

    async def decide_and_add(self, request: SendMessage, at: datetime) -> Verdict:
        """Decide at the run's current time, and queue the entry where it is allowed.

        Raises ``NoSuchRun``. Idempotent per run and step. Locks held: the profile's.
        """
        ask = self._decider.snapshot_query(request, at)

        async def work(connection: object) -> Verdict:
            snapshot = await read_locked_snapshot(connection, ask)
            if snapshot is None:
                raise NoSuchRun(f"no run {request.run_id}")
            if snapshot.existing_message and snapshot.existing_message.status == "sent":
                return Allow(items=snapshot.existing_message.items)
            plan = to_plan(request, MessageClass.MARKETING, AUDIENCE_TOPIC)
            decided = await self._decider.decide(connection, request, plan, snapshot, at)
            verdict, planned = decided.verdict, decided.message_row
            if isinstance(verdict, Allow):
                planned = replace(planned, status="sent")
                left = [item for item in request.promoting or () if item.key in verdict.items]
                await add_to_audience(
                    connection,
                    audience=request.template,
                    profile_id=snapshot.profile_id,
                    run_id=ask.run_id,
                    items=[(item.key, item.sku) for item in left],
                    at=at,
                )
            await save_exposures(connection, request)
            await self._database.commit(connection, write_decisions_sql(planned))
            return verdict

        return await self._database.run(work, lock_profile_sql(ask), GATE_DEADLINE_S)


class AudienceActivities:
    """Activities on ad audiences."""

    def __init__(self, gate: AudienceGate) -> None:
        self._gate = gate

    @activity.defn(name="join_audience")
    async def join_audience(self, request: JoinAudience) -> SendResult:
        """Add the profile to an audience for the items that the gate allows.

        Raises ApplicationError for a run that does not exist, and to be retried where the gate could not
        decide. Idempotent per run, audience and item.
        """
        at = run_now(request.clock_offset_s)
        message = SendMessage(
            run_id=request.run_id,
            step=request.step,
            journey=request.journey,
            template=request.audience,
            channel=Channel.ADS,
            promoting=request.items,
            expires_at=request.expires_at,
            cart_id=request.cart_id,
            hold_while=request.hold_while,
            holdout=request.holdout,
            exposures=request.exposures,
        )
        try:
            verdict = await self._gate.decide_and_add(message, at)
        except NoSuchRun as error:
            raise ApplicationError(str(error), type="NoSuchRun", non_retryable=True) from error
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
