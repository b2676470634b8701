"""The command ``waypost check``: whether a server's open runs can continue on the working tree's journeys."""

import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from temporalio.client import Client
from temporalio.service import RPCError

from authoring.replay.findings import Findings, show
from authoring.replay.history import OpenRuns, orphaned_runs
from authoring.replay.replayer import replay
from journeys.registry import JourneyRegistry, load_journeys
from workers.errors import UserError
from workers.settings import WorkerSettings
from workers.temporal_client import connect_temporal


async def run(
    settings: WorkerSettings, *, only: Sequence[str] = (), limit: int | None = None, as_json: bool = False
) -> int:
    """Check and print; returns the exit code: 0 where all runs go on, 1 where some would break.

    Reads only: starts no worker and changes nothing on the server. ``only``: names of journeys; empty for
    all. ``limit``: replays only this number of the newest runs. Raises ``UserError`` for wrong settings
    or names, and where the server cannot be read.
    """
    journeys = journeys_of(settings, only)
    try:
        client = await connect_temporal(settings)
        findings = await check(client, journeys, only=only, limit=limit, progress=not as_json)
    except (RPCError, RuntimeError) as error:
        raise UserError(
            f"Temporal cannot be read: {' '.join(str(error).split())[:300]}\n"
            "Check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and TEMPORAL_TLS…, and that Temporal runs."
        ) from error
    if as_json:
        sys.stdout.write(json.dumps(findings.as_json(), indent=2) + "\n")
    else:
        show(Console(), findings)
    return 1 if findings.would_break() else 0


async def check(
    client: Client,
    journeys: JourneyRegistry,
    *,
    only: Sequence[str] = (),
    limit: int | None = None,
    progress: bool = False,
) -> Findings:
    """Replay the open runs of these journeys; without ``only``, also report runs of no registered journey.

    ``progress`` shows a bar on standard error, where that is a terminal.
    """
    names = tuple(only) or tuple(journeys)
    runs = OpenRuns(client, names, limit)
    findings = Findings(open_runs=await runs.count())
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (progress and console.is_terminal),
    )
    with bar:
        task = bar.add_task("Replaying open runs", total=min(findings.open_runs, limit or findings.open_runs))

        def ended() -> None:
            findings.ended += 1
            bar.advance(task)

        async for each in replay(journeys.classes, runs.histories(ended)):
            findings.add(each)
            bar.advance(task)
    if not only:
        for kind, ids in (await orphaned_runs(client, tuple(journeys))).items():
            findings.add_orphans(kind, ids)
    return findings


def journeys_of(settings: WorkerSettings, only: Sequence[str]) -> JourneyRegistry:
    """Return the journeys of the working tree. Raises ``UserError``, also for an unknown name in ``only``."""
    try:
        journeys = load_journeys(settings.journey_modules)
    except ValueError as error:
        raise UserError(str(error)) from error
    unknown = []
    for name in only:
        try:
            journeys[name]
        except KeyError as error:
            unknown.append(str(error.args[0]))
    if not journeys:
        unknown.append("no journeys are registered; WAYPOST_JOURNEYS names modules with a sequence JOURNEYS")
    if unknown:
        raise UserError("\n".join(unknown))
    return journeys
