"""Public names, found through registries and by reading the code, whatever its modules are called."""

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import prometheus_client.registry
import pytest
import typer
from prometheus_client.metrics import MetricWrapperBase
from pydantic import TypeAdapter
from pydantic_settings import BaseSettings

from tests.support.docs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

Json = Any


def packages() -> list[str]:
    """The packages of the product, as they are built into the wheel."""
    names: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return names


@cache
def sources() -> dict[str, str]:
    """Module → its text, of all product code but migrations."""
    files = sorted(path for name in packages() for path in (ROOT / name).rglob("*.py"))
    paths = [path for path in files if "migrations" not in path.parts]
    return {_module_of(path): path.read_text("utf-8") for path in paths}


def _nodes(*words: str) -> Iterator[ast.AST]:
    """Syntax of the modules in which any of these words stands."""
    for text in sources().values():
        if any(word in text for word in words):
            yield from ast.walk(ast.parse(text))


def _module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# Temporal


def schema_of(kind: Any) -> Json:
    """Fields, types and defaults as JSON schema, in order; without names of classes and texts for people."""
    if kind in (None, type(None)):
        return None
    schema = TypeAdapter(kind).json_schema(mode="serialization")
    return _plain(schema, schema.get("$defs", {}))


def _plain(schema: Json, definitions: dict[str, Json]) -> Json:
    if isinstance(schema, list):
        return [_plain(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        rest = {key: one for key, one in schema.items() if key != "$ref"}
        return _plain({**definitions[name], **rest}, definitions)
    plain = {}
    for key, one in schema.items():
        if key == "properties":
            plain[key] = {name: _plain(field, definitions) for name, field in one.items()}
        elif key == "default" or key not in ("title", "description", "$defs"):
            plain[key] = one if key in ("default", "const", "enum") else _plain(one, definitions)
    return plain


def error_types() -> list[str]:
    """Types of ``ApplicationError`` that product code raises."""
    calls = [
        node
        for node in _nodes("ApplicationError(")
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "ApplicationError"
    ]
    given = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "type"]
    words = [
        node.value
        for value in given
        for branch in ((value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,))
        for node in ast.walk(branch)
        if isinstance(node, ast.Constant)
    ]
    assert len(given) == len(calls), "an ApplicationError without a type cannot be told from others"
    return sorted({str(word) for word in words})


# Environment


def _settings_classes() -> list[type[BaseSettings]]:
    for name, text in sources().items():
        if re.search(r"^class .*Settings\b.*:$", text, re.MULTILINE):
            importlib.import_module(name)
    found: list[type[BaseSettings]] = []
    todo: list[type[BaseSettings]] = [BaseSettings]
    while todo:
        todo += (classes := todo.pop().__subclasses__())
        found += [cls for cls in classes if cls.__module__.partition(".")[0] in packages()]
    return list(dict.fromkeys(found))


def environment() -> Json:
    """Variables of every settings class, with type and default, and names that the code reads by itself."""
    classes = []
    for cls in _settings_classes():
        fields = {}
        for name, field in cls.model_fields.items():
            alias = field.validation_alias or field.alias or name
            assert isinstance(alias, str)
            fields[f"{cls.model_config.get('env_prefix') or ''}{alias}".upper()] = [
                _type_name(field.annotation),
                "required" if field.is_required() else str(field.get_default(call_default_factory=True)),
            ]
        classes.append(dict(sorted(fields.items())))
    return {"settings": sorted(classes, key=str), "read_by_name": _variables_read()}


def _type_name(annotation: Any) -> str:
    return inspect.formatannotation(annotation).replace("pathlib._local.", "pathlib.")


def _variables_read() -> list[str]:
    """Constants that stand in ``os.environ[…]``, ``os.environ.get(…)`` and ``os.getenv(…)``."""
    found = set()
    for node in _nodes("environ", "getenv"):
        match node:
            case ast.Subscript(value=value, slice=ast.Constant(value=str(name))):
                reads = ast.unparse(value)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
                reads = ast.unparse(func)
            case _:
                continue
        if "environ" in reads or reads.endswith("getenv"):
            found.add(name)
    return sorted(found)


# Command line


def commands() -> Json:
    """The tree of commands with their arguments and options; without help texts."""
    module = importlib.import_module(PROJECT["project"]["scripts"]["waypost"].partition(":")[0])
    [app] = [
        one for one in vars(module).values() if isinstance(one, typer.Typer) and one.info.name == "waypost"
    ]
    return _command(typer.main.get_command(app))


def _command(command: Any) -> Json:
    parameters = [_parameter(one) for one in command.params]
    found: dict[str, Json] = {"parameters": parameters} if parameters else {}
    if hasattr(command, "commands"):
        found["commands"] = {name: _command(one) for name, one in sorted(command.commands.items())}
    return found


def _parameter(parameter: Any) -> Json:
    default, kind = parameter.default, parameter.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        told: Json = [str(one.value) for one in kind]
    else:
        told = _type_name(kind)
    return {
        "kind": parameter.param_type_name,
        "names": [*parameter.opts, *parameter.secondary_opts],
        "type": told,
        "required": parameter.required,
        "multiple": parameter.multiple,
        "default": default if isinstance(default, bool | int | float | None) else str(default),
        "envvar": parameter.envvar,
    }


# Metrics


@contextmanager
def registered_metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MetricWrapperBase]]:
    """All metrics that are registered while the block runs."""
    found: list[MetricWrapperBase] = []
    register = prometheus_client.registry.CollectorRegistry.register

    def recording(self: Any, collector: Any) -> None:
        if isinstance(collector, MetricWrapperBase):
            found.append(collector)
        register(self, collector)

    with monkeypatch.context() as patched:
        patched.setattr(prometheus_client.registry.CollectorRegistry, "register", recording)
        yield found


def metric(one: MetricWrapperBase) -> Json:
    """Name, type, labels, and buckets of a histogram."""
    [family] = one.describe()
    return {
        "name": family.name,
        "type": family.type,
        "labels": list(one._labelnames),
        "buckets": [str(bound) for bound in getattr(one, "_upper_bounds", [])],
    }


# Vocabulary


def public_names(module: Any) -> dict[str, Json]:
    """What a module exports, each with what a caller may write after it."""
    return {name: _signature(getattr(module, name)) for name in sorted(module.__all__)}


def members(cls: type) -> dict[str, Json]:
    """Public attributes of a class, as far as they are the product's own."""
    own = [one for one in cls.__mro__ if one.__module__.partition(".")[0] in packages()]
    names = sorted({name for one in own for name in vars(one) if not name.startswith(("_", "model_"))})
    return {name: _signature(inspect.getattr_static(cls, name)) for name in names}


def _signature(one: Any) -> Json:
    match one:
        case property():
            return "property"
        case staticmethod() | classmethod():
            return _signature(one.__func__)
        case str() | int():
            return f"value {one}"
        case type():
            return {"called with": _parameters(one), "members": members(one)}
        case _ if callable(one):
            return _parameters(one)
    return "value"


def _parameters(one: Callable[..., Any]) -> str:
    signature = inspect.signature(one)
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    text = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)


def events(module: Any) -> dict[str, Json]:
    """Events of a module by name: class, and the fields that it declares, with type and default."""
    found = {}
    for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, module.Event) and cls.event_name:
            fields = schema_of(cls)["properties"]
            own = {name: field for name, field in fields.items() if name not in module.Event.model_fields}
            found[cls.event_name] = {"class": cls.__name__, "module": cls.__module__, "fields": own}
    return dict(sorted(found.items()))
