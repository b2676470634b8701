"""What an attempt to send answers its run: a result, or an error that has Temporal ask again."""

from datetime import datetime, timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.contracts import SendMessage, SendResult, SendStatus
from activities.gate import Claim, Refusal
from policy.verdict import Allow, Channel, Defer, Reason, Withhold
from profiles.claims import Snapshot


def asked_again(verdict: Defer, at: datetime) -> ApplicationError:
    """By Temporal's own retry instead of a timer of the run: a wait of days costs its history nothing."""
    return ApplicationError(
        f"deferred, {verdict.reason.value}: {verdict.detail}",
        type="GateError" if verdict.reason is Reason.ERROR else "ProviderBudget",
        next_retry_delay=max(verdict.until - at, timedelta(seconds=1)),
        category=ApplicationErrorCategory.UNSPECIFIED
        if verdict.reason is Reason.ERROR
        else ApplicationErrorCategory.BENIGN,
    )


def is_over(request: SendMessage, at: datetime) -> bool:
    """The message's time is over, as far as can be told."""
    return request.expires_at.tzinfo is not None and at >= request.expires_at


def reachable(snapshot: Snapshot) -> tuple[Channel, ...]:
    """Channels with an address on file."""
    return tuple(channel for channel in (Channel.EMAIL, Channel.SMS) if snapshot.address(channel.value))


def refused(request: SendMessage, refusal: Refusal) -> SendResult:
    """Withheld or deferred by the gate."""
    verdict = refusal.verdict
    if isinstance(verdict, Allow):
        raise AssertionError("an allowed message has a claim")
    deferred = isinstance(verdict, Defer)
    return SendResult(
        status=SendStatus.DEFERRED if deferred else SendStatus.WITHHELD,
        channel=request.channel,
        message_id=str(refusal.message_id),
        reason=verdict.reason,
        detail=verdict.detail,
        until=None if isinstance(verdict, Withhold) else verdict.until,
        removed=verdict.removed,
        reachable=reachable(refusal.snapshot),
        channels=refusal.channels,
        zone=refusal.zone,
    )


def result_of(request: SendMessage, claim: Claim, status: SendStatus) -> SendResult:
    """What came of a claim."""
    return SendResult(
        status=status,
        channel=request.channel,
        message_id=str(claim.message_id),
        items=claim.items,
        removed=claim.removed,
        reachable=reachable(claim.snapshot),
        channels=claim.channels,
        zone=claim.zone,
    )


def withheld(request: SendMessage, claim: Claim, reason: Reason, detail: str) -> SendResult:
    """A claim that was given back for good."""
    result = result_of(request, claim, SendStatus.WITHHELD)
    return result.model_copy(update={"reason": reason, "detail": detail})
