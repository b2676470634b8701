"""The findings of a check, each cause once with the runs that it breaks; as JSON and for a terminal."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from authoring.replay.history import waiting_for
from authoring.replay.replayer import Difference, ReplayedRun, difference

_MAX_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Example:
    """One run that would break."""

    workflow_id: str
    event_id: int | None = None
    waiting_for: str | None = None


@dataclass(slots=True)
class BreakingChange:
    """One difference by which runs of one journey would break; the fields are those of the JSON."""

    journey: str
    runs: int
    difference: str
    remedy: str
    examples: list[Example] = field(default_factory=list)

    def add(self, example: Example) -> None:
        """Count a run; the first few are kept as examples."""
        self.runs += 1
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(example)


@dataclass(slots=True)
class Findings:
    """The result of one check."""

    open_runs: int = 0
    """Open runs of the chosen journeys; more than were replayed if a limit is set."""
    replayed: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    """Runs that closed during the check."""
    _causes: dict[tuple[str, str], BreakingChange] = field(default_factory=dict)

    @property
    def causes(self) -> list[BreakingChange]:
        """By the number of runs that they break, largest first."""
        return sorted(self._causes.values(), key=lambda cause: (-cause.runs, cause.journey, cause.difference))

    @property
    def journeys(self) -> list[str]:
        """The journeys with runs, by name."""
        return sorted({*self.replayed, *(cause.journey for cause in self.causes)})

    def would_break(self, journey: str | None = None) -> int:
        """The number of runs that would break, of one journey or of all."""
        return sum(cause.runs for cause in self._causes.values() if journey in (None, cause.journey))

    def add(self, run: ReplayedRun) -> None:
        """Count a replay."""
        journey = _journey(run)
        self.replayed[journey] += 1
        if run.breaks:
            found = difference(run)
            waits = waiting_for(run.history.events)
            example = Example(run.history.workflow_id, found.event_id or None, waits)
            self._cause(journey, found).add(example)

    def add_orphans(self, journey: str, workflow_ids: list[str]) -> None:
        """Count runs of a journey that the working tree no longer has."""
        found = Difference(
            f"no journey {journey!r} is registered any more: the worker cannot go on with its runs",
            "register the journey again (SHIPPED in journeys/registry.py, or JOURNEYS of a module that "
            "WAYPOST_JOURNEYS names) until its runs have ended; or end them in Temporal",
            0,
        )
        cause = self._cause(journey, found)
        for workflow_id in workflow_ids:
            cause.add(Example(workflow_id))

    def as_json(self) -> dict[str, Any]:
        """The findings as JSON values."""
        return {
            "open_runs": self.open_runs,
            "replayed": self.replayed.total(),
            "ended_meanwhile": self.ended,
            "would_break": self.would_break(),
            "journeys": [
                {"journey": name, "replayed": self.replayed[name], "would_break": self.would_break(name)}
                for name in self.journeys
            ],
            "causes": [asdict(cause) for cause in self.causes],
        }

    def _cause(self, journey: str, found: Difference) -> BreakingChange:
        new = BreakingChange(journey, 0, found.description, found.remedy)
        return self._causes.setdefault((journey, found.description), new)


def _journey(run: ReplayedRun) -> str:
    started = run.history.events[0].workflow_execution_started_event_attributes
    return started.workflow_type.name


def show(console: Console, findings: Findings) -> None:
    """Print a table, a paragraph for each cause, and the verdict."""
    if findings.journeys:
        table = Table("journey", title_justify="left")
        table.add_column("runs replayed", justify="right")
        table.add_column("would break", justify="right")
        for name in findings.journeys:
            broken = findings.would_break(name)
            style = "red" if broken else None
            table.add_row(name, f"{findings.replayed[name]:,}", f"{broken:,}", style=style)
        console.print(table)
    for cause in findings.causes:
        _print_cause(console, cause)
    for line in _verdict(findings):
        _print(console, line)


def _print_cause(console: Console, cause: BreakingChange) -> None:
    _print(console, f"\n{cause.journey}: {_runs(cause.runs)} would break", style="bold")
    _print(console, f"  {cause.difference}")
    for example in cause.examples:
        _print(console, f"  - {_example(example)}")
    if (rest := cause.runs - len(cause.examples)) > 0:
        _print(console, f"  - and {rest:,} more")
    _print(console, f"  → {cause.remedy}")


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
    if broken:
        return [*lines, f"{_runs(broken)} would break."]
    return [*lines, "1 run is compatible." if replayed == 1 else f"All {_runs(replayed)} are compatible."]


def _runs(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"


def _print(console: Console, text: str, style: str | None = None) -> None:
    # Names and code may contain brackets, and ids must not be wrapped.
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
