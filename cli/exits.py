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
def report_errors(code: int = 1) -> Iterator[None]:
    """Print an error that a user can correct as one message, without a traceback, and exit with ``code``.

    All other errors are raised.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        message = format_user_error(error)
        if message is None:
            raise
        typer.echo(message, err=True)
        exit_now(code)


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
