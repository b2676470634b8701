"""Choose a shopper for an experiment's arm or a holdout: both are drawn by the profile's id."""

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
    """Return arms and weights by experiment, where the journeys' code has them written out."""
    weights: dict[str, ArmWeights] = {}
    for definition in journeys:
        for function, call in read_journey(definition).word_calls("experiment"):
            if isinstance(name := call.argument("name"), ast.Constant):
                keywords = call.node.keywords
                arms = {each.arg: constant_value(function, each.value) for each in keywords if each.arg}
                if all(type(weight) is int for weight in arms.values()):
                    weights[str(name.value)] = arms
    return weights


def check_arms(wanted: Mapping[str, str], experiments: Mapping[str, ArmWeights]) -> None:
    """Check that a journey has these experiments and arms. Raises ``TellingFault``."""
    for experiment, arm in wanted.items():
        if experiment not in experiments:
            known = ", ".join(experiments) or "none with weights written out"
            raise TellingFault(f"no journey here has an experiment {experiment!r}; there are: {known}")
        if not experiments[experiment].get(arm):
            known = ", ".join(experiments[experiment])
            raise TellingFault(f"no profile is in arm {arm!r} of {experiment!r}; there are: {known}")


def matches_assignments(
    person: UUID | None,
    wanted: Mapping[str, str],
    experiments: Mapping[str, ArmWeights],
    journeys: Iterable[JourneyDefinition],
    *,
    holdout: bool,
) -> bool:
    """Whether a profile is in the wanted arms, and in all holdouts (``holdout``) or in none."""
    if any(assign_arm(str(person), name, experiments[name]) != arm for name, arm in wanted.items()):
        return False
    partial = [each for each in journeys if 0 < each.holdout < 100]
    return all(is_held_out(str(person), f"journey {each.name}", each.holdout) is holdout for each in partial)
