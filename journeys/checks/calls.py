"""Check the calls of words: they exist, get valid arguments, and are awaited where they are coroutines."""

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any

from journeys.checks.errors import JourneyFault, fault_at, suggestion
from journeys.checks.waits import constant_value
from journeys.source.reader import FunctionSource, JourneySource, activity_name
from journeys.source.vocabulary import WORDS, Form, WordCall, has_unpacking
from journeys.vocabulary.journey import Journey


def check_words(source: JourneySource) -> Iterator[JourneyFault]:
    """Find unknown words, wrong arguments, a missing or needless ``await``, and ``cart`` without a cart."""
    for function, call in source.word_calls():
        yield from _wrong_arguments(function, call)
        name, form = call.word.name, call.word.form
        if form is Form.AWAITED:
            if _is_used_without_await(function, call.node):
                text = f"self.{name}(…) is not awaited, so it never happens; write await self.{name}(…)"
                yield fault_at(function, call.node, text)
        elif form is Form.CALLED and isinstance(function.parents.get(call.node), ast.Await):
            yield fault_at(function, call.node, f"self.{name}(…) answers at once; take the await away")
    yield from _own_coroutines_without_await(source)
    known = _attribute_names(source)
    for function in source.functions:
        for node in function.nodes:
            match node:
                case ast.Attribute(value=ast.Name(id=name)) if name and name == function.receiver:
                    yield from _wrong_attribute(source, function, node, known)


def _wrong_attribute(
    source: JourneySource, function: FunctionSource, node: ast.Attribute, known: set[str] | None
) -> Iterator[JourneyFault]:
    name, parent = node.attr, function.parents.get(node)
    if name in WORDS and WORDS[name].form is Form.PROPERTY and name not in source.methods:
        if isinstance(parent, ast.Await):
            yield fault_at(function, node, f"self.{name} is there at once; take the await away")
        elif isinstance(parent, ast.Call) and parent.func is node:
            text = f"self.{name} is no function; write self.{name} without the brackets"
            yield fault_at(function, node, text)
    if name == "cart" and "cart" not in source.methods and source.definition.keyed_by != "cart_id":
        text = (
            'self.cart is always empty here: the journey is not about a cart; write keyed_by="cart_id", or '
            "take the items from the entry event or from self.suggestions()"
        )
        yield fault_at(function, node, text)
    elif known is not None and not name.startswith("_") and name not in known:
        yield fault_at(function, node, f"there is no self.{name}{suggestion(name, WORDS, label='words')}")


def _attribute_names(source: JourneySource) -> set[str] | None:
    """Return attributes of the journey; None where the class creates them in a way that cannot be seen."""
    cls = source.definition.cls
    if any(name in vars(each) for each in cls.__mro__[:-1] for name in ("__getattr__", "__getattribute__")):
        return None
    # ``Journey.__init__`` sets attributes that the class itself does not have.
    names = {*dir(cls), *WORDS, "run", *Journey.__init__.__code__.co_names}
    for own in source.classes:
        for node in ast.walk(own.node):
            if isinstance(node, ast.Name) and node.id in ("setattr", "vars"):
                return None
            if isinstance(node, ast.Attribute):
                if node.attr == "__dict__":
                    return None
                if isinstance(node.ctx, ast.Store):
                    names.add(node.attr)
    return names


def _wrong_arguments(function: FunctionSource, call: WordCall) -> Iterator[JourneyFault]:
    word, signature = call.word.name, call.word.signature
    if call.word.form is Form.PROPERTY or has_unpacking(call.node):
        return
    names = [keyword.arg for keyword in call.node.keywords if keyword.arg]
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds and (
        wrong := [name for name in names if name not in signature.parameters]
    ):
        for name in wrong:
            takes = suggestion(name, signature.parameters, label="it takes")
            yield fault_at(function, call.node, f"self.{word} takes no {name}={takes}")
        return
    try:
        signature.bind(*call.node.args, **dict.fromkeys(names))
    except TypeError as error:
        if "missing" in str(error) and word == "send" and "promoting" not in names:
            text = (
                "self.send does not say what it promotes; add promoting=… with the items, or promoting=None "
                "where it promotes nothing"
            )
            yield fault_at(function, call.node, text)
        else:
            text = f"self.{word}: {error}; it takes {_listed(signature)}"
            yield fault_at(function, call.node, text)


def _listed(signature: inspect.Signature) -> str:
    forms: dict[Any, str] = {
        inspect.Parameter.KEYWORD_ONLY: "{}=…",
        inspect.Parameter.VAR_POSITIONAL: "{}, …",
    }
    parameters = signature.parameters.values()
    return ", ".join(forms.get(each.kind, "{}").format(each.name) for each in parameters) or "nothing"


