"""Exposures of a run to experiments; they are reported with the next activity, at no cost of their own."""

from datetime import datetime

from activities.contracts import Exposure


class Exposures:
    """Exposures, each experiment once."""

    def __init__(self) -> None:
        self._arms: dict[str, Exposure] = {}
        self._reported: dict[str, None] = {}

    def add(self, experiment: str, arm: str, at: datetime) -> bool:
        """Record an exposure; False where the experiment is recorded already."""
        if experiment in self._arms:
            return False
        self._arms[experiment] = Exposure(experiment=experiment, arm=arm, at=at)
        return True

    @property
    def unreported(self) -> tuple[Exposure, ...]:
        """Exposures that no activity has received."""
        return tuple(one for name, one in self._arms.items() if name not in self._reported)

    def mark_reported(self, exposures: tuple[Exposure, ...]) -> None:
        """Mark exposures as reported. Called when the activity that received them has returned."""
        self._reported.update(dict.fromkeys(one.experiment for one in exposures))
