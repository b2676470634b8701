"""Put a person into an ad audience: an ad promotes items, so it passes the same gate as a message."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.audience_gate import AudienceGate
from activities.clock import run_now
from activities.contracts import JoinAudience, SendMessage, SendResult, SendStatus
from activities.deciding import NoSuchRun
from policy.verdict import Allow, Channel, Defer, Reason


class AudienceActivities:
    """What a journey may do about ad audiences."""

    def __init__(self, gate: AudienceGate) -> None:
        self._gate = gate

    @activity.defn(name="join_audience")
    async def join_audience(self, request: JoinAudience) -> SendResult:
        """Enter for what is left of the items; idempotent per run, audience and item."""
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
            verdict = await self._gate.enter(message, at)
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
