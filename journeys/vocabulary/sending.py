"""Sending of one message: the choice of channel, deferrals until it expires, and the fallback."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

from activities.contracts import SendMessage, SendResult, SendStatus, send_queue
from journeys.vocabulary.durations import format_rounded_duration
from journeys.vocabulary.effects import RunContext, wait_until
from journeys.vocabulary.fallback import Fallback
from journeys.vocabulary.holds import Hold
from journeys.vocabulary.inbox import Inbox
from journeys.vocabulary.message import Message, Sent, Unknown, Withheld
from journeys.vocabulary.narrative import format_instant
from policy.verdict import Channel, Reason
from profiles.events import Item, MessageBounced, finite_or_none

SEND_RETRY_POLICY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=5))
SEND_ATTEMPT_TIMEOUT = timedelta(seconds=30)

REPEAT_DELAYS = (timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=2))
"""Waits before a message of which the provider's answer was lost is sent again, if it is delivered at least
once. If a provider's report settles the outcome meanwhile, nothing is sent again."""

WhenCapped = Literal["withhold", "wait"]

_TRY_NEXT_CHANNEL_REASONS = frozenset(
    {Reason.NO_ADDRESS, Reason.NO_CONSENT, Reason.OPTED_OUT, Reason.BOUNCED, Reason.COMPLAINED}
)
"""Reasons that concern the channel only, so that another one may be tried."""


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """A message without its channel."""

    template: str
    promoting: Sequence[Item] | None
    showing: Sequence[Item]
    expires: timedelta
    context: dict[str, Any]
    cart_id: str | None
    when_capped: WhenCapped | None = None


def total_value(items: Iterable[Item]) -> float:
    """Return the total of the items, without items of unknown price; 0 where it is not a finite number."""
    try:
        total = sum((item.price or 0.0) * item.quantity for item in items)
    except OverflowError:  # a quantity beyond the range of a float
        return 0.0
    return finite_or_none(total) or 0.0


