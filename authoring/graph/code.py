"""The code of a journey as a tree: its story, its declaration, and what the names in them stand for."""

import ast
import sys
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any

from journeys.checks.source import Function
from journeys.checks.story import story_of
from journeys.vocabulary.definition import JourneyDefinition


class Unreadable(Exception):
    """The code of a journey cannot be found or parsed."""


@dataclass(frozen=True, slots=True)
class Code:
    """One journey's code. Nothing of it is run."""

    definition: JourneyDefinition
    story: ast.AsyncFunctionDef
    declared: Mapping[str, ast.expr]
    """Arguments of ``@journey`` as written."""
    scope: Mapping[str, Any]
    """Names of the journey's module, and of those its class is derived from."""
    methods: Mapping[str, Function]
    """Methods of the author's own, but for the story itself."""
    functions: Mapping[str, Function]
    """Functions of the journey's module."""

    @property
    def entry(self) -> str:
        """What the story calls its entry event."""
        names = self.story.args.posonlyargs + self.story.args.args
        return names[1].arg if len(names) > 1 else ""

    def meaning(self, expression: ast.expr) -> Any:
        """The module-level value, or member of an enum, that an expression names; None where it is none.

        Looks names up and computes nothing: a call or a property of an object has no meaning here.
        """
        match expression:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.scope.get(name)
            case ast.Attribute(value=base, attr=name):
                owner = self.meaning(base)
                if isinstance(owner, ModuleType):
                    return vars(owner).get(name)
                if isinstance(owner, type) and issubclass(owner, Enum):
                    return owner.__members__.get(name)
        return None


def code_of(definition: JourneyDefinition) -> Code:
    """Read a journey's code from its file. Raises ``Unreadable`` with the reason and what to do."""
    try:
        story = story_of(definition)
        methods = {name: function for name, (_, function) in story.methods.items()}
    except (OSError, SyntaxError, TypeError) as error:
        raise Unreadable(
            f"the code of {definition.name} cannot be read: {error}; a picture is drawn from the class as it "
            "stands in its file, so keep the class in a .py file"
        ) from error
    told = methods.pop("run", None)
    if not isinstance(told, ast.AsyncFunctionDef):
        raise Unreadable(
            f"{definition.name} has no `async def run(self, entry)` in its class body; write it there"
        )
    sources = [source for source, _ in story.classes]
    scope = ChainMap(*(dict(vars(sys.modules[source.module])) for source in sources))
    return Code(definition, told, story.declared, scope, methods, story.source.functions)
