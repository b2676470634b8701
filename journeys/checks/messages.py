"""Check messages against the templates: name, channels, items, and the values that a template needs."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from journeys.checks.errors import JourneyFault, fault_at, suggestion
from journeys.checks.waits import fallback_name
from journeys.source.reader import FunctionSource, JourneySource
from journeys.source.vocabulary import WordCall, argument, has_unpacking
from policy.verdict import Channel, MessageClass


@dataclass(frozen=True, slots=True)
class TemplateSummary:
    """The facts about one message template that the checks need."""

    name: str
    channels: frozenset[Channel]
    """Channels that it has a version for."""
    message_class: MessageClass | None = None
    """None where its manifest cannot be read; then the fields below are unknown."""
    needs_items: bool = False
    extra: Mapping[str, bool] = field(default_factory=dict)
    """Values that it declares, and whether each is required."""


class TemplateCatalog(dict[str, TemplateSummary]):
    """Message templates by name."""

    def __init__(self, templates: Sequence[TemplateSummary], *, complete: bool = True) -> None:
        super().__init__((template.name, template) for template in templates)
        self.complete = complete
        """Whether all journeys were loaded; if not, an unknown template is no fault."""


def check_messages(source: JourneySource, catalog: TemplateCatalog) -> Iterator[JourneyFault]:
    """Find every ``send`` that its template cannot render or deliver."""
    for function, call in source.word_calls("send"):
        name = call.argument("template")
        value = function.resolve(name) if name is not None else None
        if not isinstance(value, str) or name is None:
            continue
        if (template := catalog.get(value)) is not None:
            yield from _missing_channels(function, call, template)
            if template.message_class is not None:
                yield from _wrong_items(function, call, template)
                yield from _wrong_context(function, call, template)
        elif catalog.complete:
            yield fault_at(function, name, f"no template {value!r}{suggestion(value, catalog)}")


def check_channels(source: JourneySource) -> Iterator[JourneyFault]:
    """Find every ``prefer`` that is no tuple of channels. Needs no templates."""
    for function, call in source.word_calls("send"):
        if (prefer := call.argument("prefer")) is None:
            continue
        if isinstance(function.resolve(prefer), Channel | str):
            text = f"self.send: prefer takes a tuple of channels; write prefer=({ast.unparse(prefer)},)"
            yield fault_at(function, prefer, text)
        elif isinstance(prefer, ast.Tuple | ast.List) and not prefer.elts:
            text = "self.send: prefer names no channel; as in prefer=(SMS, EMAIL)"
            yield fault_at(function, prefer, text)


def _missing_channels(
    function: FunctionSource, call: WordCall, template: TemplateSummary
) -> Iterator[JourneyFault]:
    wanted = [("prefer", call.argument("prefer"))]
    match call.argument("fallback"):
        case ast.Call() as fallback if name := fallback_name(function, fallback):
            wanted.append((name, argument(fallback, "then", 1)))
    for asked_by, given in wanted:
        if given is None:
            continue
        for each in given.elts if isinstance(given, ast.Tuple | ast.List) else [given]:
            channel = function.resolve(each)
            if isinstance(channel, Channel) and channel not in template.channels:
                has = ", ".join(sorted(template.channels)) or "none"
                do = (
                    "push has no provider yet:"
                    if channel is Channel.PUSH
                    else "write it beside the others, or"
                )
                text = (
                    f"template {template.name!r} has no {channel.value} version, which {asked_by} asks for; "
                    f"it has: {has}; {do} take {ast.unparse(each)} out"
                )
                yield fault_at(function, each, text)


def _wrong_items(
    function: FunctionSource, call: WordCall, template: TemplateSummary
) -> Iterator[JourneyFault]:
    promoting, showing = call.argument("promoting"), call.argument("showing")
    if promoting is None or has_unpacking(call.node):
        return
    promotes = not _is_nothing(promoting)
    if template.message_class is MessageClass.TRANSACTIONAL and promotes:
        text = (
            f"template {template.name!r} is transactional, and may promote nothing; write promoting=None, "
            "with showing=… for items of an order, or send a marketing template"
        )
        yield fault_at(function, promoting, text)
    if template.needs_items and not promotes and _is_nothing(showing):
        text = (
            f"template {template.name!r} shows items, and gets none; give promoting=… or showing=…, or make "
            "them optional in its message.toml"
        )
        yield fault_at(function, call.node, text)


def _is_nothing(given: ast.expr | None) -> bool:
    """Whether an argument is left out, None or empty."""
    return _is_none(given) or (isinstance(given, ast.Tuple | ast.List) and not given.elts)


def _wrong_context(
    function: FunctionSource, call: WordCall, template: TemplateSummary
) -> Iterator[JourneyFault]:
    given = call.argument("context")
    values: dict[str, ast.expr] | None
    if _is_none(given):
        values = None if has_unpacking(call.node) else {}
    else:
        values = _dict_items(given if isinstance(given, ast.Dict) else _only_value(function, given))
    if values is None:
        return
    missing = [name for name, required in template.extra.items() if required and _is_none(values.get(name))]
    if missing:
        text = f"template {template.name!r} needs {', '.join(missing)}; pass it in context={{…}} of self.send"
        yield fault_at(function, given or call.node, text)
    # A dict that several messages share may hold more than each of them declares.
    for name in values if isinstance(given, ast.Dict) else ():
        if name not in template.extra:
            text = (
                f"template {template.name!r} declares no value {name!r}, so nothing of it is shown"
                f"{suggestion(name, template.extra, label='it declares')}; or add [extra.{name}] to "
                "message.toml"
            )
            yield fault_at(function, values[name], text)


def _dict_items(given: ast.expr | None) -> dict[str, ast.expr] | None:
    """Return the values by key of a dict display; None where not all keys are written out."""
    if not isinstance(given, ast.Dict):
        return None
    names = [each.value if isinstance(each, ast.Constant) else None for each in given.keys]
    if not all(isinstance(name, str) for name in names):
        return None
    return dict(zip(map(str, names), given.values, strict=True))


def _only_value(function: FunctionSource, given: ast.expr | None) -> ast.expr | None:
    """Return the value of a name that is assigned once and that no code seems to change."""
    if not isinstance(given, ast.Name) or function.bindings.get(given.id) != 1:
        return None
    assigned = None
    for node in ast.walk(function.node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == given.id:
                assigned = value
            case ast.Attribute(value=ast.Name(id=name)) | ast.Subscript(value=ast.Name(id=name)):
                if name == given.id:
                    return None
            case ast.Call(func=called, args=arguments) if any(_is_name(each, given.id) for each in arguments):
                if not _is_name(getattr(called, "value", None), function.receiver):
                    return None
    return assigned


def _is_name(expression: ast.AST | None, name: str) -> bool:
    return isinstance(expression, ast.Name) and expression.id == name


def _is_none(given: ast.expr | None) -> bool:
    """Whether an argument is left out or None."""
    return given is None or (isinstance(given, ast.Constant) and given.value is None)
