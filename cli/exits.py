"""How a command ends: with a clear message and no traceback, at once; and which stack it is about."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

import typer

from local.data_directory import find_running_stack
from workers.process import format_user_error
from workers.settings import StackSettings


@contextlib.contextmanager
def report_errors(code: int = 1) -> Iterator[None]:
    """Turn what a user can mend into one clear message and this exit code, without a traceback."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        message = format_user_error(error)
        if message is None:
            raise
        typer.echo(message, err=True)
        exit_now(code)


def use_local_stack() -> bool:
    """Let a tool find the stack that runs on this data directory; what the user has set stays as set."""
    found = find_running_stack(StackSettings().waypost_data_dir)
    for name, value in (found or {}).items():
        os.environ.setdefault(name, value)
    return found is not None


def exit_now(code: int) -> NoReturn:
    """End at once with this exit code: the Temporal SDK may crash in an orderly end of a short process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
