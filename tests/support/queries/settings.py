"""Every environment variable that a settings class of Waypost reads, with its defaults."""

import importlib
import pkgutil
import tomllib
from functools import cache
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from tests.support.docs import ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

ROOMS: tuple[str, ...] = tuple(_PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
"""Our top-level packages."""


@cache
def settings_defaults() -> dict[str, set[str]]:
    """Variable → its default as text, of each class that has it."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            # Only Alembic can import the migrations. The other module is a former path, and says so.
            if ".migrations" not in module.name and module.name != "workers.testing":
                importlib.import_module(module.name)
    found: dict[str, set[str]] = {}
    waiting: list[type[BaseSettings]] = list(BaseSettings.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind.__module__.startswith(ROOMS):
            for name, field in kind.model_fields.items():
                variable = str(field.validation_alias or name).upper()
                found.setdefault(variable, set()).add(_shown(field.get_default(call_default_factory=True)))
    return found


def _shown(default: Any) -> str:
    """A default as the table writes it; nothing where there is none."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return "" if default in (None, (), "") else str(default)
