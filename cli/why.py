"""``waypost why``: load the evidence, explain why a message was sent or not, and format the answer."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table

from api.settings import ApiSettings
from api.temporal import TemporalGateway
from api.why.answer import Answer, Explainer, InvalidInstant, WhyQuery, load_explainer, load_waits
from api.why.reasons import ZONE_SOURCE_TEXTS
from api.why.timeline import Entry
from cli.database import open_database, parse_identifier
from cli.tables import render_text, to_json
from profiles.errors import NotFound
from profiles.identity import component
from profiles.identity.identifiers import parse_identifier_input, split_key
from workers.errors import UserError


async def answer_why(
    customer: str, *, journey: str | None, item: str | None, at: str | None, as_json: bool
) -> str:
    """Return the answer as a text or as JSON.

    Raises ``UserError`` for an unknown customer, an invalid time, or a database that does not answer.
    """
    settings = ApiSettings()

    async def read(connection: Any) -> tuple[Explainer, WhyQuery]:
        profile_id = await _find_profile_id(connection, customer)
        asked, limits, zone = WhyQuery(journey, item), settings.policy.limits, settings.default_timezone
        try:
            loaded = await load_explainer(connection, profile_id, asked, at, limits, zone)
        except InvalidInstant as error:
            raise UserError(f"--at: {error}.") from error
        if loaded is None:
            raise NotFound(f"there is no profile {profile_id} any more")
        return loaded

    async with open_database() as database:
        explainer, query = await database.run(read)
    waits = await load_waits(TemporalGateway(settings), explainer.runs_to_query(query))
    answer = explainer.answer(query, waits)
    if as_json:
        return to_json(answer) + "\n"
    return format_answer(answer)


def format_answer(answer: Answer) -> str:
    """Return the sentence, its facts and the timeline, for a terminal of any width."""
    parts: list[RenderableType] = [answer.sentence]
    if answer.facts:
        parts.append("\nBased on")
        parts += [Padding(f"{fact.kind}: {fact.text}", (0, 0, 0, 2)) for fact in answer.facts]
    source = ZONE_SOURCE_TEXTS.get(answer.zone_source, answer.zone_source)
    parts.append(f"\nWhat happened, by the clock of {answer.zone} ({source})")
    parts.append(_timeline_table(answer.timeline) if answer.timeline else "  nothing on file")
    if answer.is_cut:
        parts.append("There is more on file; --at looks at an earlier moment.")
    return "\n".join(line.rstrip() for line in render_text(*parts).splitlines()) + "\n"


def _timeline_table(entries: Sequence[Entry]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    day = ""
    for entry in entries:
        today, _, clock = entry.local.partition(" at ")
        table.add_row(f"  {today if today != day else '':<15} {clock}", entry.kind, _entry_text(entry))
        day = today
    return table


def _entry_text(entry: Entry) -> str:
    failed = [f"did not pass: {check.name}: {check.detail}" for check in entry.checks if not check.passed]
    problems = [f"not done with it: {entry.problems}"] if entry.problems else []
    return "\n  ".join([entry.text, *failed, *problems])


async def _find_profile_id(connection: Any, customer: str) -> UUID:
    try:
        profile_id = await component.load_canonical_id(connection, UUID(customer))
    except ValueError:
        key = parse_identifier(*parse_identifier_input(customer))
        profile_id = await component.find_profile_id(connection, *split_key(key))
        if profile_id is None:
            message = f"no profile has {key}; check its spelling, or send an event that names it"
            raise NotFound(message) from None
    if profile_id is None:
        raise NotFound(f"there is no profile {customer}")
    return profile_id
