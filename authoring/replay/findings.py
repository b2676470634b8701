"""What a check of the open runs found: each cause once, with how many runs it breaks."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from authoring.replay.difference import Difference, difference
from authoring.replay.replaying import Replayed
from authoring.replay.steps import waiting_for

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Example:
    """One run that would break."""

    workflow_id: str
    waiting_for: str
    event_id: int


@dataclass(slots=True)
class Cause:
    """One reason for which runs of one journey would break."""

    journey: str
    words: str
    remedy: str
    runs: int = 0
    examples: list[Example] = field(default_factory=list)

    def add(self, example: Example) -> None:
        """One more run; the first few are kept as examples."""
        self.runs += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(example)


@dataclass(slots=True)
class Findings:
    """The outcome of one check."""

    open_runs: int = 0
    """Open runs of the journeys asked for; more than were replayed where a limit was set."""
    replayed: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    """Runs that ended while they were looked at."""
    _causes: dict[tuple[str, str], Cause] = field(default_factory=dict)

    @property
    def causes(self) -> list[Cause]:
        """Those that break most runs first."""
        return sorted(self._causes.values(), key=lambda cause: (-cause.runs, cause.journey, cause.words))

    def would_break(self, journey: str | None = None) -> int:
        """How many runs would break, of one journey or of all."""
        return sum(cause.runs for cause in self._causes.values() if journey in (None, cause.journey))

    def add(self, replayed: Replayed) -> None:
        """Count one replay."""
        journey = _journey(replayed)
        self.replayed[journey] += 1
        if replayed.failure:
            found = difference(replayed)
            waits = waiting_for(replayed.history.events)
            example = Example(replayed.history.workflow_id, waits, found.event_id)
            self._cause(journey, found).add(example)

    def add_orphans(self, journey: str, workflow_ids: list[str]) -> None:
        """Runs of a journey that the working tree no longer has."""
        found = Difference(
            f"no journey {journey!r} is registered any more: the worker cannot go on with its runs",
            "register the journey again (SHIPPED in journeys/registry.py, or JOURNEYS of a module that "
            "WAYPOST_JOURNEYS names) until its runs have ended; or end them in Temporal",
            0,
        )
        cause = self._cause(journey, found)
        for workflow_id in workflow_ids:
            cause.add(Example(workflow_id, "", 0))

    def as_json(self) -> dict[str, Any]:
        """The same for a program."""
        names = sorted({*self.replayed, *(cause.journey for cause in self.causes)})
        return {
            "open_runs": self.open_runs,
            "replayed": self.replayed.total(),
            "ended_meanwhile": self.ended,
            "would_break": self.would_break(),
            "journeys": [
                {"journey": name, "replayed": self.replayed[name], "would_break": self.would_break(name)}
                for name in names
            ],
            "causes": [
                {
                    "journey": cause.journey,
                    "runs": cause.runs,
                    "difference": cause.words,
                    "remedy": cause.remedy,
                    "examples": [
                        {
                            "workflow_id": each.workflow_id,
                            "event_id": each.event_id or None,
                            "waiting_for": each.waiting_for or None,
                        }
                        for each in cause.examples
                    ],
                }
                for cause in self.causes
            ],
        }

    def _cause(self, journey: str, found: Difference) -> Cause:
        new = Cause(journey, found.words, found.remedy)
        return self._causes.setdefault((journey, found.words), new)


def _journey(replayed: Replayed) -> str:
    started = replayed.history.events[0].workflow_execution_started_event_attributes
    return started.workflow_type.name
