"""What a check found, told on a terminal: a table, then a paragraph for each cause."""

from rich.console import Console
from rich.table import Table

from authoring.replay.findings import Cause, Example, Findings


def show(console: Console, findings: Findings) -> None:
    """Print it; the last line is the verdict."""
    names = sorted({*findings.replayed, *(cause.journey for cause in findings.causes)})
    if names:
        table = Table("journey", title_justify="left")
        table.add_column("runs replayed", justify="right")
        table.add_column("would break", justify="right")
        for name in names:
            broken = findings.would_break(name)
            style = "red" if broken else None
            table.add_row(name, f"{findings.replayed[name]:,}", f"{broken:,}", style=style)
        console.print(table)
    for cause in findings.causes:
        _tell(console, cause)
    for line in _verdict(findings):
        _say(console, line)


def _tell(console: Console, cause: Cause) -> None:
    _say(console, f"\n{cause.journey}: {_runs(cause.runs)} would break", style="bold")
    _say(console, f"  {cause.words}")
    for example in cause.examples:
        _say(console, f"  - {_example(example)}")
    if (rest := cause.runs - len(cause.examples)) > 0:
        _say(console, f"  - and {rest:,} more")
    _say(console, f"  → {cause.remedy}")


def _example(example: Example) -> str:
    at = f", from event {example.event_id} on" if example.event_id else ""
    waits = f", waiting for {example.waiting_for}" if example.waiting_for else ""
    return f"{example.workflow_id}{at}{waits}"


def _verdict(findings: Findings) -> list[str]:
    replayed, broken = findings.replayed.total(), findings.would_break()
    lines = [""]
    if findings.open_runs > replayed + findings.ended:
        lines.append(f"Looked at the newest {replayed:,} of {findings.open_runs:,} open runs (--limit).")
    if findings.ended:
        lines.append(f"{_runs(findings.ended)} ended meanwhile.")
    if not replayed and not broken:
        return [*lines, "No open runs: nothing can break."]
    return [*lines, f"{_runs(broken)} would break." if broken else f"All {_runs(replayed)} would go on."]


def _runs(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"


def _say(console: Console, text: str, style: str | None = None) -> None:
    # Names and code may hold brackets, and ids should stay in one piece.
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
