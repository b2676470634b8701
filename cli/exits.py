"""Exit and error reporting of the commands, and the connection of a command to a running local stack."""

import functools
import os
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer

from local.data_directory import find_running_stack
from workers.errors import format_user_error
from workers.settings import StackSettings

Arguments = ParamSpec("Arguments")

Function = Callable[Arguments, None]


def command(
    app: typer.Typer, name: str | None = None, *, local_stack: bool = False, error_code: int = 1
) -> Callable[[Function[Arguments]], Function[Arguments]]:
    """Add a function as a command to an app. ``local_stack``: with the environment of a running stack.

    The process exits with 0 after it; an error that a user can correct is printed, and the process exits with
    its code. All other errors are raised. The function may exit with another code itself.
    """

    def add(function: Function[Arguments]) -> Function[Arguments]:
        @app.command(name)
        @functools.wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            try:
                if local_stack:
                    use_local_stack()
                function(*args, **kwargs)
                exit_now(0)
            except (Exception, KeyboardInterrupt) as error:
                message = format_user_error(error)
                if message is None:
                    raise
                typer.echo(message, err=True)
                exit_now(error_code)

        return run

    return add


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
