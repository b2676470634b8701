"""Which errors are for the person at the terminal, and how they are told."""

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError


class Fault(Exception):
    """Something the user can mend; the message says what was expected, what came, what to do."""


def explanation(error: BaseException) -> str | None:
    """What to print instead of a traceback, or None when the error is a bug that needs one."""
    if isinstance(error, Fault):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted."
    if isinstance(error, ValidationError) and error.title in _settings_classes():
        # The values stay unsaid: any of them may be a secret.
        lines = [f"  {_variable(each['loc'])}: {each['msg']}" for each in error.errors(include_input=False)]
        return "\n".join(["The settings cannot be used; correct these environment variables:", *lines])
    if isinstance(error, SettingsError):
        return f"The settings cannot be used: {error}"
    return None


def _settings_classes() -> set[str]:
    found: set[str] = set()
    waiting: list[type[BaseSettings]] = [BaseSettings]
    while waiting:
        children = waiting.pop().__subclasses__()
        found.update(child.__name__ for child in children)
        waiting.extend(children)
    return found


def _variable(location: tuple[int | str, ...]) -> str:
    """The environment variable's name; a fault of several settings together names them in its message."""
    return str(location[0]).upper() if location else "several"
