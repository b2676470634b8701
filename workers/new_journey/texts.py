"""The files of a new journey, from the texts beside this module."""

from collections.abc import Mapping
from pathlib import Path
from string import Template

from workers.new_journey.name import Name

_FOLDER = Path(__file__).parent / "templates"


def story_files(name: Name) -> Mapping[str, str]:
    """Text by path inside the folder of the journey."""
    return {
        "__init__.py": "",
        "story.py": _filled("story.py.txt", name),
        f"{name.message}/message.toml": _filled("message.toml", name),
        f"{name.message}/email.mjml": _filled("email.mjml", name),
        f"{name.message}/sms.txt": _filled("sms.txt", name),
    }


def tales_of_shipped(name: Name) -> str:
    """A test of a journey that is registered among the shipped ones."""
    return _filled("test_head.py.txt", name) + _filled("test_tales.py.txt", name)


def tales_of_own(name: Name, package: str) -> str:
    """A test of a journey in a package of the user's own."""
    imports = sorted(
        [
            f"from {package}.{name.snake}.story import {name.cls}",
            "from tests.waypost import Waypost",
            "from workers.stack.temporal import TemporalDevServer",
        ]
    )
    head = _filled("test_head_own.py.txt", name, imports="\n".join(imports))
    return head + _filled("test_tales.py.txt", name)


def package_file(name: Name, package: str) -> str:
    """The ``__init__`` of a package of journeys."""
    return _filled("package.py.txt", name, package=package)


def _filled(file: str, name: Name, **more: str) -> str:
    """Liquid's braces stay as they are: only $names are filled in, and a misspelt one is an error."""
    return Template((_FOLDER / file).read_text("utf-8")).substitute(
        kebab=name.kebab,
        snake=name.snake,
        cls=name.cls,
        title=name.title,
        event=name.event,
        event_class=name.event.replace(" ", ""),
        message=name.message,
        **more,
    )