def _own_coroutines_without_await(source: JourneySource) -> Iterator[JourneyFault]:
    for function in source.functions:
        for node in function.nodes:
            match node:
                case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) as call):
                    is_own = name == function.receiver and attr in source.methods
                    own = source.methods[attr][1] if is_own else None
                case ast.Expr(value=ast.Call(func=ast.Name(id=attr)) as call) if (
                    attr not in function.bindings
                ):
                    own = function.module.functions.get(attr)
                case _:
                    continue
            if isinstance(own, ast.AsyncFunctionDef) and not own.decorator_list:
                name = ast.unparse(call.func)
                text = f"{name}(…) is not awaited, so it never happens; write await {name}(…)"
                yield fault_at(function, call, text)


def _is_used_without_await(function: FunctionSource, call: ast.Call) -> bool:
    """Whether a coroutine call is used as if it were its result."""
    node: ast.AST = call
    parent = function.parents.get(node)
    while isinstance(parent, ast.NamedExpr | ast.BoolOp | ast.IfExp):
        if isinstance(parent, ast.BoolOp) and parent.values[-1] is not node:
            return True
        if isinstance(parent, ast.IfExp) and parent.test is node:
            return True
        node, parent = parent, function.parents.get(parent)
    match parent:
        case (
            ast.Expr() | ast.UnaryOp() | ast.Compare() | ast.BinOp() | ast.FormattedValue() | ast.Attribute()
        ):
            return True
        case ast.If(test=test) | ast.While(test=test) | ast.Assert(test=test):
            return test is node
        case ast.Match() | ast.Subscript() | ast.For() | ast.comprehension():
            return True
        case ast.Return():
            return getattr(function.node, "name", "") == "run" and not _is_in_nested_function(function, call)
        case ast.Assign(targets=[ast.Tuple() | ast.List()]):
            return True
        case ast.keyword():
            match function.parents.get(parent):
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=word)):
                    return name == function.receiver and word in WORDS
    return False


def _is_in_nested_function(function: FunctionSource, node: ast.AST) -> bool:
    parent = function.parents.get(node)
    while parent is not None and parent is not function.node:
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return True
        parent = function.parents.get(parent)
    return False


def check_performs(source: JourneySource, activities: Sequence[Any] | None) -> Iterator[JourneyFault]:
    """Find each ``perform`` of a function that is no activity, or that no module lists in ``ACTIVITIES``."""
    listed = set(map(activity_name, activities or ()))
    for function, call in source.word_calls("perform"):
        given = call.argument("effect")
        effect = function.resolve(given) if given is not None else None
        if not isinstance(effect, FunctionType):
            continue
        if (name := activity_name(effect)) is None:
            text = f"self.perform: {effect.__name__} is no activity; write @activity.defn above it"
            yield fault_at(function, call.node, text)
        elif activities is not None and name not in listed:
            text = (
                f"self.perform: {effect.__name__} is in no ACTIVITIES, so no worker runs it; write "
                f"ACTIVITIES = ({effect.__name__},) beside JOURNEYS"
            )
            yield fault_at(function, call.node, text)


def check_draws(source: JourneySource) -> Iterator[JourneyFault]:
    """Find each ``experiment`` and ``choose`` without options, or with weights that cannot be drawn from."""
    for function, call in source.word_calls("experiment", "choose"):
        unpacks = has_unpacking(call.node)
        if call.word.name == "experiment" and not unpacks:
            arms = {each.arg: each.value for each in call.node.keywords if each.arg and each.arg != "name"}
            yield from _weights(function, call, arms, 'self.experiment("offer", offer=50, control=50)')
        elif call.word.name == "choose":
            match call.argument("options"):
                case ast.Dict(keys=keys, values=values) if None not in keys:
                    names = [ast.unparse(key) for key in keys if key is not None]
                    options = dict(zip(names, values, strict=True))
                    example = 'self.choose("subject", {"warm": 3, "dry": 1})'
                    yield from _weights(function, call, options, example)
                case ast.List() | ast.Tuple() if call.argument("by") is None and not unpacks:
                    text = "self.choose has neither weights nor a score; give {option: weight}, or add by=…"
                    yield fault_at(function, call.node, text)


def _weights(
    function: FunctionSource, call: WordCall, arms: Mapping[str, ast.expr], example: str
) -> Iterator[JourneyFault]:
    word = call.word.name
    if not arms:
        yield fault_at(function, call.node, f"self.{word} has no arm to choose; as in {example}")
        return
    weights = {arm: constant_value(function, given) for arm, given in arms.items()}
    for arm, weight in weights.items():
        if isinstance(weight, str) or (isinstance(weight, int | float) and weight < 0):
            expected = "a number" if isinstance(weight, str) else "0 or more"
            text = f"self.{word}: {arm} has the weight {weight!r}; expected {expected}"
            yield fault_at(function, arms[arm], text)
    if all(isinstance(weight, int | float) and weight == 0 for weight in weights.values()):
        text = f"self.{word}: all weights are zero, so there is nothing to draw; as in {example}"
        yield fault_at(function, call.node, text)
