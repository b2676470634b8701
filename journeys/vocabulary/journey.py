"""The journey itself: a Temporal workflow around an author's story, and the words the story is told in."""

# No postponed annotations in this file: the SDK reads the real ones of the dynamic handler.

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar, overload

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import FailureError

from activities.contracts import (
    END_SIGNAL,
    CloseResult,
    CloseRun,
    EndRun,
    RunResult,
    RunStart,
)
from journeys.vocabulary.definition import JourneyDefinition, KeyedBy, kebab
from journeys.vocabulary.durations import days, in_words
from journeys.vocabulary.effects import Effects, in_postgres
from journeys.vocabulary.endings import Ended, Ending
from journeys.vocabulary.inbox import Inbox
from journeys.vocabulary.message import Message, Sent
from journeys.vocabulary.narrative import Narrative, stamp
from policy.reentry import Reentry, Unlimited
from policy.verdict import Channel
from profiles.events import Event, Item

E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)
C = TypeVar("C", bound=type["Journey"])

TWO_DAYS, TWO_WEEKS = days(2), days(14)

EMAIL, SMS, PUSH = Channel.EMAIL, Channel.SMS, Channel.PUSH


class Cart:
    """The cart a run is about, as of the last event."""

    def __init__(self, items: tuple[Item, ...]) -> None:
        self.items = items
        """Its lines."""

    def __bool__(self) -> bool:
        return bool(self.items)


