"""Sending one message: on which channel, until when, and on another one where it did not get through."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

from activities.contracts import SendMessage, SendResult, SendStatus, send_queue
from journeys.vocabulary.durations import in_words
from journeys.vocabulary.effects import Standing
from journeys.vocabulary.fallback import Fallback
from journeys.vocabulary.holds import Hold
from journeys.vocabulary.inbox import Inbox
from journeys.vocabulary.message import Message, Sent, Unknown, Withheld
from journeys.vocabulary.narrative import stamp
from policy.verdict import Channel, Reason
from profiles.events import Item, MessageBounced

SEND_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=5))
START_TO_CLOSE = timedelta(seconds=30)

WhenCapped = Literal["withhold", "wait"]

_NEXT_CHANNEL = frozenset(
    {Reason.NO_ADDRESS, Reason.NO_CONSENT, Reason.OPTED_OUT, Reason.BOUNCED, Reason.COMPLAINED}
)
"""Reasons that concern the channel, so that another may be tried."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be said, whatever the channel."""

    template: str
    promoting: Sequence[Item] | None
    showing: Sequence[Item]
    expires: timedelta
    context: dict[str, Any]
    cart_id: str | None
    when_capped: WhenCapped | None = None


def worth(items: Iterable[Item]) -> float:
    """What items cost together, as far as their prices are known."""
    return sum((item.price or 0.0) * item.quantity for item in items)


