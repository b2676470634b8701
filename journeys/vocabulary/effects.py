"""What a story does to the world, as activities: every timeout, retry and summary is set here, once."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

from activities.contracts import (
    JOURNEY_QUEUE,
    Contract,
    JoinAudience,
    RunStart,
    SendMessage,
    SendResult,
    SendStatus,
    Suggested,
    SuggestItems,
    send_queue,
)
from journeys.vocabulary.message import Message, Sent, Unknown, Withheld
from journeys.vocabulary.narrative import Narrative, stamp
from policy.verdict import Channel, Reason
from profiles.events import Item

Result = TypeVar("Result", bound=Contract)

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))


async def in_postgres(name: str, request: Contract, result_type: type[Result], summary: str) -> Result:
    """An activity that only touches Postgres: idempotent, and tried until Postgres is there again."""
    result: Result = await workflow.execute_activity(
        name,
        request,
        result_type=result_type,
        task_queue=JOURNEY_QUEUE,
        start_to_close_timeout=timedelta(seconds=30),
        retry_policy=_RETRY,
        summary=summary,
    )
    return result


SEND_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=5))
START_TO_CLOSE = timedelta(seconds=30)

_NEXT_CHANNEL = frozenset(
    {Reason.NO_ADDRESS, Reason.NO_CONSENT, Reason.OPTED_OUT, Reason.BOUNCED, Reason.COMPLAINED}
)
"""Reasons that concern the channel, so that another may be tried."""


class Effects:
    """Sends, audiences and reads of one run."""

    def __init__(
        self, start: RunStart, narrative: Narrative, now: Callable[[], datetime], told: Callable[[], None]
    ) -> None:
        self._start = start
        self._narrative = narrative
        self._now = now
        self._told = told
        self._steps: dict[str, int] = {}
        self._reachable: tuple[Channel, ...] | None = None
        self.sent = 0
        self.withheld = 0

    async def send(
        self,
        template: str,
        *,
        promoting: Sequence[Item] | None,
        showing: Sequence[Item],
        prefer: Sequence[Channel],
        expires: timedelta,
        context: dict[str, Any],
        cart_id: str | None,
        checkpoint: Callable[[], None],
    ) -> Message:
        """See ``Journey.send``."""
        step = self._step(template)
        expires_at = self._now() + expires
        outcome: Message = Withheld(template, Reason.NO_ADDRESS, "no channel was given")
        for channel in self._worth_trying(prefer):
            request = SendMessage(
                run_id=self._start.run_id,
                step=step,
                journey=self._start.journey,
                template=template,
                channel=channel,
                promoting=None if promoting is None else tuple(promoting),
                expires_at=expires_at,
                showing=tuple(showing),
                cart_id=cart_id,
                context=context,
                clock_offset_s=self._start.clock_offset_s,
            )
            outcome = await self._until_settled(request, checkpoint)
            if not (isinstance(outcome, Withheld) and outcome.reason in _NEXT_CHANNEL):
                break
        self._record(outcome)
        return outcome

    def _worth_trying(self, prefer: Sequence[Channel]) -> list[Channel]:
        """The preferred channels with an address on file, as far as is known; the last one in any case."""
        if self._reachable is None:
            return list(prefer)
        return [channel for channel in prefer if channel in self._reachable] or list(prefer[-1:])

    async def _until_settled(self, request: SendMessage, checkpoint: Callable[[], None]) -> Message:
        while True:
            self._say(f"Sending {request.template} by {request.channel.value}")
            result = await self._attempt(request)
            if result is None:
                return Unknown(request.template)
            self._reachable = result.reachable or self._reachable
            checkpoint()
            match result.status:
                case SendStatus.SENT:
                    return Sent(request.template, result.message_id or "", result.channel, result.items)
                case SendStatus.UNKNOWN:
                    return Unknown(request.template, result.message_id)
                case SendStatus.WITHHELD:
                    return Withheld(request.template, result.reason, result.detail)
                case SendStatus.DEFERRED:
                    await self._wait_until(result, request)
                    checkpoint()

    async def _wait_until(self, result: SendResult, request: SendMessage) -> None:
        until = result.until or self._now()
        reason = result.reason.value if result.reason else ""
        self._narrative.add(
            self._now(), f"{request.template} deferred to {stamp(until)}: {reason} {result.detail}"
        )
        self._say(f"Holding {request.template} until {stamp(until)} ({reason})")
        # At least a second, so that a deferral into the past cannot spin.
        remaining = max(until - self._now(), timedelta(seconds=1))
        await workflow.sleep(remaining, summary=f"{request.template} deferred: {reason} until {stamp(until)}")

    async def _attempt(self, request: SendMessage) -> SendResult | None:
        window = max(request.expires_at - self._now(), timedelta(0)) + timedelta(minutes=5)
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

    async def retarget(
        self, items: Sequence[Item], audience: str, until: timedelta, cart_id: str | None
    ) -> None:
        """See ``Journey.retarget``."""
        self._say(f"Entering ad audience {audience}")
        result = await in_postgres(
            "join_audience",
            JoinAudience(
                run_id=self._start.run_id,
                step=self._step(f"audience {audience}"),
                journey=self._start.journey,
                audience=audience,
                items=tuple(items),
                expires_at=self._now() + until,
                cart_id=cart_id,
                clock_offset_s=self._start.clock_offset_s,
            ),
            SendResult,
            f"ads {audience}",
        )
        if result.status is SendStatus.SENT:
            self._narrative.add(self._now(), f"entered ad audience {audience} for {', '.join(result.items)}")
        else:
            reason = result.reason.value if result.reason else result.status.value
            why = f" ({result.detail})" if result.detail else ""
            self._narrative.add(self._now(), f"not entered into ad audience {audience}: {reason}{why}")
        self._told()

    async def suggestions(self, limit: int) -> tuple[Item, ...]:
        """See ``Journey.suggestions``."""
        request = SuggestItems(
            run_id=self._start.run_id, limit=limit, clock_offset_s=self._start.clock_offset_s
        )
        found = await in_postgres("suggest_items", request, Suggested, f"suggest {limit} items")
        return found.items

    def _step(self, name: str) -> str:
        count = self._steps[name] = self._steps.get(name, 0) + 1
        return name if count == 1 else f"{name} #{count}"

    def _record(self, outcome: Message) -> None:
        match outcome:
            case Sent():
                self.sent += 1
                shown = f" ({', '.join(outcome.items)})" if outcome.items else ""
                line = f"sent {outcome.template} by {outcome.channel.value}{shown}"
            case Withheld():
                self.withheld += 1
                reason = outcome.reason.value if outcome.reason else "withheld"
                line = f"withheld {outcome.template}: {reason}" + (
                    f" ({outcome.detail})" if outcome.detail else ""
                )
            case Unknown():
                line = f"{outcome.template}: the provider's answer was lost; it will not be sent again"
        self._narrative.add(self._now(), line)
        self._told()

    def _say(self, line: str) -> None:
        self._narrative.now(line)
        self._told()
