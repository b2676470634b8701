"""Checks of the arms of an experiment and the options of a choice: there are some, and they can be drawn."""

import ast
from collections.abc import Iterator, Mapping

from journeys.checks.fault import Fault
from journeys.checks.lengths import length_of
from journeys.checks.part import FunctionSource, argument, spread
from journeys.checks.story import Story


def faults(story: Story) -> Iterator[Fault]:
    """Every ``experiment``, and every ``choose`` whose options are written out."""
    for part, call, word in story.words():
        if word == "experiment" and not spread(call):
            arms = {each.arg: each.value for each in call.keywords if each.arg and each.arg != "name"}
            yield from _weights(part, call, word, arms, 'self.experiment("offer", offer=50, control=50)')
        elif word == "choose":
            match argument(call, "options", 1):
                case ast.Dict(keys=keys, values=values) if None not in keys:
                    named = [ast.unparse(key) for key in keys if key is not None]
                    options = dict(zip(named, values, strict=True))
                    yield from _weights(
                        part, call, word, options, 'self.choose("subject", {"warm": 3, "dry": 1})'
                    )
                case ast.List() | ast.Tuple() if argument(call, "by") is None and not spread(call):
                    yield part.fault(
                        call,
                        "self.choose has neither weights nor a score; give {option: weight}, or add by=…",
                    )


def _weights(
    part: FunctionSource, call: ast.Call, word: str, arms: Mapping[str, ast.expr], example: str
) -> Iterator[Fault]:
    if not arms:
        yield part.fault(call, f"self.{word} has no arm to choose; as in {example}")
        return
    weights = {arm: length_of(part, given) for arm, given in arms.items()}
    for arm, weight in weights.items():
        if isinstance(weight, int | float) and weight < 0:
            yield part.fault(arms[arm], f"self.{word}: {arm} has the weight {weight}; expected 0 or more")
        elif isinstance(weight, str):
            yield part.fault(arms[arm], f"self.{word}: {arm} has the weight {weight!r}; expected a number")
    if all(isinstance(weight, int | float) and weight == 0 for weight in weights.values()):
        yield part.fault(
            call, f"self.{word}: all weights are zero, so there is nothing to draw; as in {example}"
        )
