"""The operator's pages against the code: every setting with its default, and every metric."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Info
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from api.http.metrics import Metrics
from tests.support.docs import DOCUMENTS, ROOT

SETTINGS = ROOT / "docs" / "reference" / "settings.md"

OPERATIONS = ROOT / "docs" / "how-to" / "operate.md"

ROOMS = ("profiles", "policy", "activities", "workers", "api", "journeys", "local", "authoring", "cli")

READ_BY_TESTS = {"WAYPOST_PROOF", "WAYPOST_WRITE_GOLDEN"}

READ_BY_THE_SDK = {
    "TEMPORAL_API_KEY",
    "TEMPORAL_TLS",
    "TEMPORAL_TLS_CLIENT_CERT_PATH",
    "TEMPORAL_TLS_CLIENT_KEY_PATH",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    "TEMPORAL_TLS_SERVER_NAME",
}
"""Variables that temporalio.envconfig reads by itself."""

_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b")

_PREFIXES = ("WAYPOST_", "TEMPORAL_", "SENDGRID_", "TWILIO_", "SHOPIFY_", "DATABASE_", "API_", "POSTGRES_")

_ENDS: dict[type, str] = {Counter: "_total", Info: "_info"}
"""What the page of metrics appends to a name."""

_ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \| (?:`([^`]*)`)? ?\| ([^|]+) \|", re.MULTILINE)


def settings_defaults() -> dict[str, set[str]]:
    """Every environment variable that a settings class of ours reads, and its defaults as text."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if module.name.endswith("settings"):
                importlib.import_module(module.name)
    found: dict[str, set[str]] = {}
    waiting: list[type[BaseSettings]] = list(BaseSettings.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind.__module__.startswith(ROOMS):
            for name, field in kind.model_fields.items():
                variable = str(field.validation_alias or name).upper()
                found.setdefault(variable, set()).add(shown(field.get_default(call_default_factory=True)))
    return found


def shown(default: Any) -> str:
    """A default as the table writes it; nothing where there is none."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return "" if default in (None, (), "") else str(default)


def settings_table() -> dict[str, str]:
    return {name: default for name, default, _ in _ROW.findall(SETTINGS.read_text("utf-8"))}


def test_the_settings_table_names_every_variable_that_a_settings_class_reads_and_no_other() -> None:
    # One that is missing or has gone: write or delete its row in docs/reference/settings.md.
    assert set(settings_table()) == set(settings_defaults())


@pytest.mark.parametrize("variable", sorted(settings_table()))
def test_the_settings_table_has_the_default_that_the_code_has(variable: str) -> None:
    assert settings_table()[variable] in settings_defaults().get(variable, set())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_environment_variable_that_is_named_is_read(document: Path) -> None:
    text = document.read_text("utf-8")
    asked = {name for name in _VARIABLE.findall(text) if name.startswith(_PREFIXES)}
    # WAYPOST_SHOP_… stands for all that begin so.
    families = {name for name in asked if re.search(rf"{name}_…", text)}

    assert asked - families - set(settings_defaults()) - READ_BY_THE_SDK - READ_BY_TESTS == set()


def test_every_metric_is_in_the_operators_guide_and_no_other() -> None:
    said = set(re.findall(r"^\| `(waypost_\w+)`", OPERATIONS.read_text("utf-8"), re.MULTILINE))
    collectors = list(Metrics().registry._names_to_collectors.values())
    kept = {
        metric.name + _ENDS.get(type(collector), "")
        for collector in dict.fromkeys(collectors)
        for metric in collector.collect()
    }

    assert said == kept