class MessageSender:
    """The sends of one run."""

    def __init__(
        self, context: RunContext, inbox: Inbox, holds: Sequence[Hold], checkpoint: Callable[[], None]
    ) -> None:
        self._context = context
        self._inbox = inbox
        self._closing_events = tuple(dict.fromkeys(kind for hold in holds for kind in hold.closed))
        self._checkpoint = checkpoint
        self._reachable: tuple[Channel, ...] | None = None
        self._preferred_channel = Channel.EMAIL
        self.sent = 0
        self.withheld = 0

    async def send(
        self, spec: MessageSpec, prefer: Sequence[Channel] | None, fallback: Fallback | None
    ) -> Message:
        """See ``Journey.send``."""
        outcome = await self._try_channels(spec, prefer, lambda: False)
        if fallback is None or not isinstance(outcome, Sent):
            return outcome
        return await self._fall_back(spec, outcome, fallback)

    async def _fall_back(self, spec: MessageSpec, first: Sent, fallback: Fallback) -> Sent:
        def got_through() -> bool:
            return self._inbox.has(fallback.unless, of=first.message_ids)

        def bounced() -> bool:
            return self._inbox.has((MessageBounced,), of=first.message_ids)

        what = f"{spec.template} {fallback.description} within {format_rounded_duration(fallback.within)}"
        if fallback.within > timedelta(0) and not got_through():
            until = format_instant(self._context.now() + fallback.within)
            self._context.details.set_status(f"Watching whether {spec.template} gets through, until {until}")
            await wait_until(lambda: got_through() or bounced(), fallback.within, f"unless {what}")
            self._checkpoint()
        if got_through():
            return first
        self._context.details.add_line("the address bounced" if bounced() else what)
        second = await self._try_channels(spec, fallback.then, got_through)
        if not isinstance(second, Sent):
            return first
        return replace(second, earlier=first.message_ids)

    async def _try_channels(
        self, spec: MessageSpec, prefer: Sequence[Channel] | None, is_obsolete: Callable[[], bool]
    ) -> Message:
        """Try channels in order until one settles the outcome. Stops when ``is_obsolete`` returns True."""
        request = self._build_request(spec)
        if prefer is None:
            request = request.model_copy(update={"choose": True})
        channels = [self._preferred_channel] if prefer is None else self._candidate_channels(prefer)
        outcome: Message = Withheld(spec.template, Reason.NO_ADDRESS, "no channel was given")
        while channels:
            channel = channels.pop(0)
            attempt, ranked = await self._send_on(
                request.model_copy(update={"channel": channel}), is_obsolete
            )
            if request.choose:
                # Rank once per message; the next one starts with the best channel, which saves an attempt.
                request = request.model_copy(update={"choose": False})
                self._preferred_channel = ranked[0] if ranked else self._preferred_channel
                channels = [each for each in ranked if attempt is None or each is not channel]
            if attempt is None:
                continue
            outcome = attempt
            if not (isinstance(attempt, Withheld) and attempt.reason in _TRY_NEXT_CHANNEL_REASONS):
                break
        self._record_outcome(outcome)
        return outcome

    def _candidate_channels(self, prefer: Sequence[Channel]) -> list[Channel]:
        """Return the preferred channels that are known to have an address; at least the last one."""
        if self._reachable is None:
            return list(prefer)
        return [channel for channel in prefer if channel in self._reachable] or list(prefer[-1:])

    def _build_request(self, spec: MessageSpec) -> SendMessage:
        s = self._context
        return SendMessage(
            run_id=s.start.run_id,
            step=s.next_step_key(spec.template),
            journey=s.start.journey,
            template=spec.template,
            channel=Channel.EMAIL,
            promoting=None if spec.promoting is None else s.unverified.mark_items(spec.promoting),
            expires_at=s.now() + spec.expires,
            showing=s.unverified.mark_items(spec.showing),
            cart_id=spec.cart_id,
            context=spec.context,
            unverified_context=s.unverified.keys_in(spec.context),
            clock_offset_s=s.start.clock_offset_s,
            hold_while=s.hold_while,
            holdout=s.holdout,
            exposures=s.exposures.unreported,
            value=total_value(spec.promoting or ()),
            when_capped=spec.when_capped,
        )

    async def _send_on(
        self, request: SendMessage, is_obsolete: Callable[[], bool]
    ) -> tuple[Message | None, tuple[Channel, ...]]:
        """Return the outcome on one channel, None where another suits better; and the suitable channels."""
        repeat_delays = list(REPEAT_DELAYS)
        while True:
            if is_obsolete():
                return Withheld(request.template, None, "it has got through meanwhile"), ()
            self._context.details.set_status(f"Sending {request.template} by {request.channel.value}")
            result = await self._execute_send(request)
            if result is None:
                return Unknown(request.template), ()
            self._context.exposures.mark_reported(request.exposures)
            self._context.zone = result.zone or self._context.zone
            self._reachable = result.reachable or self._reachable
            self._checkpoint()
            match result.status:
                case SendStatus.ELSEWHERE:
                    return None, result.channels
                case SendStatus.SENT:
                    message_id = result.message_id or ""
                    earlier = tuple(each for each in request.repeats if each != message_id)
                    sent = Sent(request.template, message_id, result.channel, result.items, earlier)
                    return sent, result.channels
                case SendStatus.UNKNOWN if result.may_repeat and result.message_id and repeat_delays:
                    await self._wait_to_repeat(request, repeat_delays.pop(0))
                    self._checkpoint()
                    request = request.model_copy(
                        update={
                            "step": self._context.next_step_key(request.template),
                            "repeats": (*request.repeats, result.message_id),
                        }
                    )
                case SendStatus.UNKNOWN:
                    return Unknown(request.template, result.message_id), result.channels
                case SendStatus.WITHHELD:
                    return Withheld(request.template, result.reason, result.detail), result.channels
                case SendStatus.DEFERRED:
                    await self._defer(result, request, is_obsolete)
                    self._checkpoint()

    async def _wait_to_repeat(self, request: SendMessage, delay: timedelta) -> None:
        until = format_instant(self._context.now() + delay)
        line = f"{request.template} may have been sent: the provider's answer was lost; sent again at {until}"
        self._context.details.add_line(line)
        self._context.details.set_status(f"Sending {request.template} again at {until}")
        await wait_until(lambda: False, delay, f"{request.template} again at {until}: the answer was lost")

    async def _defer(self, result: SendResult, request: SendMessage, is_obsolete: Callable[[], bool]) -> None:
        until = result.until or self._context.now()
        reason = result.reason.value if result.reason else ""
        line = f"{request.template} deferred to {format_instant(until)}: {reason} {result.detail}"
        self._context.details.add_line(line)
        self._context.details.set_status(
            f"Holding {request.template} until {format_instant(until)} ({reason})"
        )
        closings = self._inbox.count(self._closing_events)
        summary = f"{request.template} deferred: {reason} until {format_instant(until)}"
        # At least one second, so that a deferral into the past does not loop without a pause.
        remaining = max(until - self._context.now(), timedelta(seconds=1))
        held = result.reason is Reason.LOWER_PRIORITY
        await wait_until(
            lambda: is_obsolete() or (held and self._inbox.count(self._closing_events) > closings),
            remaining,
            summary,
        )

    async def _execute_send(self, request: SendMessage) -> SendResult | None:
        window = max(request.expires_at - self._context.now(), timedelta(0)) + timedelta(minutes=5)
        try:
            result: SendResult = await workflow.execute_activity(
                "send_message",
                request,
                result_type=SendResult,
                task_queue=send_queue(request.channel),
                start_to_close_timeout=SEND_ATTEMPT_TIMEOUT,
                schedule_to_close_timeout=window,
                retry_policy=SEND_RETRY_POLICY,
                # With the default type, a cancelled send may be accepted by the provider without a record.
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=f"{request.channel.value} {request.template}",
            )
            return result
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return None

    def _record_outcome(self, outcome: Message) -> None:
        match outcome:
            case Sent():
                self.sent += 1
                shown = f" ({', '.join(outcome.items)})" if outcome.items else ""
                line = f"sent {outcome.template} by {outcome.channel.value}{shown}"
            case Withheld(reason=None):
                line = f"{outcome.template} not sent again: {outcome.detail}"
            case Withheld():
                self.withheld += 1
                reason = outcome.reason.value if outcome.reason else "withheld"
                why = f" ({outcome.detail})" if outcome.detail else ""
                line = f"withheld {outcome.template}: {reason}{why}"
            case Unknown():
                line = f"{outcome.template}: the provider's answer was lost; it will not be sent again"
        self._context.details.add_line(line)