class Sending:
    """The sends of one run."""

    def __init__(
        self, standing: Standing, inbox: Inbox, holds: Sequence[Hold], checkpoint: Callable[[], None]
    ) -> None:
        self._s = standing
        self._inbox = inbox
        self._closings = tuple(dict.fromkeys(kind for hold in holds for kind in hold.closed))
        self._checkpoint = checkpoint
        self._reachable: tuple[Channel, ...] | None = None
        self._best = Channel.EMAIL
        self.sent = 0
        self.withheld = 0

    async def send(
        self, letter: Letter, prefer: Sequence[Channel] | None, fallback: Fallback | None
    ) -> Message:
        """See ``Journey.send``."""
        outcome = await self._on_some(letter, prefer, lambda: False)
        if fallback is None or not isinstance(outcome, Sent):
            return outcome
        return await self._fall_back(letter, outcome, fallback)

    async def _fall_back(self, letter: Letter, first: Sent, fallback: Fallback) -> Sent:
        got_through = self._watch(first, fallback)
        what = f"{letter.template} {fallback.says} within {in_words(fallback.within)}"
        if fallback.within > timedelta(0) and not got_through():
            until = stamp(self._s.now() + fallback.within)
            self._s.narrative.say(f"Watching whether {letter.template} gets through, until {until}")
            await self._until(
                lambda: got_through() or self._bounced(first), fallback.within, f"unless {what}"
            )
            self._checkpoint()
        if got_through():
            return first
        self._s.narrative.note("the address bounced" if self._bounced(first) else what)
        second = await self._on_some(letter, fallback.then, got_through)
        if not isinstance(second, Sent):
            return first
        return replace(second, earlier=first.message_ids)

    def _watch(self, sent: Sent, fallback: Fallback) -> Callable[[], bool]:
        return lambda: self._inbox.has(fallback.unless, of=sent.message_ids)

    def _bounced(self, sent: Sent) -> bool:
        return self._inbox.has((MessageBounced,), of=sent.message_ids)

    async def _on_some(
        self, letter: Letter, prefer: Sequence[Channel] | None, moot: Callable[[], bool]
    ) -> Message:
        """Try channels until one settles it; ``moot``: it is not needed any more."""
        request = self._request(letter)
        if prefer is None:
            request = request.model_copy(update={"choose": True})
        channels = [self._best] if prefer is None else self._worth_trying(prefer)
        outcome: Message = Withheld(letter.template, Reason.NO_ADDRESS, "no channel was given")
        while channels:
            channel = channels.pop(0)
            found, ranked = await self._on(request.model_copy(update={"channel": channel}), moot)
            if request.choose:
                # One ranking a message; where the next one begins saves it an attempt.
                request = request.model_copy(update={"choose": False})
                self._best = ranked[0] if ranked else self._best
                channels = [one for one in ranked if found is None or one is not channel]
            if found is None:
                continue
            outcome = found
            if not (isinstance(found, Withheld) and found.reason in _NEXT_CHANNEL):
                break
        self._record(outcome)
        return outcome

    def _worth_trying(self, prefer: Sequence[Channel]) -> list[Channel]:
        """The preferred channels with an address on file, as far as is known; the last one in any case."""
        if self._reachable is None:
            return list(prefer)
        return [channel for channel in prefer if channel in self._reachable] or list(prefer[-1:])

    def _request(self, letter: Letter) -> SendMessage:
        s = self._s
        return SendMessage(
            run_id=s.start.run_id,
            step=s.step(letter.template),
            journey=s.start.journey,
            template=letter.template,
            channel=Channel.EMAIL,
            promoting=None if letter.promoting is None else tuple(letter.promoting),
            expires_at=s.now() + letter.expires,
            showing=tuple(letter.showing),
            cart_id=letter.cart_id,
            context=letter.context,
            clock_offset_s=s.start.clock_offset_s,
            hold_while=s.hold_while,
            holdout=s.holdout,
            exposures=s.exposures.untold,
            value=worth(letter.promoting or ()),
            when_capped=letter.when_capped,
        )

    async def _on(
        self, request: SendMessage, moot: Callable[[], bool]
    ) -> tuple[Message | None, tuple[Channel, ...]]:
        """One channel's outcome, None where another one suits better; and the channels that suit."""
        while True:
            if moot():
                return Withheld(request.template, None, "it has got through meanwhile"), ()
            self._s.narrative.say(f"Sending {request.template} by {request.channel.value}")
            result = await self._attempt(request)
            if result is None:
                return Unknown(request.template), ()
            self._s.exposures.told(request.exposures)
            self._s.zone = result.zone or self._s.zone
            self._reachable = result.reachable or self._reachable
            self._checkpoint()
            match result.status:
                case SendStatus.ELSEWHERE:
                    return None, result.channels
                case SendStatus.SENT:
                    message_id = result.message_id or ""
                    sent = Sent(request.template, message_id, result.channel, result.items)
                    return sent, result.channels
                case SendStatus.UNKNOWN:
                    return Unknown(request.template, result.message_id), result.channels
                case SendStatus.WITHHELD:
                    return Withheld(request.template, result.reason, result.detail), result.channels
                case SendStatus.DEFERRED:
                    await self._defer(result, request, moot)
                    self._checkpoint()

    async def _defer(self, result: SendResult, request: SendMessage, moot: Callable[[], bool]) -> None:
        until = result.until or self._s.now()
        reason = result.reason.value if result.reason else ""
        line = f"{request.template} deferred to {stamp(until)}: {reason} {result.detail}"
        self._s.narrative.note(line)
        self._s.narrative.say(f"Holding {request.template} until {stamp(until)} ({reason})")
        closings = self._inbox.count(self._closings)
        summary = f"{request.template} deferred: {reason} until {stamp(until)}"
        # At least a second, so that a deferral into the past cannot spin.
        remaining = max(until - self._s.now(), timedelta(seconds=1))
        held = result.reason is Reason.LOWER_PRIORITY
        await self._until(
            lambda: moot() or (held and self._inbox.count(self._closings) > closings), remaining, summary
        )

    async def _until(self, condition: Callable[[], bool], within: timedelta, summary: str) -> None:
        try:
            await workflow.wait_condition(condition, timeout=within, timeout_summary=summary)
        except TimeoutError:
            return

    async def _attempt(self, request: SendMessage) -> SendResult | None:
        window = max(request.expires_at - self._s.now(), timedelta(0)) + timedelta(minutes=5)
        try:
            result: SendResult = await workflow.execute_activity(
                "send_message",
                request,
                result_type=SendResult,
                task_queue=send_queue(request.channel),
                start_to_close_timeout=START_TO_CLOSE,
                schedule_to_close_timeout=window,
                retry_policy=SEND_RETRY,
                # With the default, a cancelled send was accepted by the provider and nobody knew.
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=f"{request.channel.value} {request.template}",
            )
            return result
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return None

    def _record(self, outcome: Message) -> None:
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
        self._s.narrative.note(line)
