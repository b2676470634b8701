"""Exit and error reporting of the commands, and the connection of a command to a running local stack."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

import typer

from local.data_directory import find_running_stack
from workers.errors import format_user_error
from workers.settings import StackSettings


@contextlib.contextmanager
def run_command(error_code: int = 1) -> Iterator[None]:
    """Run a command's block and exit with 0; print an error that a user can correct, and exit with its code.

    All other errors are raised. The block may exit with another code itself.
    """
    try:
        yield
        exit_now(0)
    except (Exception, KeyboardInterrupt) as error:
        message = format_user_error(error)
        if message is None:
            raise
        typer.echo(message, err=True)
        exit_now(error_code)


def use_local_stack() -> bool:
    """Set the environment of the stack that runs on the data directory; returns whether one runs.

    Variables that the user has set are kept.
    """
    found = find_running_stack(StackSettings().waypost_data_dir)
    for name, value in (found or {}).items():
        os.environ.setdefault(name, value)
    return found is not None


def exit_now(code: int) -> NoReturn:
    """Flush the output and end the process at once with this exit code.

    Interpreter shutdown is skipped, since the Temporal SDK may crash during it in a short process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
