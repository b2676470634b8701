"""``waypost ingest``: send a file of events through the API, and print a summary of the results."""

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
from rich.table import Column, Table

from cli.ingest.formats import (
    REES46_SOURCE,
    FileLine,
    InvalidLine,
    ParsedLine,
    open_text,
    read_rees46,
    read_segment,
)
from profiles.db.database import Database
from profiles.runs.lifecycle import count_started
from workers.errors import UserError
from workers.ingest_client import MAX_BATCH_EVENTS, IngestClient
from workers.settings import IngestSettings

FORMATS: dict[str, Callable[[TextIO, timedelta], Iterator[FileLine]]] = {
    "rees46": read_rees46,
    "segment": read_segment,
}

_MAX_PRINTED_LINES = 10
"""Maximum number of invalid lines that are printed; all are counted."""

_SOURCE_PATTERNS = {"rees46": REES46_SOURCE, "segment": "segment/%"}


@dataclass(slots=True)
class FileReplay:
    """Counts of one file."""

    sent: int = 0
    people: set[str] = field(default_factory=set)
    event_names: Counter[str] = field(default_factory=Counter)
    invalid_lines: list[InvalidLine] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, events: Sequence[ParsedLine]) -> None:
        """Count events that are about to be sent."""
        self.sent += len(events)
        self.people.update(event.person for event in events if event.person)
        self.event_names.update(event.event_name for event in events)


async def replay_file(file: Path, *, format: str, as_live: bool) -> int:
    """Send the file through the API in batches; returns the exit code.

    0: every line was accepted, now or in an earlier replay. 1: some were not; their line numbers and reasons
    are printed, and all other lines were sent. Idempotent: event ids come from the content. ``as_live`` moves
    all times so that the last event is now. Raises ``UserError``.
    """
    if format not in FORMATS:
        raise UserError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    settings = IngestSettings()
    console = Console(highlight=False)
    shift = _shift_to_now(file, format) if as_live else timedelta()
    begun_at = datetime.now(UTC)
    async with IngestClient(settings.base_url, settings.api_key) as ingest_client:
        await ingest_client.require_api()
        replay = await _send_file(file, format, shift, ingest_client, console)
    _print_invalid_lines(console, replay)
    runs = await _count_started_runs(settings, format, begun_at)
    _print_summary(console, file, replay, ingest_client, runs)
    return 1 if replay.invalid_lines or ingest_client.counts.describe_refusals() else 0


async def _send_file(
    file: Path, format: str, shift: timedelta, ingest_client: IngestClient, console: Console
) -> FileReplay:
    replay, begun = FileReplay(), time.monotonic()
    send = ingest_client.send_segment_calls if format == "segment" else ingest_client.send_events
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
            events = [line for line in batch if isinstance(line, ParsedLine)]
            replay.invalid_lines += [line for line in batch if isinstance(line, InvalidLine)]
            replay.add(events)
            results = await send([event.body for event in events])
            replay.invalid_lines += [
                InvalidLine(line.line_number, _describe_refusal(result))
                for line, result in zip(events, results, strict=True)
                if result["status"] in ("rejected", "conflict")
            ]
            replay.seconds = time.monotonic() - begun
            bar.update(task, completed=raw.tell(), rate=f"{replay.sent / replay.seconds:,.0f}/s")
    return replay


def _batches(lines: Iterator[FileLine]) -> Iterator[list[FileLine]]:
    while batch := list(islice(lines, MAX_BATCH_EVENTS)):
        yield batch


def _shift_to_now(file: Path, format: str) -> timedelta:
    with open_text(file) as (text, _):
        last = max(
            (line.time for line in FORMATS[format](text, timedelta()) if isinstance(line, ParsedLine)),
            default=None,
        )
    return timedelta() if last is None else datetime.now(UTC).replace(microsecond=0) - last


async def _count_started_runs(settings: IngestSettings, format: str, since: datetime) -> int | None:
    """Return how many runs the events accepted since then have started; None without DATABASE_URL."""
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
    for line in replay.invalid_lines[:_MAX_PRINTED_LINES]:
        console.print(f"line {line.line_number}: {line.reason}", style="yellow", markup=False, soft_wrap=True)
    if len(replay.invalid_lines) > _MAX_PRINTED_LINES:
        console.print(f"… and {len(replay.invalid_lines) - _MAX_PRINTED_LINES} more", style="yellow")


def _print_summary(
    console: Console, file: Path, replay: FileReplay, ingest_client: IngestClient, runs: int | None
) -> None:
    tally = ingest_client.counts
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
    columns = (Column(), Column(justify="right"), Column(style="dim"))
    table = Table(*columns, title=file.name, show_header=False, title_justify="left")
    for name, count, detail in rows:
        table.add_row(name, f"{count:,}", detail)
    if runs is None:
        table.add_row("runs started", "not counted", "set DATABASE_URL to count them")
    else:
        table.add_row("runs started", f"{runs:,}", "" if runs else "what is older than 72 hours starts none")
    console.print(table)
