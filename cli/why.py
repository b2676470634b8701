"""What ``waypost why`` does: read, answer, and print the answer for a terminal."""

from collections.abc import Sequence
from io import StringIO
from typing import Any
from uuid import UUID

import orjson
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from api.settings import ApiSettings
from api.temporal import Engine
from api.why.answer import Answer, Asked, Teller, first_line, instant, teller_of
from api.why.reasons import ZONE_FROM
from api.why.timeline import Entry
from cli.database import facts, spelled
from profiles.errors import Unknown
from profiles.identity import component
from profiles.identity.identifiers import as_asked, split_key
from profiles.views import decision_evidence
from profiles.views.profile import RunView
from workers.process import Fault

MOST_ASKED = 5
"""Runs that are asked what they wait for."""


async def ask(customer: str, *, journey: str | None, item: str | None, at: str | None, as_json: bool) -> str:
    """The answer as text. Raises ``Fault`` for somebody who is not known, and for a time that is none."""
    settings = ApiSettings()

    async def read(connection: Any) -> tuple[Teller, Asked]:
        profile_id = await _whom(connection, customer)
        account = await decision_evidence.read(connection, profile_id, journey=journey)
        if account is None:
            raise Unknown(f"there is no profile {profile_id} any more")
        teller = teller_of(account, settings.policy.limits, settings.default_timezone)
        try:
            moment = instant(at, teller.zone.zone) if at else None
        except ValueError as error:
            raise Fault(f"--at: {error}.") from error
        if moment is not None and account.cut:
            account = (
                await decision_evidence.read(connection, profile_id, journey=journey, until=moment) or account
            )
        teller = teller_of(account, settings.policy.limits, settings.default_timezone)
        return teller, Asked(journey, item, moment)

    async with facts() as database:
        teller, asked = await database.run(read)
    answer = teller.answer(asked, await _waits(settings, teller.waiting_runs(asked)))
    if as_json:
        return orjson.dumps(answer, str, orjson.OPT_INDENT_2).decode() + "\n"
    return in_words(answer)


def in_words(answer: Answer) -> str:
    """The sentence, what it stood on, and the timeline, for a terminal of any width."""
    # What customers wrote is text: square brackets in it mean nothing.
    console = Console(file=StringIO(), markup=False, emoji=False, highlight=False)
    with console.capture() as told:
        console.print(answer.sentence)
        if answer.facts:
            console.print("\nWhat it stood on")
            for fact in answer.facts:
                console.print(Padding(f"{fact.kind}: {fact.text}", (0, 0, 0, 2)))
        source = ZONE_FROM.get(answer.zone_source, answer.zone_source)
        console.print(f"\nWhat happened, by the clock of {answer.zone} ({source})")
        console.print(_lines(answer.timeline) if answer.timeline else "  nothing on file")
        if answer.is_cut:
            console.print("There is more on file; --at looks at an earlier moment.")
    return "\n".join(line.rstrip() for line in told.get().splitlines()) + "\n"


def _lines(entries: Sequence[Entry]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    day = ""
    for entry in entries:
        today, _, clock = entry.local.partition(" at ")
        table.add_row(f"  {today if today != day else '':<15} {clock}", entry.kind, _text(entry))
        day = today
    return table


def _text(entry: Entry) -> str:
    failed = [f"did not pass: {one.name}: {one.detail}" for one in entry.checks if not one.passed]
    problems = [f"not done with it: {entry.problems}"] if entry.problems else []
    return "\n  ".join([entry.text, *failed, *problems])


async def _whom(connection: Any, customer: str) -> UUID:
    try:
        found = await component.canonical(connection, UUID(customer))
    except ValueError:
        key = spelled(*as_asked(customer))
        found = await component.find(connection, *split_key(key))
        if found is None:
            raise Unknown(f"nobody has {key}; check its spelling, or send an event that names it") from None
    if found is None:
        raise Unknown(f"there is no profile {customer}")
    return found


async def _waits(settings: ApiSettings, runs: Sequence[RunView]) -> dict[UUID, str]:
    engine, waits = Engine(settings), {}
    for run in [run for run in runs if run.state == "running"][-MOST_ASKED:]:
        one = await engine.waiting(run.workflow_id, run.temporal_run_id)
        waits[run.run_id] = first_line(one.details)
    return waits
