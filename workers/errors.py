"""Errors that the user can correct, and the text to print for them."""

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError


class UserError(Exception):
    """An error that the user can correct; the message has the expected value, the given value and the fix."""


def format_user_error(error: BaseException) -> str | None:
    """Return the text to print instead of a traceback, or None if the error is a bug that needs one."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted."
    if isinstance(error, ValidationError) and error.title in _settings_classes():
        # Without the values: any of them may be a secret.
        lines = [
            f"  {_variable_name(each['loc'])}: {each['msg']}" for each in error.errors(include_input=False)
        ]
        return "\n".join(["The settings cannot be used; correct these environment variables:", *lines])
    if isinstance(error, SettingsError):
        return f"The settings cannot be used: {error}"
    return None


def _settings_classes() -> set[str]:
    names: set[str] = set()
    waiting: list[type[BaseSettings]] = [BaseSettings]
    while waiting:
        children = waiting.pop().__subclasses__()
        names.update(child.__name__ for child in children)
        waiting.extend(children)
    return names


def _variable_name(location: tuple[int | str, ...]) -> str:
    """Return the environment variable's name. A fault of several settings names them in its message."""
    return str(location[0]).upper() if location else "several"
