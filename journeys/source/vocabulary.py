"""The words that a journey's ``run`` may use: one table, derived from the class ``Journey``."""

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from journeys.vocabulary.journey import Journey


class Form(StrEnum):
    """How a word is written."""

    AWAITED = "awaited"
    """A coroutine: it waits, sends, reads or performs, and leaves commands in the run's history."""
    CALLED = "called"
    """A plain method, which returns at once."""
    PROPERTY = "property"


@dataclass(frozen=True)
class Word:
    """One public member of ``Journey``."""

    name: str
    form: Form
    signature: inspect.Signature
    """Without ``self``; empty for a property."""

    @cached_property
    def positions(self) -> dict[str, int]:
        """Parameters that may be given by position, with their place in a call."""
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = self.signature.parameters.values()
        return {each.name: place for place, each in enumerate(parameters) if each.kind in positional}

    @cached_property
    def durations(self) -> tuple[str, ...]:
        """Parameters that take a length of time."""
        lengths = (timedelta, timedelta | None)
        return tuple(each.name for each in self.signature.parameters.values() if each.annotation in lengths)

    @property
    def is_step(self) -> bool:
        """Whether a call is a step of the story, rather than a value that it reads."""
        return bool(self.signature.parameters) or self.form is Form.AWAITED

    @property
    def looks_back(self) -> bool:
        """Whether a call with a duration of zero makes sense: it finds earlier events and does not wait."""
        return self.name in ("wait_for", "wait_for_all")


@dataclass(frozen=True, slots=True)
class WordCall:
    """A call of a word in the code of a journey."""

    word: Word
    node: ast.Call

    def argument(self, name: str) -> ast.expr | None:
        """The argument for a parameter; None where it is left out or comes out of an unpacked value."""
        return argument(self.node, name, self.word.positions.get(name))


def word_call(node: ast.AST) -> WordCall | None:
    """The call of a word on ``self`` that a node is; None for other nodes."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)) if name in WORDS:
            return WordCall(WORDS[name], node)
    return None


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """The argument of this name or at this position; None where it is left out or its place is unknown."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is None or any(isinstance(each, ast.Starred) for each in call.args[:position]):
        return None
    return call.args[position] if position < len(call.args) else None


def has_unpacking(call: ast.Call) -> bool:
    """Whether some arguments come out of a value (``*`` or ``**``), so that not all can be seen."""
    return any(keyword.arg is None for keyword in call.keywords) or any(
        isinstance(each, ast.Starred) for each in call.args
    )


def _words() -> Mapping[str, Word]:
    names = [name for name in dir(Journey) if not name.startswith("_")]
    return MappingProxyType({name: _word(name) for name in names if name not in _NO_WORDS})


def _word(name: str) -> Word:
    member = getattr(Journey, name)
    if isinstance(member, property):
        return Word(name, Form.PROPERTY, inspect.Signature())
    signature = inspect.signature(member)
    _, *parameters = signature.parameters.values()
    form = Form.AWAITED if inspect.iscoroutinefunction(member) else Form.CALLED
    return Word(name, form, signature.replace(parameters=parameters))


_NO_WORDS = ("definition", "run", "story")
"""Public members that the author defines or the worker calls."""

WORDS = _words()
"""All words by name."""
