"""Words that let time pass: waits for one event, all of several, quiet, a local time, and holds."""

from collections.abc import Callable, Sequence
from datetime import time, timedelta
from typing import Any, TypeVar, overload

from temporalio import workflow

from journeys.vocabulary.durations import Weekday, format_rounded_duration
from journeys.vocabulary.effects import wait_until
from journeys.vocabulary.execution import Execution
from journeys.vocabulary.holds import Hold
from journeys.vocabulary.inbox import Arrival
from journeys.vocabulary.message import Message, Sent
from journeys.vocabulary.narrative import format_instant
from policy.hours.time_zones import next_local_time
from profiles.events import Event

E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)


class Waiting(Execution):
    """Words for waits. A goal or exit ends a wait at once. A wait also finds earlier events (look-back)."""

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

        Also finds events that came before the wait began (look-back). ``of`` accepts only events of
        one message; for one that was not sent, the whole time passes. A goal or exit ends the wait.
        """
        names = " or ".join(kind.event_name for kind in kinds) + (f" of {of.template}" if of else "")
        ids = _message_ids(of)

        def first_match() -> list[Arrival]:
            arrival = self._inbox.first_unused(kinds, of=ids, where=where)
            return [] if arrival is None else [arrival]

        arrivals = await self._wait_for_arrivals(first_match, names, within)
        return arrivals[0].event if arrivals else None

    @overload
    async def wait_for_all(
        self, kind: type[E], kind2: type[E2], /, *, of: Message | None = None,
        within: timedelta | None = None,
    ) -> tuple[E, E2] | None: ...  # fmt: skip
    @overload
    async def wait_for_all(
        self, kind: type[E], kind2: type[E2], kind3: type[E3], /, *, of: Message | None = None,
        within: timedelta | None = None,
    ) -> tuple[E, E2, E3] | None: ...  # fmt: skip
    @overload
    async def wait_for_all(
        self, kind: type[E], kind2: type[E2], kind3: type[E3], kind4: type[E4], /, *,
        of: Message | None = None, within: timedelta | None = None,
    ) -> tuple[E, E2, E3, E4] | None: ...  # fmt: skip
    async def wait_for_all(
        self, *kinds: type[Any], of: Message | None = None, within: timedelta | None = None
    ) -> Any:
        """One event of each kind, in any order, or None once ``within`` has passed.

        With None no event is used, so a later wait finds those that came.
        """
        names = " and ".join(kind.event_name for kind in kinds) + (f" of {of.template}" if of else "")
        ids = _message_ids(of)

        def one_of_each() -> list[Arrival]:
            arrivals: list[Arrival] = []
            for kind in kinds:
                arrival = self._inbox.first_unused((kind,), of=ids, excluding=arrivals)
                if arrival is None:
                    return []
                arrivals.append(arrival)
            return arrivals

        arrivals = await self._wait_for_arrivals(one_of_each, names, within)
        return tuple(arrival.event for arrival in arrivals) if arrivals else None

    async def _wait_for_arrivals(
        self, find_arrivals: Callable[[], list[Arrival]], names: str, within: timedelta | None
    ) -> list[Arrival]:
        deadline = None if within is None else self._now() + within
        self._details.set_status(
            f"Waiting for {names}" + (f", until {format_instant(deadline)}" if deadline else "")
        )
        waits = not find_arrivals() and (within is None or within > timedelta(0))
        if waits and not await wait_until(lambda: bool(find_arrivals()), within, f"wait for {names}"):
            self._details.add_line(f"no {names} within {format_rounded_duration(within or timedelta(0))}")
        self._stop_if_ended()
        arrivals = find_arrivals()
        for arrival in arrivals:
            arrival.used = True
        return arrivals

    def forget(self, *kinds: type[Event]) -> None:
        """Ignore the events of these kinds received so far: a later wait finds only new ones."""
        self._inbox.mark_used(kinds)

    async def quiet(self, length: timedelta, of: Sequence[type[Event]]) -> None:
        """Wait until none of these events has come for ``length`` (debounce).

        Uses one timer at a time, started again only when it fires and an event came meanwhile.
        """
        names = ", ".join(kind.event_name for kind in of)
        begun = self._now()
        while True:
            last = self._inbox.last_arrival(of) or begun
            remaining = last + length - self._now()
            if remaining <= timedelta(0):
                return
            self._details.set_status(
                f"Waiting for {format_rounded_duration(length)} without {names}, "
                f"until {format_instant(last + length)}"
            )
            await workflow.sleep(remaining, summary=f"quiet for {format_rounded_duration(length)}")
            self._stop_if_ended()

    async def sleep(self, length: timedelta) -> None:
        """Let time pass. A goal or exit ends the sleep at once."""
        if length <= timedelta(0):
            return
        self._details.set_status(f"Sleeping until {format_instant(self._now() + length)}")
        await workflow.sleep(length, summary=f"sleep {format_rounded_duration(length)}")
        self._stop_if_ended()

    async def sleep_until(self, at: time, *, weekday: Weekday | None = None) -> None:
        """Sleep until the next local time ``at`` in the profile's zone, on ``weekday`` if it is given.

        A local time that a clock change skips is the moment of the change; one that occurs twice is
        the first. Uses the last zone that the run received; a run without one reads the profile.
        """
        zone = await self._activities.zone()
        self._stop_if_ended()
        until = next_local_time(self._now(), zone, at, weekday)
        day = f"{weekday.name.capitalize()} " if weekday is not None else ""
        self._details.set_status(f"Sleeping until {day}{at:%H:%M} {zone}, that is {format_instant(until)}")
        await workflow.sleep(until - self._now(), summary=f"until {day}{at:%H:%M} {zone}")
        self._stop_if_ended()

    async def hold_while(self, *holds: Hold, within: timedelta | None = None) -> bool:
        """Wait while one of these cases is open for the profile; False if one still is when the time is up.

        Also sees cases that were opened before the run. A case may open between this wait and a send:
        declare it in ``@journey(hold_while=…)``, and the gate holds the message itself.
        """
        asks = tuple(hold.ask for hold in holds)
        closing = tuple(dict.fromkeys(kind for hold in holds for kind in hold.closed))
        deadline = None if within is None else self._now() + within
        until = f", until {format_instant(deadline)}" if deadline else ""
        while True:
            closed = self._inbox.count(closing)
            held = await self._activities.open_holds(asks)
            self._stop_if_ended()
            if not held:
                return True
            remaining = None if deadline is None else deadline - self._now()
            what = " and ".join(held)
            if remaining is not None and remaining <= timedelta(0):
                self._details.add_line(f"still open: {what}")
                return False
            self._details.set_status(f"Held while {what} is open{until}")
            await self._wait_for_more(closing, closed, remaining, f"held: {what}")
            self._stop_if_ended()

    async def _wait_for_more(
        self, kinds: Sequence[type[Event]], than: int, within: timedelta | None, summary: str
    ) -> None:
        await wait_until(lambda: self._inbox.count(kinds) > than, within, summary)


def _message_ids(of: Message | None) -> tuple[str, ...] | None:
    if of is None:
        return None
    return of.message_ids if isinstance(of, Sent) else ()
