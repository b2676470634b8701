"""The ``waypost`` command: what it offers, and how it tells what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments.command import call_waypost, run_waypost

COMMANDS = (
    "dev",
    "demo",
    "api",
    "worker",
    "relay",
    "migrate",
    "ingest",
    "fast-forward",
    "doctor",
    "graph",
    "new",
)


def test_help_names_every_command_without_loading_what_they_need(tmp_path: Path) -> None:
    said = call_waypost("--help", folder=tmp_path).stdout
    loaded = subprocess.run(
        [sys.executable, "-c", "import cli.main, sys; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert [name for name in COMMANDS if f" {name} " not in said] == []
    assert {"temporalio", "sqlalchemy", "fastapi"} & set(loaded) == set()


@pytest.mark.parametrize("process", ["worker", "relay", "api"])
def test_a_process_without_a_database_says_which_variable_is_missing(process: str, tmp_path: Path) -> None:
    done = run_waypost(process, folder=tmp_path)

    assert done.exit_code == 1
    assert "DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_read_is_named_without_its_value(tmp_path: Path) -> None:
    done = call_waypost("migrate", folder=tmp_path, WAYPOST_LOCAL="s3cret")

    assert done.exit_code == 1
    assert "WAYPOST_LOCAL" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_a_database_that_is_not_there_is_no_traceback(tmp_path: Path) -> None:
    done = call_waypost("migrate", folder=tmp_path, DATABASE_URL="postgresql://waypost:x@127.0.0.1:1/none")

    assert done.exit_code == 1
    assert "check DATABASE_URL" in done.stderr.lower().replace("database_url", "DATABASE_URL")


def test_time_travel_without_a_local_stack_says_how_to_get_one(tmp_path: Path) -> None:
    done = call_waypost("fast-forward", "0199d5c0-0000-7000-8000-000000000000", "3d", folder=tmp_path)

    assert done.exit_code == 1
    assert "waypost dev" in done.stderr


def test_the_doctor_tells_every_fault_and_fails(tmp_path: Path) -> None:
    done = call_waypost(
        "doctor",
        folder=tmp_path,
        DATABASE_URL="postgresql://waypost:x@127.0.0.1:1/none",
        TEMPORAL_ADDRESS="127.0.0.1:1",
    )

    failed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAIL")}
    assert done.exit_code == 1
    assert failed == {"settings", "database", "migrations", "temporal"}
    assert "sandbox" in done.stdout


def test_a_port_that_is_set_wrongly_is_named(tmp_path: Path) -> None:
    done = call_waypost("dev", folder=tmp_path, API_PORT="eighty")

    assert done.exit_code == 1
    assert "API_PORT" in done.stderr
