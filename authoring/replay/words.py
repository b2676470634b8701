"""Which calls of a story become steps of a run, and what of each a replay minds."""

import ast
from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[ast.expr], str]


@dataclass(frozen=True, slots=True)
class Word:
    """What a call is in a shape."""

    text: str
    hint: str = ""


NO_COMMANDS = frozenset(
    {
        "now", "time", "time_ns", "info", "instance", "uuid4", "random", "logger", "set_current_details",
        "get_current_details", "unsafe", "patched", "memo", "memo_value", "payload_converter",
        "metric_meter", "all_handlers_finished",
    }
)  # fmt: skip
"""Functions of ``temporalio.workflow`` that leave nothing in a history."""


def is_word(call: ast.AST) -> str | None:
    """The word of the vocabulary that a call says, if it takes a step."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=word)) if word in _WORDS:
            return word
    return None


def is_command(call: ast.AST) -> str | None:
    """The function of ``temporalio.workflow`` that a call makes, if it may become a command."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="workflow"), attr=name)):
            return None if name in NO_COMMANDS else name
    return None


def patch_of(call: ast.AST, function: str = "patched") -> str | None:
    """The id in a call of ``workflow.patched`` or, as ``function`` says, ``deprecate_patch``."""
    match call:
        case ast.Call(
            func=ast.Attribute(attr=name) | ast.Name(id=name), args=[ast.Constant(value=str(patch))]
        ):
            return patch if name == function else None
    return None


def word(call: ast.Call, say: Say) -> Word:
    """What a replay minds of a word: lengths of time, templates and texts are not among it."""
    name = is_word(call)
    if name is None:
        raise ValueError(f"{ast.unparse(call)} says no word of {', '.join(_WORDS)}; ask is_word first")
    return _WORDS[name](call, say)


def command(call: ast.Call, say: Say) -> Word:
    """The same for a function of ``temporalio.workflow``."""
    name = is_command(call)
    match name:
        case "sleep":
            return Word("workflow.sleep", _hint(call.args[:1]))
        case "wait_condition":
            limited = _given(call, "timeout")
            return Word(f"workflow.wait_condition {_all(call.args, say)}{', timeout' if limited else ''}")
        case "deprecate_patch":
            return Word(f"deprecate_patch {_all(call.args[:1], say)}")
        case str() if name.startswith(("execute_", "start_")):
            return Word(f"workflow.{name} {_hint(call.args[:1])}")
    return Word(say(call))


def _wait(call: ast.Call, say: Say) -> Word:
    name = is_word(call) or ""
    kept = [say(argument) for argument in call.args]
    kept += [f"{k}={say(found)}" for k in ("of", "where") if (found := _given(call, k)) is not None]
    within = _given(call, "within")
    if within is not None:
        # A wait of no length looks back and sets no timer.
        kept.append("at once" if _is_nothing(within) else "within")
    return Word(f"{name} {', '.join(kept)}", _hint([within]))


def _hold(call: ast.Call, say: Say) -> Word:
    # Its length counts: it is asked of the clock again after each case that is closed.
    kept = [say(argument) for argument in call.args]
    within = _given(call, "within")
    return Word(f"hold_while {', '.join(kept)}{f', within={say(within)}' if within is not None else ''}")


def _quiet(call: ast.Call, say: Say) -> Word:
    # Its length counts: on replay a longer quiet arms the timer once more.
    length, of = _given(call, "length", 0), _given(call, "of", 1)
    return Word(f"quiet {', '.join(say(part) for part in (length, of) if part is not None)}")


def _forget(call: ast.Call, say: Say) -> Word:
    # It leaves nothing in a history, but decides whether a later wait ends at once or sets a timer.
    return Word(f"forget {', '.join(sorted(say(argument) for argument in call.args))}")


def _send(call: ast.Call, say: Say) -> Word:
    prefer, fallback = _given(call, "prefer"), _given(call, "fallback")
    by = ""
    if isinstance(prefer, ast.Tuple | ast.List):
        channels = sorted(say(channel) for channel in prefer.elts)
        # With one channel there is one attempt, whichever it is.
        by = " by one channel" if len(channels) == 1 else f" by {' or '.join(channels)}"
    elif prefer is not None:
        by = f" by {say(prefer)}"
    if fallback is not None:
        by += f", fallback {say(fallback.func if isinstance(fallback, ast.Call) else fallback)}"
    return Word(f"send{by}", _hint([_given(call, "template", 0)]))


def _perform(call: ast.Call, say: Say) -> Word:
    # The activity by its name: what it does is not replayed.
    return Word(f"perform {_hint(call.args[:1])}")


def _named(name: str, position: int, argument: str) -> Callable[[ast.Call, Say], Word]:
    """A word of which nothing counts but that it is said; an argument serves as a hint."""
    return lambda call, say: Word(name, _hint([_given(call, argument, position)]))


_WORDS: dict[str, Callable[[ast.Call, Say], Word]] = {
    "wait_for": _wait,
    "wait_for_all": _wait,
    "hold_while": _hold,
    "quiet": _quiet,
    "forget": _forget,
    "send": _send,
    "perform": _perform,
    "sleep": _named("sleep", 0, "length"),
    "sleep_until": _named("sleep_until", 0, "time"),
    "retarget": _named("retarget", 1, "audience"),
    "opt_out": _named("opt_out", 0, "channel"),
    "suggestions": _named("suggestions", 0, "limit"),
    "profile": _named("profile", 0, "kind"),
}


def _given(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """An argument; None where it is left out, or None on purpose."""
    found = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    if found is None and position is not None and position < len(call.args):
        found = call.args[position]
    return None if isinstance(found, ast.Constant) and found.value is None else found


def _is_nothing(length: ast.expr) -> bool:
    return isinstance(length, ast.Call) and all(
        isinstance(argument, ast.Constant) and argument.value == 0
        for argument in (*length.args, *(keyword.value for keyword in length.keywords))
    )


def _all(arguments: list[ast.expr], say: Say) -> str:
    return ", ".join(say(argument) for argument in arguments)


def _hint(arguments: list[ast.expr | None] | list[ast.expr]) -> str:
    said = [
        str(each.value) if isinstance(each, ast.Constant) else ast.unparse(each)
        for each in arguments
        if each is not None
    ]
    return " ".join(", ".join(said).split())
