"""Public names, found through registries and by reading the code, whatever its modules are called."""

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any

import typer
from prometheus_client.metrics import MetricWrapperBase
from pydantic import TypeAdapter
from pydantic_settings import BaseSettings

from cli.main import app
from tests.support.docs import ROOT

PACKAGES: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"][
    "targets"
]["wheel"]["packages"]
"""The packages of the product, as they are built into the wheel."""

Json = Any


@cache
def sources() -> dict[str, str]:
    """Module → its text, of all product code but migrations."""
    paths = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text(
            "utf-8"
        )
        for path in paths
        if "migrations" not in path.parts
    }


def _nodes(*words: str) -> Iterator[ast.AST]:
    """Syntax of the modules in which any of these words stands."""
    for text in sources().values():
        if any(word in text for word in words):
            yield from ast.walk(ast.parse(text))


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
        elif key in ("default", "const", "enum"):
            plain[key] = one
        elif key not in ("title", "description", "$defs"):
            plain[key] = _plain(one, definitions)
    return plain


def error_types() -> list[str]:
    """Types of ``ApplicationError`` that product code raises."""
    found = set()
    for node in _nodes("ApplicationError("):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ApplicationError"):
            [given] = [keyword.value for keyword in node.keywords if keyword.arg == "type"]
            branches = (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,)
            found |= {str(branch.value) for branch in branches if isinstance(branch, ast.Constant)}
    return sorted(found)


def environment() -> Json:
    """Variables of every settings class, with type and default, and names that the code reads by itself."""
    for name, text in sources().items():
        if re.search(r"^class .*Settings\b.*:$", text, re.MULTILINE):
            importlib.import_module(name)
    classes = {cls for cls in _subclasses(BaseSettings) if cls.__module__.partition(".")[0] in PACKAGES}
    settings = [dict(sorted(_variables_of(cls))) for cls in classes]
    return {"settings": sorted(settings, key=str), "read_by_name": sorted(set(_variables_read()))}


def _variables_of(cls: type[BaseSettings]) -> Iterator[tuple[str, list[str]]]:
    for name, field in cls.model_fields.items():
        variable = field.validation_alias or field.alias or name
        default = "required" if field.is_required() else str(field.get_default(call_default_factory=True))
        prefix = cls.model_config.get("env_prefix") or ""
        yield f"{prefix}{variable}".upper(), [_type_name(field.annotation), default]


def _subclasses(cls: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)


def _type_name(annotation: Any) -> str:
    return inspect.formatannotation(annotation).replace("pathlib._local.", "pathlib.")


def _variables_read() -> Iterator[str]:
    """Constants that stand in ``os.environ[…]``, ``os.environ.get(…)`` and ``os.getenv(…)``."""
    for node in _nodes("environ", "getenv"):
        match node:
            case (
                ast.Subscript(value=reads, slice=ast.Constant(value=str(name)))
                | ast.Call(func=reads, args=[ast.Constant(value=str(name)), *_])
            ) if "environ" in (text := ast.unparse(reads)) or text.endswith("getenv"):
                yield name


def commands(command: Any = None) -> Json:
    """The tree of commands with their arguments and options; without help texts."""
    command = command or typer.main.get_command(app)
    parameters = [_parameter(one) for one in command.params]
    found: dict[str, Json] = {"parameters": parameters} if parameters else {}
    if hasattr(command, "commands"):
        found["commands"] = {name: commands(one) for name, one in sorted(command.commands.items())}
    return found


def _parameter(parameter: Any) -> Json:
    default, kind = parameter.default, parameter.type_descriptor.annotation
    is_choice = isinstance(kind, type) and issubclass(kind, Enum)
    return {
        "kind": parameter.param_type_name,
        "names": [*parameter.opts, *parameter.secondary_opts],
        "type": [str(one.value) for one in kind] if is_choice else _type_name(kind),
        "required": parameter.required,
        "multiple": parameter.multiple,
        "default": default if isinstance(default, bool | int | float | None) else str(default),
        "envvar": parameter.envvar,
    }


def metric(one: MetricWrapperBase) -> Json:
    """Name, type, labels, and buckets of a histogram."""
    [family] = one.describe()
    return {
        "name": family.name,
        "type": family.type,
        "labels": list(one._labelnames),
        "buckets": [str(bound) for bound in getattr(one, "_upper_bounds", [])],
    }


def members(cls: type) -> dict[str, Json]:
    """Public attributes of a class, as far as they are the product's own."""
    own = [one for one in cls.__mro__ if one.__module__.partition(".")[0] in PACKAGES]
    names = sorted({name for one in own for name in vars(one) if not name.startswith(("_", "model_"))})
    return {name: signature(inspect.getattr_static(cls, name)) for name in names}


def signature(one: Any) -> Json:
    """What a caller may write after a name: parameters without types, and the members of a class."""
    match one:
        case property():
            return "property"
        case staticmethod() | classmethod():
            return signature(one.__func__)
        case str() | int():
            return f"value {one}"
        case type():
            return {"called with": _parameters(one), "members": members(one)}
        case _ if callable(one):
            return _parameters(one)
    return "value"


def _parameters(one: Any) -> str:
    whole = inspect.signature(one)
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in whole.parameters.values()]
    text = str(whole.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)