class Journey:
    """Base of every journey. Subclass it, write ``run``, and decorate the class with ``@journey``.

    ``run`` gets the entry event and tells the story in the words below; it is ordinary workflow code, so
    anything of ``temporalio.workflow`` may stand beside them. What it returns becomes the run's outcome.
    """

    definition: ClassVar[JourneyDefinition]

    @workflow.init
    def __init__(self, start: RunStart) -> None:
        self._start = start
        self._inbox = Inbox()
        self._narrative = Narrative()
        self._cart: tuple[Item, ...] | None = None
        self._ending: Ended | None = None
        self._effects = Effects(start, self._narrative, self._now, self._told)

    # The words of a story

    @property
    def cart(self) -> Cart:
        """The cart of a journey ``keyed_by="cart_id"``; the gate re-reads the truth before anything is sent."""
        return Cart(self._cart or ())

    def now(self) -> datetime:
        """The run's clock: Temporal's, moved by time travel on a local stack."""
        return self._now()

    @overload
    async def wait_for(
        self, kind: type[E], /, *, of: Message | None = None, where: Callable[[E], bool] | None = None,
        within: timedelta | None = None,
    ) -> E | None: ...  # fmt: skip
    @overload
    async def wait_for(
        self, kind: type[E], kind2: type[E2], /, *, of: Message | None = None,
        where: Callable[[E | E2], bool] | None = None, within: timedelta | None = None,
    ) -> E | E2 | None: ...  # fmt: skip
    @overload
    async def wait_for(
        self, kind: type[E], kind2: type[E2], kind3: type[E3], /, *, of: Message | None = None,
        where: Callable[[E | E2 | E3], bool] | None = None, within: timedelta | None = None,
    ) -> E | E2 | E3 | None: ...  # fmt: skip
    @overload
    async def wait_for(
        self, kind: type[E], kind2: type[E2], kind3: type[E3], kind4: type[E4], /, *,
        of: Message | None = None, where: Callable[[E | E2 | E3 | E4], bool] | None = None,
        within: timedelta | None = None,
    ) -> E | E2 | E3 | E4 | None: ...  # fmt: skip
    async def wait_for(
        self, *kinds: type[Any], of: Message | None = None, where: Callable[[Any], bool] | None = None,
        within: timedelta | None = None,
    ) -> Any:  # fmt: skip
        """The first of these events that the run has not used yet, or None once ``within`` has passed.

        Finds what came before the wait began as well (look-back). ``of`` keeps to events of one message; of a
        message that was not sent nothing can come, so the time passes. A goal or exit ends the wait at once.
        """
        message_id = (of.message_id if isinstance(of, Sent) else "") if of is not None else None
        names = " or ".join(kind.event_name for kind in kinds) + (f" of {of.template}" if of else "")
        deadline = None if within is None else self._now() + within

        def arrived() -> bool:
            return self._inbox.first(kinds, message_id=message_id, where=where) is not None

        self._tell_now(f"Waiting for {names}" + (f", until {stamp(deadline)}" if deadline else ""))
        if not arrived() and (within is None or within > timedelta(0)):
            try:
                await workflow.wait_condition(arrived, timeout=within, timeout_summary=f"wait for {names}")
            except TimeoutError:
                self._note(f"no {names} within {in_words(within or timedelta(0))}")
        self._stop_if_ended()
        found = self._inbox.first(kinds, message_id=message_id, where=where)
        if found is None:
            return None
        found.used = True
        return found.event

    async def quiet(self, length: timedelta, of: Sequence[type[Event]]) -> None:
        """Wait until none of these events has come for ``length`` (debounce).

        One timer while it lasts; it is armed again only when it fires and something came in between.
        """
        names = ", ".join(kind.event_name for kind in of)
        while True:
            last = self._inbox.last_arrival(of) or self._now()
            remaining = last + length - self._now()
            if remaining <= timedelta(0):
                return
            self._tell_now(f"Waiting for {in_words(length)} without {names}, until {stamp(last + length)}")
            await workflow.sleep(remaining, summary=f"quiet for {in_words(length)}")
            self._stop_if_ended()

    async def sleep(self, length: timedelta) -> None:
        """Let time pass. A goal or exit ends the sleep at once."""
        if length <= timedelta(0):
            return
        self._tell_now(f"Sleeping until {stamp(self._now() + length)}")
        await workflow.sleep(length, summary=f"sleep {in_words(length)}")
        self._stop_if_ended()

    async def send(
        self,
        template: str,
        *,
        promoting: Sequence[Item] | None,
        showing: Sequence[Item] = (),
        prefer: Sequence[Channel] = (EMAIL,),
        expires: timedelta = TWO_DAYS,
        context: dict[str, Any] | None = None,
    ) -> Message:
        """Send a message, if the gate allows it, on the first of the preferred channels that can be used.

        ``promoting`` names the items it promotes, or is None on purpose; ``showing`` are items it shows
        without promoting them, such as those of an order. A deferred message waits and passes
        the whole gate again; after ``expires`` it is withheld. At most once, and never an exception for a
        message that could not be sent.
        """
        message = await self._effects.send(
            template,
            promoting=promoting,
            showing=showing,
            prefer=prefer,
            expires=expires,
            context=context or {},
            cart_id=self._cart_id(),
            checkpoint=self._stop_if_ended,
        )
        self._stop_if_ended()
        return message

    async def retarget(self, items: Sequence[Item], audience: str, until: timedelta = TWO_WEEKS) -> None:
        """Put the person into an ad audience for these items, as far as the gate allows.

        They leave it by themselves: when an item is bought, and all when the run ends.
        """
        await self._effects.retarget(items, audience, until, self._cart_id())
        self._stop_if_ended()

    async def suggestions(self, limit: int = 3) -> tuple[Item, ...]:
        """What the person looked at, or what goes with what they bought, and has not bought."""
        found = await self._effects.suggestions(limit)
        self._stop_if_ended()
        return found

    # Underneath: plain Temporal

    @workflow.signal(dynamic=True)
    def _on_event(self, name: str, args: Sequence[RawValue]) -> None:
        # Records only, and never raises: an exception here would fail every task of this run for ever.
        try:
            self._receive(name, workflow.payload_converter().from_payload(args[0].payload, dict))
        except Exception as error:
            self._narrative.fault(name, repr(error))
        self._told()

    def _receive(self, name: str, payload: dict[str, Any]) -> None:
        if name == END_SIGNAL:
            end = EndRun.model_validate(payload)
            self._ending = self._ending or Ended(end.outcome, end.reason)
            return
        event = Event.by_name[name].model_validate(payload)
        if not event.id:
            raise ValueError("the event has no id")
        if not self._inbox.receive(event, self._now()):
            return
        self._narrative.add(self._now(), f"{name}" + (f" ({event.channel.value})" if event.channel else ""))
        if event.cart is not None and self._is_mine(event):
            self._cart = event.cart
        for ending in self.definition.ends_on:
            # The entry event is what the journey is about, not what ends it.
            if self._ending is None and len(self._inbox.seen) > 1:
                self._ending = ending.after(event, self._cart)

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
        self._tell_now(f"Closing: {ended.outcome}")
        closing = CloseRun(
            run_id=self._start.run_id,
            outcome=ended.outcome,
            detail=ended.reason,
            seen=self._inbox.seen,
            clock_offset_s=self._start.clock_offset_s,
        )
        await in_postgres("close_run", closing, CloseResult, f"close: {ended.outcome}")
        self._tell_now(f"Ended: {ended.outcome} ({ended.reason})")
        if failure is not None:
            raise failure
        return RunResult(
            outcome=ended.outcome,
            detail=ended.reason,
            sent=self._effects.sent,
            withheld=self._effects.withheld,
        )

    def _now(self) -> datetime:
        return workflow.now() + timedelta(seconds=self._start.clock_offset_s)

    def _stop_if_ended(self) -> None:
        # An activity that completed although it was to be cancelled swallows the cancellation.
        if self._ending is not None:
            raise asyncio.CancelledError(self._ending.reason)

    def _note(self, line: str) -> None:
        self._narrative.add(self._now(), line)
        self._told()

    def _tell_now(self, line: str) -> None:
        self._narrative.now(line)
        self._told()

    def _told(self) -> None:
        workflow.set_current_details(self._narrative.markdown())


