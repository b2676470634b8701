"""The words a story is told in: wait, be quiet, sleep, send, retarget."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from temporalio import workflow

from journeys.vocabulary.durations import days, in_words
from journeys.vocabulary.execution import Execution
from journeys.vocabulary.message import Message, Sent
from journeys.vocabulary.narrative import stamp
from policy.verdict import Channel
from profiles.events import Event, Item

E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)

TWO_DAYS, TWO_WEEKS = days(2), days(14)

EMAIL, SMS, PUSH = Channel.EMAIL, Channel.SMS, Channel.PUSH


class Cart:
    """The cart a run is about, as of the last event."""

    def __init__(self, items: tuple[Item, ...]) -> None:
        self.items = items
        """Its lines."""

    def __bool__(self) -> bool:
        return bool(self.items)


class Journey(Execution):
    """Base of every journey. Subclass it, write ``run``, and decorate the class with ``@journey``.

    ``run`` gets the entry event and tells the story in the words below; it is ordinary workflow code, so
    anything of ``temporalio.workflow`` may stand beside them. What it returns becomes the run's outcome.
    """

    @property
    def cart(self) -> Cart:
        """The cart of a journey ``keyed_by="cart_id"``; before a send the gate re-reads the truth."""
        self._inbox.look()
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
