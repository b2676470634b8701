"""Checks of the words of a story: they exist, get what they take, and are awaited where they take time."""

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from journeys.checks.fault import Fault, meant
from journeys.checks.part import FunctionSource, spread
from journeys.checks.story import Story
from journeys.vocabulary.journey import Journey

WORDS = frozenset(name for name in dir(Journey) if not name.startswith("_")) - {"definition", "run", "story"}
"""What a story is told in."""
_TAKE_TIME = frozenset(word for word in WORDS if inspect.iscoroutinefunction(getattr(Journey, word)))
_VALUES = frozenset(word for word in WORDS if isinstance(getattr(Journey, word), property))
_AT_ONCE = WORDS - _TAKE_TIME - _VALUES


def faults(story: Story) -> Iterator[Fault]:
    """Words that do not exist, do not fit, or are awaited wrongly; ``cart`` where there is none."""
    for part, call, word in story.words():
        yield from _fits(part, call, word)
        if word in _TAKE_TIME:
            if _used_at_once(part, call):
                yield part.fault(
                    call,
                    f"self.{word}(…) is not awaited, so it never happens; write await self.{word}(…)",
                )
        elif word in _AT_ONCE and isinstance(part.parents.get(call), ast.Await):
            yield part.fault(call, f"self.{word}(…) answers at once; take the await away")
    yield from _own_coroutines(story)
    known = _names_of(story)
    for part in story.parts:
        for node in part.nodes:
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=attr) if name and name == part.me:
                    yield from _attribute(story, part, node, attr, known)


def _attribute(
    story: Story, part: FunctionSource, node: ast.Attribute, name: str, known: set[str] | None
) -> Iterator[Fault]:
    around = part.parents.get(node)
    if name in _VALUES and name not in story.methods:
        if isinstance(around, ast.Await):
            yield part.fault(node, f"self.{name} is there at once; take the await away")
        elif isinstance(around, ast.Call) and around.func is node:
            yield part.fault(node, f"self.{name} is no function; write self.{name} without the brackets")
    if name == "cart" and "cart" not in story.methods and story.definition.keyed_by != "cart_id":
        yield part.fault(
            node,
            'self.cart is always empty here: the journey is not about a cart; write keyed_by="cart_id", or '
            "take the items from the entry event or from self.suggestions()",
        )
    elif known is not None and not name.startswith("_") and name not in known:
        yield part.fault(node, f"there is no self.{name}{meant(name, WORDS, listed='words')}")


def _names_of(story: Story) -> set[str] | None:
    """What ``self`` has; None where the class makes its attributes in a way that cannot be seen."""
    cls = story.definition.cls
    if any(name in vars(each) for each in cls.__mro__[:-1] for name in ("__getattr__", "__getattribute__")):
        return None
    # What Journey sets on itself counts; the class alone does not know those names.
    found = {*dir(cls), *WORDS, "run", *Journey.__init__.__code__.co_names}
    for _, node in story.classes:
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and each.id in ("setattr", "vars"):
                return None
            if isinstance(each, ast.Attribute):
                if each.attr == "__dict__":
                    return None
                if isinstance(each.ctx, ast.Store):
                    found.add(each.attr)
    return found


def _fits(part: FunctionSource, call: ast.Call, word: str) -> Iterator[Fault]:
    function = getattr(Journey, word, None)
    if not inspect.isfunction(function) or spread(call):
        return
    signature = inspect.signature(function)
    names = [keyword.arg for keyword in call.keywords if keyword.arg]
    takes = [name for name in signature.parameters if name != "self"]
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds and (
        wrong := [name for name in names if name not in takes]
    ):
        for name in wrong:
            yield part.fault(call, f"self.{word} takes no {name}={meant(name, takes, listed='it takes')}")
        return
    try:
        signature.bind(None, *call.args, **dict.fromkeys(names))
    except TypeError as error:
        if "missing" in str(error) and word == "send" and "promoting" not in names:
            yield part.fault(
                call,
                "self.send does not say what it promotes; add promoting=… with the items, or promoting=None "
                "where it promotes nothing",
            )
        else:
            yield part.fault(call, f"self.{word}: {error}; it takes {_taken(signature)}")


def _taken(signature: inspect.Signature) -> str:
    said: dict[Any, str] = {inspect.Parameter.KEYWORD_ONLY: "{}=…", inspect.Parameter.VAR_POSITIONAL: "{}, …"}
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    return ", ".join(said.get(each.kind, "{}").format(each.name) for each in parameters) or "nothing"


def _own_coroutines(story: Story) -> Iterator[Fault]:
    for part in story.parts:
        for node in part.nodes:
            match node:
                case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) as call):
                    own = story.methods[attr][1] if name == part.me and attr in story.methods else None
                case ast.Expr(value=ast.Call(func=ast.Name(id=attr)) as call) if attr not in part.bindings:
                    own = part.source.functions.get(attr)
                case _:
                    continue
            if isinstance(own, ast.AsyncFunctionDef) and not own.decorator_list:
                said = ast.unparse(call.func)
                yield part.fault(
                    call, f"{said}(…) is not awaited, so it never happens; write await {said}(…)"
                )


def _used_at_once(part: FunctionSource, call: ast.Call) -> bool:
    """Whether a call that takes time stands where only its result has a sense."""
    node: ast.AST = call
    around = part.parents.get(node)
    while isinstance(around, ast.NamedExpr | ast.BoolOp | ast.IfExp):
        if isinstance(around, ast.BoolOp) and around.values[-1] is not node:
            return True
        if isinstance(around, ast.IfExp) and around.test is node:
            return True
        node, around = around, part.parents.get(around)
    match around:
        case (
            ast.Expr() | ast.UnaryOp() | ast.Compare() | ast.BinOp() | ast.FormattedValue() | ast.Attribute()
        ):
            return True
        case ast.If(test=test) | ast.While(test=test) | ast.Assert(test=test):
            return test is node
        case ast.Match() | ast.Subscript() | ast.For() | ast.comprehension():
            return True
        case ast.Return():
            return getattr(part.node, "name", "") == "run" and not _in_function_of_its_own(part, call)
        case ast.Assign(targets=[ast.Tuple() | ast.List()]):
            return True
        case ast.keyword():
            return _is_word(part, part.parents.get(around))
    return False


def _is_word(part: FunctionSource, node: ast.AST | None) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=word)):
            return name == part.me and word in WORDS
    return False


def _in_function_of_its_own(part: FunctionSource, node: ast.AST) -> bool:
    around = part.parents.get(node)
    while around is not None and around is not part.node:
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return True
        around = part.parents.get(around)
    return False