def journey(
    *,
    starts_on: type[Event] | tuple[type[Event], ...],
    keyed_by: KeyedBy,
    ends_on: Ending | tuple[Ending, ...] = (),
    reentry: Reentry | None = None,
    where: Callable[[Any], bool] | None = None,
    also_listens_to: tuple[type[Event], ...] = (),
    name: str | None = None,
) -> Callable[[C], C]:
    """Make a class a journey, and a Temporal workflow of its name (the class name in kebab-case).

    ``starts_on``: events that start a run, if ``where`` (a filter) lets them. ``keyed_by``: a property's name,
    PERSON, or a function of the event; one live run per key. ``ends_on``: goals and exits, checked on every
    event. ``reentry``: how often one key may enter; any time by default. A run is told of the events it starts
    and ends on, those the class's code names, and ``also_listens_to``.
    """

    def decorate(cls: C) -> C:
        told = cls.__dict__.get("run")
        if told is None:
            raise TypeError(
                f"{cls.__qualname__} is decorated with @journey and must define `async def run(self, entry)`"
            )
        definition = JourneyDefinition(
            name=name or kebab(cls.__name__),
            cls=cls,
            starts_on=starts_on if isinstance(starts_on, tuple) else (starts_on,),
            keyed_by=keyed_by,
            ends_on=ends_on if isinstance(ends_on, tuple) else (ends_on,),
            reentry=reentry or Unlimited(),
            where=where,
            also_listens_to=also_listens_to,
        )

        async def run(self: Journey, start: RunStart) -> RunResult:
            return await self._run_to_end()

        # The SDK wants a module-level name, and the run method's name to be the class's own.
        run.__qualname__ = f"{cls.__name__}.run"
        run.__module__ = cls.__module__
        del run.__annotations__["self"]  # the SDK compares it with __init__, which has none
        cls.definition = definition
        setattr(cls, "story", told)  # noqa: B010 - the author's `run` moves here,
        setattr(cls, "run", workflow.run(run))  # noqa: B010 - and Temporal's takes its name
        return workflow.defn(name=definition.name)(cls)

    return decorate
