"""Which arms of experiments a run has come to; told along with its next activity, so that it costs none."""

from datetime import datetime

from activities.contracts import Exposure


class Exposures:
    """Each experiment once."""

    def __init__(self) -> None:
        self._arms: dict[str, Exposure] = {}
        self._reported: dict[str, None] = {}

    def add(self, experiment: str, arm: str, at: datetime) -> bool:
        """Note an exposure; False where it is known."""
        if experiment in self._arms:
            return False
        self._arms[experiment] = Exposure(experiment=experiment, arm=arm, at=at)
        return True

    @property
    def unreported(self) -> tuple[Exposure, ...]:
        """Those no activity has been told of."""
        return tuple(one for name, one in self._arms.items() if name not in self._reported)

    def mark_reported(self, exposures: tuple[Exposure, ...]) -> None:
        """An activity that was given these has answered."""
        self._reported.update(dict.fromkeys(one.experiment for one in exposures))
