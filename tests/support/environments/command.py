"""The ``waypost`` command, as a process or in this one, without the settings of this machine."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

from typer.testing import CliRunner

from cli.main import app

SET_BY_OTHERS = (
    "API_",
    "DATABASE_",
    "DEFAULT_",
    "EMAIL_FROM",
    "POSTGRES_",
    "PUBLIC_URL",
    "SENDGRID_",
    "TEMPORAL_",
    "TWILIO_",
    "WAYPOST_",
)
"""Prefixes of settings that a machine may have set; a test sets those it needs itself."""

OF_THE_TESTS = ("WAYPOST_PROOF", "WAYPOST_SHARED")
"""Variables of these prefixes that are no setting of Waypost."""


@dataclass(frozen=True)
class CommandResult:
    """How a command ended and what it printed."""

    exit_code: int
    stdout: str
    stderr: str


def outer_environment() -> dict[str, str]:
    """This process's environment without settings of Waypost."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in OF_THE_TESTS or not name.startswith(SET_BY_OTHERS)
    }


def command_environment(**environment: str) -> dict[str, str]:
    """The environment of a command: this source code from any folder, wide lines, these settings."""
    outer = outer_environment()
    paths = os.pathsep.join(filter(None, [os.getcwd(), outer.get("PYTHONPATH", "")]))
    return {**outer, "PYTHONPATH": paths, "COLUMNS": "200", "NO_COLOR": "1", **environment}


def run_waypost(
    *words: str, folder: Path | None = None, input: str = "", timeout: float = 60, **environment: str
) -> CommandResult:
    """Run the command as a process in a folder (default: the current one), with only these settings."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        cwd=folder,
        env=command_environment(**environment),
        input=input,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


def call_waypost(
    *words: str, folder: Path | None = None, input: str = "", **environment: str
) -> CommandResult:
    """Run the command in this process, otherwise as ``run_waypost``; saves the time to load one.

    An error that the command does not report is raised. The environment is put back afterwards, and logging
    stays as it is. Modules of ``folder`` cannot be imported, and ``api``, ``relay`` and ``worker`` can only
    be seen to refuse: all that needs a process. May be called where an event loop runs, which it blocks.
    """
    settings = command_environment(**environment)
    with ThreadPoolExecutor(1) as pool, _as_process(folder or Path.cwd(), settings):
        done = pool.submit(
            CliRunner().invoke, app, words, input=input, prog_name="waypost", catch_exceptions=False
        ).result()
    return CommandResult(done.exit_code, done.stdout, done.stderr)


@contextlib.contextmanager
def _as_process(folder: Path, settings: dict[str, str]) -> Iterator[None]:
    """Give this process the working directory and environment of a command, and let ``exit_now`` return."""
    with (
        contextlib.chdir(folder),
        patch.dict(os.environ, settings, clear=True),
        patch("os._exit", _raise_exit),
        patch("workers.process.configure_logging"),
    ):
        yield


def _raise_exit(code: int) -> NoReturn:
    """What ``os._exit`` does for a command in this process."""
    raise SystemExit(code)
