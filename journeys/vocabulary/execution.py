"""A run underneath its story: signals in, the race between story and ending, and the last act."""

# No postponed annotations in this file: the SDK reads the real ones of the dynamic handler.

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import FailureError

from activities.contracts import CloseResult, CloseRun, EndRun, RunResult, RunStart
from journeys.vocabulary.definition import JourneyDefinition
from journeys.vocabulary.effects import Effects, Standing, in_postgres
from journeys.vocabulary.endings import Ended
from journeys.vocabulary.inbox import Inbox
from journeys.vocabulary.narrative import Narrative, happening
from journeys.vocabulary.sending import Sending
from profiles.events import END_RUN, Event, Item


class Execution:
    """One run as a Temporal workflow; ``Journey`` adds the words a story is told in."""

    definition: ClassVar[JourneyDefinition]

    @workflow.init
    def __init__(self, start: RunStart) -> None:
        self._start = start
        self._inbox = Inbox()
        self._narrative = Narrative(self._now, workflow.set_current_details)
        self._cart: tuple[Item, ...] | None = None
        self._ending: Ended | None = None
        self._entry_id: str | None = None
        holds = self.definition.hold_while
        self._standing = Standing(
            start, self._narrative, self._now, tuple(hold.ask for hold in holds), self.definition.holdout
        )
        self._effects = Effects(self._standing)
        self._sending = Sending(self._standing, self._inbox, holds, self._stop_if_ended)

    @workflow.signal(dynamic=True)
    def _on_event(self, name: str, args: Sequence[RawValue]) -> None:
        # Records only, and never raises: an exception here would fail every task of this run for ever.
        try:
            self._receive(name, workflow.payload_converter().from_payload(args[0].payload, dict))
        except Exception as error:
            self._narrative.fault(name, repr(error))

    def _receive(self, name: str, payload: dict[str, Any]) -> None:
        if name == END_RUN:
            end = EndRun.model_validate(payload)
            self._ending = self._ending or Ended(end.outcome, end.reason)
            return
        event = Event.by_name[name].model_validate(payload)
        if not event.id:
            raise ValueError("the event has no id")
        if self._ending is not None:
            # Too late for this story: closing routes a trigger that it has not seen afresh.
            return
        if not self._inbox.receive(event, self._now()):
            return
        self._narrative.note(happening(event))
        if event.cart is not None and self._is_mine(event):
            self._cart = event.cart
        if self._entry_id is None and name in self.definition.start_names:
            # The entry event is what the journey is about, not what ends it.
            self._entry_id = event.id
            return
        for ending in self.definition.ends_on:
            self._ending = self._ending or ending.after(event, self._cart)
        if self._ending is not None:
            self._inbox.look()

    def _is_mine(self, event: Event) -> bool:
        return self._cart_id() is not None and event.cart_id == self._start.key

    def _cart_id(self) -> str | None:
        return self._start.key if self.definition.keyed_by == "cart_id" else None

    async def _tell(self) -> str:
        await workflow.wait_condition(lambda: self._inbox.first(self.definition.starts_on) is not None)
        if (entry := self._inbox.first(self.definition.starts_on)) is None:
            raise AssertionError("the condition above holds, so there is an entry event")
        entry.used = True
        return str(await self.story(entry.event))

    async def story(self, entry: Any) -> Any:
        """The author's ``run``, under the name it has once the class is a workflow."""
        raise NotImplementedError(f"{type(self).__name__} must define run(self, entry)")

    async def _run_to_end(self) -> RunResult:
        story = asyncio.create_task(self._tell())
        failure: FailureError | None = None
        try:
            await workflow.wait_condition(lambda: self._ending is not None or story.done())
        except asyncio.CancelledError:
            self._ending = self._ending or Ended("cancelled", "cancelled in Temporal")
        if not story.done():
            story.cancel()
            await workflow.wait([story])
        if self._ending is None:
            try:
                self._ending = Ended(story.result(), "the story was told to its end")
            except FailureError as error:
                failure = error
                self._ending = Ended("failed", str(error.cause or error)[:300])
        return await self._close(self._ending, failure)

    async def _close(self, ended: Ended, failure: FailureError | None) -> RunResult:
        self._narrative.say(f"Closing: {ended.outcome}")
        closing = CloseRun(
            run_id=self._start.run_id,
            outcome=ended.outcome,
            detail=ended.reason,
            seen=self._inbox.seen,
            clock_offset_s=self._start.clock_offset_s,
            exposures=self._standing.exposures.untold,
        )
        await in_postgres("close_run", closing, CloseResult, f"close: {ended.outcome}")
        self._narrative.say(f"Ended: {ended.outcome} ({ended.reason})")
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
        # An activity that completed although it was to be cancelled swallows the cancellation.
        if self._ending is not None:
            raise asyncio.CancelledError(self._ending.reason)
