"""Which people fit: an arm of an experiment and a holdout are drawn by an id that nobody chooses."""

import ast
from collections.abc import Iterable, Mapping
from uuid import UUID

from authoring.testing.errors import TellingFault
from journeys.checks.waits import constant_value
from journeys.source.reader import read_journey
from journeys.vocabulary.definition import JourneyDefinition
from policy.checks.exclusions import is_held_out
from policy.experiments import assign_arm

ArmWeights = Mapping[str, int]


def find_experiments(journeys: Iterable[JourneyDefinition]) -> dict[str, ArmWeights]:
    """Name → arms with their weights, as the journeys' code has them written out."""
    found: dict[str, ArmWeights] = {}
    for definition in journeys:
        for function, call in read_journey(definition).word_calls():
            name = call.argument("name") if call.word.name == "experiment" else None
            if isinstance(name, ast.Constant):
                keywords = call.node.keywords
                arms = {each.arg: constant_value(function, each.value) for each in keywords if each.arg}
                if all(type(weight) is int for weight in arms.values()):
                    found[str(name.value)] = arms
    return found


def check_arms(wanted: Mapping[str, str], experiments: Mapping[str, ArmWeights]) -> None:
    """Raises ``TellingFault`` for an experiment or an arm that no journey here has."""
    for experiment, arm in wanted.items():
        if experiment not in experiments:
            there = ", ".join(experiments) or "none with weights written out"
            raise TellingFault(f"no journey here has an experiment {experiment!r}; there are: {there}")
        if not experiments[experiment].get(arm):
            there = ", ".join(experiments[experiment])
            raise TellingFault(f"nobody is in arm {arm!r} of {experiment!r}; there are: {there}")


def matches_assignments(
    person: UUID | None,
    wanted: Mapping[str, str],
    experiments: Mapping[str, ArmWeights],
    journeys: Iterable[JourneyDefinition],
    *,
    holdout: bool,
) -> bool:
    """Whether a person is in the arms wanted, and held out of every journey that does so, or of none."""
    if any(assign_arm(str(person), name, experiments[name]) != arm for name, arm in wanted.items()):
        return False
    partial = [each for each in journeys if 0 < each.holdout < 100]
    return all(is_held_out(str(person), f"journey {each.name}", each.holdout) is holdout for each in partial)
