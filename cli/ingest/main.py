"""``waypost ingest``: replay a file of real events through the API, and sum up what became of them."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.ingest import formats
from cli.ingest import formats as segment
from cli.ingest.formats import FileLine, InvalidLine, ParsedLine, open_text
from profiles.db.database import Database
from profiles.runs.lifecycle import count_started
from workers.ingest_client import MAX_BATCH_EVENTS, IngestClient, IngestSettings
from workers.process import UserError

FORMATS: dict[str, Callable[[TextIO, timedelta], Iterator[FileLine]]] = {
    "rees46": formats.read_rees46,
    "segment": segment.read_segment,
}

_MAX_PRINTED_LINES = 10
"""Bad lines that are printed; all are counted."""

_SOURCE_PATTERNS = {"rees46": formats.REES46_SOURCE, "segment": "segment/%"}


@dataclass(slots=True)
class FileReplay:
    """What one file held."""

    sent: int = 0
    people: set[str] = field(default_factory=set)
    event_names: Counter[str] = field(default_factory=Counter)
    invalid_lines: list[InvalidLine] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, told: Sequence[ParsedLine]) -> None:
        """Count events that are about to be sent."""
        self.sent += len(told)
        self.people.update(one.person for one in told if one.person)
        self.event_names.update(one.event_name for one in told)


async def replay_file(file: Path, *, format: str, as_live: bool) -> int:
    """Send the file through the API in batches; returns the exit code.

    0: every line was taken in, now or in an earlier replay. 1: some were not; their line numbers and reasons
    are printed, and the others were sent nevertheless. Event ids come from the content, so a replay changes
    nothing. ``as_live`` moves all times so that the last event is now. Raises ``Fault``.
    """
    if format not in FORMATS:
        raise UserError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    settings = IngestSettings()
    console = Console(highlight=False)
    shift = _shift_to_now(file, format) if as_live else timedelta()
    begun_at = datetime.now(UTC)
    async with IngestClient(settings.base_url, settings.api_key) as door:
        await door.require_api()
        replay = await _send_file(file, format, shift, door, console)
    _print_invalid_lines(console, replay)
    _print_summary(console, file, replay, door, await _count_started_runs(settings, format, begun_at))
    return 1 if replay.invalid_lines or door.counts.describe_refusals() else 0


async def _send_file(
    file: Path, format: str, shift: timedelta, door: IngestClient, console: Console
) -> FileReplay:
    replay, begun = FileReplay(), time.monotonic()
    send = door.send_segment_calls if format == "segment" else door.send_events
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar, open_text(file) as (text, raw):
        task = bar.add_task(file.name, total=os.fstat(raw.fileno()).st_size, rate="")
        for batch in _batches(FORMATS[format](text, shift)):
            told = [line for line in batch if isinstance(line, ParsedLine)]
            replay.invalid_lines += [line for line in batch if isinstance(line, InvalidLine)]
            replay.add(told)
            results = await send([line.body for line in told])
            replay.invalid_lines += [
                InvalidLine(line.line_number, _describe_refusal(result))
                for line, result in zip(told, results, strict=True)
                if result["status"] in ("rejected", "conflict")
            ]
            replay.seconds = time.monotonic() - begun
            bar.update(task, completed=raw.tell(), rate=f"{replay.sent / replay.seconds:,.0f}/s")
    return replay


def _batches(lines: Iterator[FileLine]) -> Iterator[list[FileLine]]:
    while batch := list(islice(lines, MAX_BATCH_EVENTS)):
        yield batch


def _shift_to_now(file: Path, format: str) -> timedelta:
    """What to add to the file's times, in whole seconds, so that the last one is now."""
    with open_text(file) as (text, _):
        last = max(
            (line.time for line in FORMATS[format](text, timedelta()) if isinstance(line, ParsedLine)),
            default=None,
        )
    return timedelta() if last is None else datetime.now(UTC).replace(microsecond=0) - last


async def _count_started_runs(settings: IngestSettings, format: str, since: datetime) -> int | None:
    """Runs that events taken in since then have started; None where no database is named."""
    if not settings.database_url:
        return None
    database = Database(settings.database_url, pool_size=1)
    try:
        async with database.transaction() as connection:
            return await count_started(connection, since, _SOURCE_PATTERNS[format])
    finally:
        await database.close()


def _describe_refusal(result: dict[str, str]) -> str:
    if result["status"] == "conflict":
        return "its id came before with other content, which stands"
    return f"{result['code']}: {result['detail']}"


def _print_invalid_lines(console: Console, replay: FileReplay) -> None:
    for bad in replay.invalid_lines[:_MAX_PRINTED_LINES]:
        console.print(f"line {bad.line_number}: {bad.reason}", style="yellow", markup=False, soft_wrap=True)
    if len(replay.invalid_lines) > _MAX_PRINTED_LINES:
        console.print(f"… and {len(replay.invalid_lines) - _MAX_PRINTED_LINES} more", style="yellow")


def _print_summary(
    console: Console, file: Path, replay: FileReplay, door: IngestClient, runs: int | None
) -> None:
    tally = door.counts
    codes = ", ".join(f"{n} {code}" for code, n in tally.codes.most_common())
    rows = [
        ("events sent", replay.sent, f"{replay.sent / max(replay.seconds, 0.001):,.0f} a second"),
        ("accepted", tally.statuses["accepted"], ""),
        ("duplicate", tally.statuses["duplicate"], "taken in before, the same content"),
        ("conflict", tally.statuses["conflict"], "taken in before with other content, which stands"),
        ("rejected", tally.statuses["rejected"], codes),
        (
            "lines that are no events",
            len(replay.invalid_lines) - sum(tally.statuses[s] for s in ("conflict", "rejected")),
            "",
        ),
        ("people", len(replay.people), ""),
        ("added to carts", replay.event_names["Product Added"], ""),
        ("purchases", replay.event_names["Order Completed"], ""),
    ]
    table = Table(title=file.name, show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, count, detail in rows:
        table.add_row(name, f"{count:,}", detail)
    table.add_row(
        "runs started",
        "not counted" if runs is None else f"{runs:,}",
        "" if runs else _explain_run_count(runs),
    )
    console.print(table)


def _explain_run_count(runs: int | None) -> str:
    return "set DATABASE_URL to count them" if runs is None else "what is older than 72 hours starts none"
