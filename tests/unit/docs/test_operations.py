"""The operator's pages against the code: every setting with its default, and every metric."""

import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Info

from api.http.metrics import Metrics
from tests.support.docs import DOCUMENTS, ROOT
from tests.support.queries.settings import settings_defaults

SETTINGS = ROOT / "docs" / "reference" / "settings.md"

OPERATIONS = ROOT / "docs" / "how-to" / "operate.md"

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
