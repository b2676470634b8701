"""Sends one message: the gate's claim, the call to the provider, and the record of its outcome."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.channels.adapter import (
    Accepted,
    ChannelAdapter,
    MaybeSent,
    NotSent,
    OutgoingMessage,
)
from activities.channels.circuit_breaker import CircuitBreaker, CircuitBreakers
from activities.channels.registry import ChannelRegistry
from activities.content.context import ContentError
from activities.content.template import Template
from activities.content.templates import TemplateRegistry, UnknownTemplate
from activities.contracts import SendMessage, SendResult, SendStatus
from activities.gate.batching import GateBatcher
from activities.gate.decider import input_verdict
from activities.gate.send_gate import (
    BetterChannel,
    GateRequest,
    NotAllowed,
    PriorAttempt,
    SendClaim,
    SendGate,
)
from activities.message_renderer import MessageRenderer
from activities.run_context import run_now
from policy.limits import BreakerRule
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Withhold
from profiles.db.database import Database
from profiles.error_description import describe_error
from profiles.messaging.claims import mark_unknown, record_address_problem, record_sent, release_claim
from profiles.messaging.snapshot import Snapshot
from profiles.redaction import redact_text

log = structlog.get_logger(__name__)

MAX_CLAIM_AGE_S = 5.0
"""A claim older than this, by the monotonic clock, is released instead of used: the process was suspended."""


class MessageActivities:
    """The activity that sends a message. One instance per worker."""

    def __init__(
        self,
        database: Database,
        gate: SendGate | GateBatcher,
        channels: ChannelRegistry,
        templates: TemplateRegistry,
        renderer: MessageRenderer,
        breakers: CircuitBreakers | None = None,
    ) -> None:
        self._database, self._gate, self._channels = database, gate, channels
        self._templates, self._renderer = templates, renderer
        self._breakers = breakers or CircuitBreakers(BreakerRule())

    @activity.defn(name="send_message")
    async def send_message(self, request: SendMessage) -> SendResult:
        """Send a message at most once per send key (run + step), with any number of attempts.

        A template with ``delivery = "at_least_once"`` is repeated by the run under another send key.

        Raises ApplicationError to be retried only where the message was certainly not sent, after its claim
        is released. An unknown outcome is returned as ``unknown``, and is final for the send key. A
        request that could not be decoded is recorded as withheld.
        """
        at = run_now(request.clock_offset_s)
        if request.input_fault:
            return await self._record_undecodable(request, at)
        try:
            template = self._templates[request.template]
        except UnknownTemplate as error:
            raise ApplicationError(str(error), type="UnknownTemplate") from error
        if request.channel not in template.channels and not request.choose:
            detail = f"{request.template} has no {request.channel.value} version"
            return SendResult(
                status=SendStatus.WITHHELD, channel=request.channel, reason=Reason.NO_ADDRESS, detail=detail
            )
        with self._breakers[request.channel].attempt() as wait:
            return await self._decide_and_send(request, template, at, None if wait is None else at + wait)

    async def _record_undecodable(self, request: SendMessage, at: datetime) -> SendResult:
        """Record a message as withheld, of which the request could not be decoded."""
        template = self._templates.get(request.template)
        gate_request = GateRequest(
            request,
            template.message_class if template else MessageClass.MARKETING,
            template.topic if template else MessageClass.MARKETING.value,
            at,
        )
        outcome = await self._gate.withhold(gate_request, input_verdict(request))
        if isinstance(outcome, PriorAttempt):
            return prior_result(outcome)
        return self._log_result(request, not_allowed_result(request, outcome))

    async def _decide_and_send(
        self, request: SendMessage, template: Template, at: datetime, breaker_open_until: datetime | None
    ) -> SendResult:
        held_since = time.monotonic()
        expired = request.expires_at.tzinfo is not None and at >= request.expires_at
        gate_request = GateRequest(
            request, template.message_class, template.topic, at, template.channels, breaker_open_until
        )
        outcome = await self._gate.decide(gate_request)
        match outcome:
            case PriorAttempt():
                return prior_result(outcome, may_repeat=template.may_repeat)
            case NotAllowed(verdict=Defer(reason=Reason.ERROR | Reason.PROVIDER_BUDGET) as verdict):
                raise retryable_error(verdict, at)
            case NotAllowed(verdict=Withhold(reason=Reason.ERROR, detail=detail)) if not expired:
                # On record as withheld; the facts may be readable at the next attempt.
                raise ApplicationError(f"the gate could not decide: {detail}", type="GateError")
            case NotAllowed():
                return self._log_result(request, not_allowed_result(request, outcome))
            case BetterChannel(channels=channels, snapshot=snapshot):
                return SendResult(
                    status=SendStatus.ELSEWHERE,
                    channel=request.channel,
                    channels=channels,
                    reachable=reachable_channels(snapshot),
                )
            case SendClaim():
                delivered = await self._deliver(request, template, outcome, held_since, at)
                return self._log_result(request, delivered)

    def _log_result(self, request: SendMessage, result: SendResult) -> SendResult:
        log.info(
            f"{request.template} {result.status.value}",
            channel=request.channel.value,
            reason=result.reason.value if result.reason else None,
            message_id=result.message_id,
        )
        return result

    async def _deliver(
        self, request: SendMessage, template: Template, claim: SendClaim, held_since: float, at: datetime
    ) -> SendResult:
        """Render and send. ``held_since``: when the gate was asked, by the monotonic clock, in seconds.

        Any error before the provider is called releases the claim: the message was certainly not sent.
        """
        begin_by = held_since + MAX_CLAIM_AGE_S
        try:
            content = self._renderer.render(template, request, claim)
            adapter = self._channels.adapter(request.channel)
            outgoing = OutgoingMessage(
                str(claim.message_id),
                claim.snapshot.delivery_address(claim.address),
                content,
                claim.valid_for,
                begin_by=begin_by,
            )
        except ContentError as error:
            return await self._withhold_content(request, claim, str(error), at)
        except Exception as error:
            log.exception("message not prepared", template=request.template, message_id=str(claim.message_id))
            # Its text may repeat a value of the customer, and results are stored in histories.
            detail = f"{type(error).__name__} before the provider was called; the worker's log has it"
            return await self._withhold_content(request, claim, detail, at)
        if outgoing.seconds_to_begin() <= 0:
            await _finish_despite_cancellation(self._release(request, claim, Reason.ERROR, at))
            raise ApplicationError(f"the claim was not used within {MAX_CLAIM_AGE_S} s", type="ClaimLapsed")
        result = await self._call_provider(request, claim, adapter, outgoing, at)
        may_repeat = result.status is SendStatus.UNKNOWN and template.may_repeat
        return result.model_copy(update={"may_repeat": may_repeat})

    async def _withhold_content(
        self, request: SendMessage, claim: SendClaim, detail: str, at: datetime
    ) -> SendResult:
        await _finish_despite_cancellation(self._release(request, claim, Reason.CONTENT, at))
        return claim_result(request, claim, SendStatus.WITHHELD, reason=Reason.CONTENT, detail=detail)

    async def _call_provider(
        self,
        request: SendMessage,
        claim: SendClaim,
        adapter: ChannelAdapter,
        outgoing: OutgoingMessage,
        at: datetime,
    ) -> SendResult:
        breaker = self._breakers[request.channel]
        try:
            accepted = await adapter.deliver(outgoing)
        except NotSent as error:
            _record_provider_refusal(breaker, error)
            return await self._handle_not_sent(request, claim, error, at)
        except Exception as error:
            # ``MaybeSent``, or an error that the adapter did not foresee; it may have come after the call.
            breaker.record_failure()
            detail = str(error) if isinstance(error, MaybeSent) else type(error).__name__
            log.warning("send outcome unknown", message_id=outgoing.message_id, detail=detail)
            await _finish_despite_cancellation(self._mark_unknown(claim))
            return claim_result(request, claim, SendStatus.UNKNOWN)
        breaker.record_success()
        await _finish_despite_cancellation(self._record_sent(adapter, claim, accepted, at))
        return claim_result(request, claim, SendStatus.SENT)

    async def _record_sent(
        self, adapter: ChannelAdapter, claim: SendClaim, accepted: Accepted, at: datetime
    ) -> None:
        async with self._database.transaction() as connection:
            await record_sent(
                connection,
                claim.message_id,
                claim.token,
                provider=adapter.provider,
                provider_id=accepted.provider_id,
                at=at,
            )

    async def _handle_not_sent(
        self, request: SendMessage, claim: SendClaim, error: NotSent, at: datetime
    ) -> SendResult:
        reasons = {"bounced": Reason.BOUNCED, "opted_out": Reason.OPTED_OUT}
        default = Reason.CONTENT if error.content_problem else Reason.ERROR
        reason = reasons.get(error.address_problem or "", default)
        await _finish_despite_cancellation(self._release(request, claim, reason, at, error.address_problem))
        if error.permanent:
            return claim_result(request, claim, SendStatus.WITHHELD, reason=reason, detail=str(error))
        raise ApplicationError(
            f"not sent, and given back: {error}",
            type="NotSent",
            next_retry_delay=error.retry_after,
            category=_error_category(benign=bool(error.retry_after)),
        ) from error

    async def _mark_unknown(self, claim: SendClaim) -> None:
        async with self._database.transaction() as connection:
            await mark_unknown(connection, claim.message_id)

    async def _release(
        self, request: SendMessage, claim: SendClaim, reason: Reason, at: datetime, problem: str | None = None
    ) -> None:
        """Release a claim, and record the problem of its address, if any."""
        async with self._database.transaction() as connection:
            if problem:
                await record_address_problem(connection, request.channel.value, claim.address, problem, at)
            await release_claim(connection, claim.message_id, claim.token, reason.value)


async def _finish_despite_cancellation(record: Coroutine[Any, Any, None]) -> None:
    """Record the outcome of a call, also where the attempt is cancelled meanwhile.

    The worker cancels attempts that time out, and all when it stops; the provider's answer must be kept.
    """
    writing = asyncio.ensure_future(record)
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait({writing})
        if not writing.cancelled() and (failed := writing.exception()):
            log.warning("send outcome not recorded", error=describe_error(failed))
        raise


def _record_provider_refusal(breaker: CircuitBreaker, error: NotSent) -> None:
    if error.permanent or error.address_problem:
        breaker.record_success()
    else:
        breaker.record_failure(error.retry_after)


def retryable_error(deferral: Defer, at: datetime) -> ApplicationError:
    """Return the error by which Temporal retries at the end of a deferral, without events in the history."""
    is_error = deferral.reason is Reason.ERROR
    return ApplicationError(
        f"deferred, {deferral.reason.value}: {deferral.detail}",
        type="GateError" if is_error else "ProviderBudget",
        next_retry_delay=max(deferral.until - at, timedelta(seconds=1)),
        category=_error_category(benign=not is_error),
    )


def _error_category(*, benign: bool) -> ApplicationErrorCategory:
    """Return the category of an error; Temporal does not log benign ones as failures."""
    return ApplicationErrorCategory.BENIGN if benign else ApplicationErrorCategory.UNSPECIFIED


def reachable_channels(snapshot: Snapshot) -> tuple[Channel, ...]:
    """Return the channels with an address on file."""
    return tuple(channel for channel in (Channel.EMAIL, Channel.SMS) if snapshot.address(channel.value))


def prior_result(prior: PriorAttempt, *, may_repeat: bool = False) -> SendResult:
    """Return the result for a send key that an earlier attempt has settled."""
    return SendResult(
        may_repeat=may_repeat and not prior.accepted,
        status=SendStatus.SENT if prior.accepted else SendStatus.UNKNOWN,
        channel=Channel(prior.existing.channel),
        message_id=str(prior.existing.message_id),
        items=prior.existing.items,
    )


def not_allowed_result(request: SendMessage, refusal: NotAllowed) -> SendResult:
    """Return the result for a message that the gate withheld or deferred."""
    verdict = refusal.verdict
    if isinstance(verdict, Allow):
        raise AssertionError("an allowed message has a claim")
    return SendResult(
        status=SendStatus.DEFERRED if isinstance(verdict, Defer) else SendStatus.WITHHELD,
        channel=request.channel,
        message_id=str(refusal.message_id),
        reason=verdict.reason,
        detail=verdict.detail,
        until=verdict.until if isinstance(verdict, Defer) else None,
        removed=verdict.removed,
        reachable=reachable_channels(refusal.snapshot),
        channels=refusal.channels,
        zone=refusal.zone,
    )


def claim_result(
    request: SendMessage, claim: SendClaim, status: SendStatus, reason: Reason | None = None, detail: str = ""
) -> SendResult:
    """Return the result for a claim. ``reason``: why it was released permanently."""
    return SendResult(
        status=status,
        channel=request.channel,
        reason=reason,
        detail=redact_text(detail),
        message_id=str(claim.message_id),
        items=claim.items,
        removed=claim.removed,
        reachable=reachable_channels(claim.snapshot),
        channels=claim.channels,
        zone=claim.zone,
    )
