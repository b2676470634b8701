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
        "preview.yaml": _filled("preview.yaml", name),
        f"{name.message}/message.toml": _filled("message.toml", name),
        f"{name.message}/email.mjml": _filled("email.mjml", name),
        f"{name.message}/sms.txt": _filled("sms.txt", name),
    }


def tales(name: Name, package: str) -> str:
    """A test of the journey, in Waypost's own package or in one of the user's."""
    imports = [
        "from journeys.vocabulary import days, hours",
        f"from {package}.{name.snake}.story import {name.cls}",
        "from workers.testing import Shopper, with_journeys",
    ]
    return _filled("test.py.txt", name, imports="\n".join(sorted(imports)))


def conftest() -> str:
    """The ``conftest.py`` of a folder of one's own, which brings the fixtures of journey tests."""
    return (_FOLDER / "conftest.py.txt").read_text("utf-8")


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
