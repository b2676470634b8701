"""``waypost runs``: list the stuck runs, and deliver to them again."""

from functools import partial
from uuid import UUID

from pydantic import BaseModel

from cli.database import current_actor, open_database
from cli.tables import build_table, render_text, to_json
from profiles.runs.stuck import list_stuck_ids, retry_stuck_run
from profiles.views.backlog import list_stuck_runs
from workers.errors import UserError


class RetriedRuns(BaseModel):
    """Result of ``waypost runs retry``."""

    retried: list[UUID]
    not_stuck: list[UUID]
    """Left as they were."""


async def retry_runs(run_id: str | None, *, every: bool, journey: str | None, reason: str) -> RetriedRuns:
    """Put one stuck run back, or ``every`` one, of one journey if given. Idempotent, each run by itself.

    Raises ``UserError`` if neither or both are given, or there is no such run.
    """
    if (run_id is None) is not every or (journey is not None and not every):
        raise UserError("name one run: waypost runs retry RUN_ID. Or all: --all, also with --journey NAME.")
    why, actor = reason.strip()[:500] or "by hand", current_actor()
    result = RetriedRuns(retried=[], not_stuck=[])
    async with open_database() as database:
        run_ids = (
            await database.run(lambda connection: list_stuck_ids(connection, journey))
            if run_id is None
            else [_parse_run_id(run_id)]
        )
        for each in run_ids:
            state = await database.run(partial(retry_stuck_run, run_id=each, reason=why, actor=actor))
            if state is None and run_id is not None:
                raise UserError(f"there is no run {run_id}. `waypost runs stuck` lists the stuck ones.")
            (result.retried if state == "stuck" else result.not_stuck).append(each)
    return result


def format_retried(result: RetriedRuns) -> str:
    """Return the result as a sentence."""
    if not result.retried:
        return "No such run is stuck; nothing was changed."
    count = len(result.retried)
    again = "1 run is" if count == 1 else f"{count} runs are"
    return (
        f"{again} delivered to again, from the event that failed on. `waypost runs stuck` lists those that "
        "the relay has to park again."
    )


async def format_stuck_runs(*, limit: int, as_json: bool) -> str:
    """Return the stuck runs, the newest first, as a table or as JSON."""
    async with open_database() as database:
        found = await database.run(lambda connection: list_stuck_runs(connection, limit))
    if as_json:
        return to_json({"runs": found}) + "\n"
    if not found:
        return "No run is stuck.\n"
    rows = [
        (
            str(run.run_id),
            run.journey,
            run.since.isoformat(" ", "seconds") if run.since else "",
            run.reason or "",
        )
        for run in found
    ]
    return render_text(build_table("", ("run", "journey", "since", "reason"), rows))


def _parse_run_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise UserError(
            f"{text!r} is no run id, such as GET /v1/runs and `waypost runs stuck` show."
        ) from error
