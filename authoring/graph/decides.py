"""The words that decide, and those of the author's own, as the text of a step."""

import ast
from collections.abc import Mapping

from authoring.graph.flow import Kind
from authoring.graph.result import Arm
from authoring.graph.step import Step, argument
from authoring.graph.words import Words
from journeys.vocabulary import Profile


def profile(call: ast.Call, words: Words) -> Step:
    """``profile``."""
    kind = argument(call, "kind", 0)
    found = words.meaning(kind) if kind is not None else Profile
    if isinstance(found, type) and issubclass(found, Profile):
        traits = ", ".join(found.declared())
        lines = (f"with {traits}",) if traits else ()
    else:
        lines = (f"as {ast.unparse(kind)}",) if kind is not None else ()
    return Step(Kind.PROFILE, "the profile", lines, name="the person")


def experiment(call: ast.Call, words: Words) -> Step:
    """``experiment``."""
    name = _first(call, words, "an experiment")
    arms: list[Arm] = []
    for each in call.keywords:
        weights = words.meaning(each.value)
        if each.arg is None and isinstance(weights, Mapping):
            arms += [(str(arm), weight) for arm, weight in weights.items()]
        elif each.arg not in (None, "name"):
            arms.append((str(each.arg), weights))
    return _draw(Kind.EXPERIMENT, name, arms, f"the arm of {name}")


def choose(call: ast.Call, words: Words) -> Step:
    """``choose``, by weight or by a score."""
    name, options, by = (
        _first(call, words, "one of several"),
        argument(call, "options", 1),
        argument(call, "by"),
    )
    if by is not None:
        of = words.value(options) if options is not None else "several"
        lines = (f"the best of {of}", f"by {words.key(by)}")
        said = (f"there is a {name}", f"there is no {name}")
        return Step(Kind.CHOOSE, name, lines, "one", "none", said)
    found = words.resolved(options) if options is not None else None
    arms: list[Arm] = []
    if isinstance(found, ast.Dict):
        arms = [
            (words.value(key), words.meaning(w))
            for key, w in zip(found.keys, found.values, strict=True)
            if key
        ]
    elif found is not None and isinstance(ready := words.meaning(found), Mapping):
        arms = [(str(key), weight) for key, weight in ready.items()]
    return _draw(Kind.CHOOSE, name, arms, " or ".join(arm for arm, _ in arms) or name)


def perform(call: ast.Call, words: Words) -> Step:
    """``perform``."""
    effect, within = argument(call, "effect", 0), argument(call, "within")
    title = "something" if effect is None else words.value(effect).replace("_", " ")
    lines = [f"with {words.value(given)}" for given in call.args[1:]]
    if within is not None:
        lines.append(f"for {words.length(within)} at most")
    return Step(Kind.PERFORM, title, tuple(lines))


def _draw(kind: Kind, name: str, arms: list[Arm], result: str) -> Step:
    """A draw among arms; where a weight is not to be read none is told."""
    known = all(isinstance(weight, int | float) for _, weight in arms)
    lines = (", ".join(f"{arm} {weight:g}" if known else arm for arm, weight in arms),) if arms else ()
    return Step(kind, name, lines, name=result, arms=tuple(arms) if known else (), drawn=True)


def _first(call: ast.Call, words: Words, otherwise: str) -> str:
    name = argument(call, "name", 0)
    return otherwise if name is None else words.value(name)
