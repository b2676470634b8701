"""Checks of messages against the templates there are: name, channels, items, and the values they need."""

import ast
from collections.abc import Iterator

from journeys.checks.catalog import Catalog, Letter
from journeys.checks.fault import Fault, meant
from journeys.checks.lengths import fallback_name
from journeys.checks.part import FunctionSource, argument, spread
from journeys.checks.story import Story
from policy.verdict import Channel, MessageClass


def faults(story: Story, catalog: Catalog) -> Iterator[Fault]:
    """Every ``send`` that can never come out as it is written."""
    for part, call, word in story.words():
        if word != "send":
            continue
        name = argument(call, "template", 0)
        template = part.meaning(name) if name is not None else None
        if not isinstance(template, str) or name is None:
            continue
        if (letter := catalog.get(template)) is not None:
            yield from _channels(part, call, letter)
            if letter.message_class is not None:
                yield from _items(part, call, letter)
                yield from _context(part, call, letter)
        elif catalog.complete:
            yield part.fault(name, f"no template {template!r}{meant(template, catalog)}")


def channel_faults(story: Story) -> Iterator[Fault]:
    """Every ``prefer`` that is no tuple of channels; needs no templates."""
    for part, call, word in story.words():
        prefer = argument(call, "prefer") if word == "send" else None
        if prefer is None:
            continue
        value = part.meaning(prefer)
        if isinstance(value, Channel | str):
            said = ast.unparse(prefer)
            yield part.fault(prefer, f"self.send: prefer takes a tuple of channels; write prefer=({said},)")
        elif isinstance(prefer, ast.Tuple | ast.List) and not prefer.elts:
            yield part.fault(prefer, "self.send: prefer names no channel; as in prefer=(SMS, EMAIL)")


def _channels(part: FunctionSource, call: ast.Call, letter: Letter) -> Iterator[Fault]:
    wanted = [("prefer", argument(call, "prefer"))]
    match argument(call, "fallback"):
        case ast.Call() as made if name := fallback_name(part, made):
            wanted.append((name, argument(made, "then", 1)))
    for said, given in wanted:
        if given is None:
            continue
        for each in given.elts if isinstance(given, ast.Tuple | ast.List) else [given]:
            channel = part.meaning(each)
            if isinstance(channel, Channel) and channel not in letter.channels:
                said_of = f"template {letter.name!r} has no {channel.value} version, which {said} asks for"
                has = ", ".join(sorted(letter.channels)) or "none"
                do = (
                    "push has no provider yet: "
                    if channel is Channel.PUSH
                    else "write it beside the others, or "
                )
                yield part.fault(each, f"{said_of}; it has: {has}; {do}take {ast.unparse(each)} out")


def _items(part: FunctionSource, call: ast.Call, letter: Letter) -> Iterator[Fault]:
    promoting = argument(call, "promoting")
    if promoting is None or spread(call):
        return
    nothing = _is_nothing(promoting)
    if letter.message_class is MessageClass.TRANSACTIONAL and not nothing:
        yield part.fault(
            promoting,
            f"template {letter.name!r} is transactional, and may promote nothing; write promoting=None, with "
            "showing=… for items of an order, or send a marketing template",
        )
    if (
        letter.needs_items
        and nothing
        and ((shows := argument(call, "showing")) is None or _is_nothing(shows))
    ):
        yield part.fault(
            call,
            f"template {letter.name!r} shows items, and gets none; give promoting=… or showing=…, or make "
            "them optional in its message.toml",
        )


def _is_nothing(given: ast.expr) -> bool:
    match given:
        case ast.Constant(value=None) | ast.Tuple(elts=[]) | ast.List(elts=[]):
            return True
    return False


def _context(part: FunctionSource, call: ast.Call, letter: Letter) -> Iterator[Fault]:
    given = argument(call, "context")
    passed: dict[str, ast.expr] | None
    if given is None or (isinstance(given, ast.Constant) and given.value is None):
        passed = None if spread(call) else {}
    else:
        passed = _written(given) or _written(_assigned(part, given))
        if passed is None and isinstance(given, ast.Dict) and not given.keys:
            passed = {}
    if passed is None:
        return
    absent = [name for name, required in letter.extra.items() if required and _is_missing(passed.get(name))]
    if absent:
        yield part.fault(
            given or call,
            f"template {letter.name!r} needs {', '.join(absent)}; pass it in context={{…}} of self.send",
        )
    # A dict that several messages share may hold more than each of them declares.
    for name in passed if isinstance(given, ast.Dict) else ():
        if name not in letter.extra:
            yield part.fault(
                passed[name],
                f"template {letter.name!r} declares no value {name!r}, so nothing of it is shown"
                f"{meant(name, letter.extra, listed='it declares')}; or add [extra.{name}] to message.toml",
            )


def _written(given: ast.expr | None) -> dict[str, ast.expr] | None:
    """Values by name, where all names are written out."""
    if not isinstance(given, ast.Dict):
        return None
    names = [each.value if isinstance(each, ast.Constant) else None for each in given.keys]
    if not all(isinstance(name, str) for name in names):
        return None
    return dict(zip(map(str, names), given.values, strict=True))


def _assigned(part: FunctionSource, given: ast.expr) -> ast.expr | None:
    """What a name stands for that is given a value once, and whose value nothing seems to change."""
    if not isinstance(given, ast.Name) or part.bindings.get(given.id) != 1:
        return None
    found = None
    for node in ast.walk(part.node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == given.id:
                found = value
            case ast.Attribute(value=ast.Name(id=name)) | ast.Subscript(value=ast.Name(id=name)):
                if name == given.id:
                    return None
            case ast.Call(func=function, args=arguments) if any(_names(each, given.id) for each in arguments):
                if not _names(getattr(function, "value", None), part.me):
                    return None
    return found


def _names(expression: ast.AST | None, name: str) -> bool:
    return isinstance(expression, ast.Name) and expression.id == name


def _is_missing(given: ast.expr | None) -> bool:
    return given is None or (isinstance(given, ast.Constant) and given.value is None)
