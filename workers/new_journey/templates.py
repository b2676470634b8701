"""The files of a new journey, from the texts beside this module."""

from collections.abc import Mapping
from pathlib import Path
from string import Template

from workers.new_journey.name import Name

_TEXTS = Path(__file__).parent / "templates"


def story_files(name: Name) -> Mapping[str, str]:
    """Text by path inside the folder of the journey."""
    return {
        "__init__.py": "",
        "story.py": _filled("story.py.txt", name),
        f"{name.message}/message.toml": _filled("message.toml", name),
        f"{name.message}/email.mjml": _filled("email.mjml", name),
        f"{name.message}/sms.txt": _filled("sms.txt", name),
    }


def test_file(name: Name, package: str) -> str:
    """A test of the journey, which is imported from this package."""
    own = package != "journeys"
    # Import order is by name, as ruff has it: a package of one's own may come before or after tests.
    lines = sorted([f"from {package}.{name.snake}.story import {name.cls}", "from tests.waypost import Waypost"])
    return _filled("test_own.py.txt" if own else "test.py.txt", name, imports="\n".join(lines), package=package)


def package_file(name: Name, package: str) -> str:
    """The ``__init__`` of a package of journeys."""
    return _filled("package.py.txt", name, package=package)


def _filled(file: str, name: Name, **more: str) -> str:
    """Liquid's braces stay as they are: only $names are filled in, and a misspelt one is an error."""
    return Template((_TEXTS / file).read_text("utf-8")).substitute(
        kebab=name.kebab,
        snake=name.snake,
        cls=name.cls,
        plain=name.plain,
        event=name.event,
        event_class=name.event.replace(" ", ""),
        message=name.message,
        **more,
    )
