"""``waypost ingest``: send a file of events through the API, and print a summary of the results."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from cli.ingest.formats import (
    REES46_SOURCE,
    FileLine,
    ParsedLine,
    read_rees46,
    read_segment,
)
from cli.ingest.lines import InvalidLine, RawLine, open_lines
from cli.tables import to_json
from profiles.db.database import Database
from profiles.runs.lifecycle import count_started
from workers.errors import UserError
from workers.ingest_client import MAX_BATCH_EVENTS, IngestApiError, IngestClient
from workers.settings import IngestSettings

FORMATS: dict[str, Callable[[Iterable[RawLine], timedelta], Iterator[FileLine]]] = {
    "rees46": read_rees46,
    "segment": read_segment,
}

_MAX_PRINTED_LINES = 10
"""Maximum number of invalid lines that are printed; all are counted."""

_MAX_KEPT_LINES = 1000
"""Maximum number of invalid lines that are kept, and listed with ``--json``."""

_SOURCE_PATTERNS = {"rees46": REES46_SOURCE, "segment": "segment/%"}


@dataclass(slots=True)
class FileReplay:
    """Counts of one file."""

    sent: int = 0
    people: set[str] = field(default_factory=set)
    event_names: Counter[str] = field(default_factory=Counter)
    invalid_lines: list[InvalidLine] = field(default_factory=list)
    """The first ``_MAX_KEPT_LINES``."""
    invalid_count: int = 0
    """All of them."""
    last_line: int = 0
    """Number of the last line that was sent."""
    seconds: float = 0.0

    def add(self, events: Sequence[ParsedLine]) -> None:
        """Count events that are about to be sent."""
        self.sent += len(events)
        self.people.update(event.person for event in events if event.person)
        self.event_names.update(event.event_name for event in events)

    def add_invalid(self, lines: Sequence[InvalidLine]) -> None:
        """Count lines that are not accepted."""
        self.invalid_count += len(lines)
        self.invalid_lines += lines[: _MAX_KEPT_LINES - len(self.invalid_lines)]


async def replay_file(file: Path, *, format: str, as_live: bool, as_json: bool = False) -> int:
    """Send the file through the API in batches; returns the exit code.

    0: every line was accepted, now or in an earlier replay. 1: some were not; their line numbers and reasons
    are printed, and all other lines were sent. Idempotent: event ids come from the content. ``as_live`` moves
    all times so that the last event is now. ``as_json`` prints the summary as JSON. Raises ``UserError``.
    """
    if format not in FORMATS:
        raise UserError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    settings = IngestSettings()
    console = Console(highlight=False, stderr=as_json)
    shift = _shift_to_now(file, format) if as_live else timedelta()
    begun_at = datetime.now(UTC)
    async with IngestClient(settings.base_url, settings.api_key) as ingest_client:
        await ingest_client.require_api()
        replay = await _send_file(file, format, shift, ingest_client, console)
    runs = await _count_started_runs(settings, format, begun_at)
    if as_json:
        print(to_json(_summarize(file, replay, ingest_client, runs)))
    else:
        _print_invalid_lines(console, file, replay)
        _print_summary(console, file, replay, ingest_client, runs)
    return 1 if replay.invalid_count or ingest_client.counts.describe_refusals() else 0


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
    with bar, open_lines(file) as (lines, raw):
        task = bar.add_task(file.name, total=os.fstat(raw.fileno()).st_size, rate="")
        for batch in _batches(FORMATS[format](lines, shift)):
            events = [line for line in batch if isinstance(line, ParsedLine)]
            replay.add_invalid([line for line in batch if isinstance(line, InvalidLine)])
            try:
                results = await send([event.body for event in events])
            except IngestApiError as error:
                where = f"{file.name} is in up to line {replay.last_line}"
                raise IngestApiError(
                    f"{error}\n{where}; run the same again: what is in counts once"
                ) from error
            replay.add(events)
            replay.last_line = max([replay.last_line, *(event.line_number for event in events)])
            replay.add_invalid(
                [
                    InvalidLine(line.line_number, _describe_refusal(result))
                    for line, result in zip(events, results, strict=True)
                    if result["status"] in ("rejected", "conflict")
                ]
            )
            replay.seconds = time.monotonic() - begun
            bar.update(task, completed=raw.tell(), rate=f"{replay.sent / replay.seconds:,.0f}/s")
    return replay


def _batches(lines: Iterator[FileLine]) -> Iterator[list[FileLine]]:
    while batch := list(islice(lines, MAX_BATCH_EVENTS)):
        yield batch


def _shift_to_now(file: Path, format: str) -> timedelta:
    with open_lines(file) as (lines, _):
        last = max(
            (line.time for line in FORMATS[format](lines, timedelta()) if isinstance(line, ParsedLine)),
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


def _print_invalid_lines(console: Console, file: Path, replay: FileReplay) -> None:
    for line in replay.invalid_lines[:_MAX_PRINTED_LINES]:
        place = f"{file.name}, line {line.line_number}"
        console.print(f"{place}: {line.reason}", style="yellow", markup=False, soft_wrap=True)
    if replay.invalid_count > _MAX_PRINTED_LINES:
        more = f"… and {replay.invalid_count - _MAX_PRINTED_LINES:,} more; --json lists {_MAX_KEPT_LINES:,}"
        console.print(more, style="yellow")


def _summarize(
    file: Path, replay: FileReplay, ingest_client: IngestClient, runs: int | None
) -> dict[str, Any]:
    statuses = ingest_client.counts.statuses
    return {
        "file": file.name,
        "sent": replay.sent,
        **{name: statuses[name] for name in ("accepted", "duplicate", "conflict", "rejected")},
        "no_events": replay.invalid_count - statuses["conflict"] - statuses["rejected"],
        "people": len(replay.people),
        "runs_started": runs,
        "seconds": round(replay.seconds, 3),
        "lines": [{"line": line.line_number, "reason": line.reason} for line in replay.invalid_lines],
        "lines_left_off": replay.invalid_count - len(replay.invalid_lines),
    }


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
            replay.invalid_count - sum(tally.statuses[s] for s in ("conflict", "rejected")),
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
