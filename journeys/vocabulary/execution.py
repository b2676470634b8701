"""One run as a Temporal workflow: signals, the race between story and ending, and closing."""

# No postponed annotations in this file: the SDK reads the annotations of the dynamic handler.

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import FailureError

from activities.contracts import CloseResult, CloseRun, EndRun, RunResult, RunStart
from journeys.vocabulary.definition import JourneyDefinition
from journeys.vocabulary.effects import ActivityCalls, RunContext, execute_db_activity
from journeys.vocabulary.endings import RunEnding
from journeys.vocabulary.inbox import Inbox
from journeys.vocabulary.narrative import CurrentDetails, describe_event
from journeys.vocabulary.sending import MessageSender
from profiles.error_description import describe_error
from profiles.events import END_RUN, Event, Item
from profiles.redaction import redact_text


class Execution:
    """One run as a Temporal workflow. The subclasses down to ``Journey`` add the words of the vocabulary."""

    definition: ClassVar[JourneyDefinition]

    @workflow.init
    def __init__(self, start: RunStart) -> None:
        self._start = start
        self._inbox = Inbox()
        self._details = CurrentDetails(self._now, workflow.set_current_details)
        self._cart: tuple[Item, ...] | None = None
        self._ending: RunEnding | None = None
        self._entry_id: str | None = None
        holds = self.definition.hold_while
        self._context = RunContext(
            start, self._details, self._now, tuple(hold.ask for hold in holds), self.definition.holdout
        )
        self._activities = ActivityCalls(self._context)
        self._sending = MessageSender(self._context, self._inbox, holds, self._stop_if_ended)

    @workflow.signal(dynamic=True)
    def _handle_signal(self, name: str, args: Sequence[RawValue]) -> None:
        # Only records, and never raises: an exception here would fail every further task of this run.
        try:
            self._receive(name, workflow.payload_converter().from_payload(args[0].payload, dict))
        except Exception as error:
            self._details.add_fault(name, describe_error(error))

    def _receive(self, name: str, payload: dict[str, Any]) -> None:
        if name == END_RUN:
            end = EndRun.model_validate(payload)
            self._ending = self._ending or RunEnding(end.outcome, end.reason)
            return
        event = Event.registry[name].model_validate(payload)
        if not event.id:
            raise ValueError("the event has no id")
        if self._ending is not None:
            # The run is ending. Closing it routes again any trigger that the story has not seen.
            return
        if not self._inbox.receive(event, self._now()):
            return
        self._context.unverified.add_event(event)
        self._details.add_line(describe_event(event))
        if event.cart is not None and self._is_own_cart(event):
            self._cart = event.cart
        if self._entry_id is None and name in self.definition.start_names:
            # The entry event never ends the run that it starts.
            self._entry_id = event.id
            return
        for ending in self.definition.ends_on:
            self._ending = self._ending or ending.evaluate(event, self._cart)
        if self._ending is not None:
            self._inbox.acknowledge_all()

    def _is_own_cart(self, event: Event) -> bool:
        return self._cart_id() is not None and event.cart_id == self._start.key

    def _cart_id(self) -> str | None:
        return self._start.key if self.definition.keyed_by == "cart_id" else None

    async def _run_story(self) -> str:
        await workflow.wait_condition(lambda: self._inbox.first_unused(self.definition.starts_on) is not None)
        if (entry := self._inbox.first_unused(self.definition.starts_on)) is None:
            raise AssertionError("the condition above holds, so there is an entry event")
        entry.used = True
        return str(await self.story(entry.event))

    async def story(self, entry: Any) -> Any:
        """The author's ``run``, renamed by the decorator, because ``run`` is the workflow's run method."""
        raise NotImplementedError(f"{type(self).__name__} must define run(self, entry)")

    async def _run_to_end(self) -> RunResult:
        story = asyncio.create_task(self._run_story())
        failure: FailureError | None = None
        try:
            await workflow.wait_condition(lambda: self._ending is not None or story.done())
        except asyncio.CancelledError:
            self._ending = self._ending or RunEnding("cancelled", "cancelled in Temporal")
        if not story.done():
            story.cancel()
            await workflow.wait([story])
        if self._ending is None:
            try:
                self._ending = RunEnding(story.result(), "the story was told to its end")
            except FailureError as error:
                failure = error
                self._ending = RunEnding("failed", redact_text(str(error.cause or error), 300))
        return await self._close(self._ending, failure)

    async def _close(self, ended: RunEnding, failure: FailureError | None) -> RunResult:
        self._details.set_status(f"Closing: {ended.outcome}")
        closing = CloseRun(
            run_id=self._start.run_id,
            outcome=ended.outcome,
            detail=ended.reason,
            seen=self._inbox.acknowledged_ids,
            clock_offset_s=self._start.clock_offset_s,
            exposures=self._context.exposures.unreported,
        )
        await execute_db_activity("close_run", closing, CloseResult, f"close: {ended.outcome}")
        self._details.end(f"Ended: {ended.outcome} ({ended.reason})")
        if failure is not None:
            raise failure
        return RunResult(
            outcome=ended.outcome,
            detail=ended.reason,
            sent=self._sending.sent,
            withheld=self._sending.withheld,
        )

    def _now(self) -> datetime:
        return workflow.now() + timedelta(seconds=self._start.clock_offset_s)

    def _stop_if_ended(self) -> None:
        # An activity that completes in spite of its cancellation hides the cancellation.
        if self._ending is not None:
            raise asyncio.CancelledError(self._ending.reason)
