"""What ``waypost new journey`` does: a journey that works, in Waypost's tree or in a package of one's own."""

import ast
import keyword
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import journeys
from authoring.scaffold.registration import Registration, names_bound
from journeys.registry import load
from journeys.vocabulary.definition import kebab
from profiles.events import Event
from workers.process import Fault


def write(files: Mapping[Path, str], changed: Mapping[Path, str]) -> None:
    """Make new files, then change existing ones. Raises ``Fault``; what was made until then is taken away."""
    if there := [path for path in files if path.exists()]:
        listed = "".join(f"\n  {path}" for path in there)
        raise Fault(
            f"nothing was written, because there is already:{listed}\n"
            "Choose another name, or move this away first."
        )
    made: list[Path] = []
    folders: list[Path] = []
    try:
        for path, text in files.items():
            folders += [each for each in reversed([path.parent, *path.parent.parents]) if not each.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            # Mode "x": where somebody else has just made it, it is theirs.
            with path.open("x", encoding="utf-8", newline="") as file:
                made.append(path)
                file.write(text)
        for path, text in changed.items():
            path.write_bytes(text.encode())
    except OSError as error:
        for path in made:
            path.unlink(missing_ok=True)
        for folder in reversed(folders):
            folder.rmdir()
        raise Fault(
            f"{error.filename} cannot be written: {error.strerror}. Nothing was left behind; check that the "
            "folder is yours to write in, and try again."
        ) from error


_WORDS = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z][a-z0-9]*)*")

_LONGEST = 30
"""Letters: the name is part of every workflow id, and longer ones break the lines of the files made."""


@dataclass(frozen=True, slots=True)
class Name:
    """One journey's name in words."""

    words: tuple[str, ...]

    @property
    def kebab(self) -> str:
        """The journey's name: ``price-drop``."""
        return "-".join(self.words)

    @property
    def snake(self) -> str:
        """Its folder: ``price_drop``."""
        return "_".join(self.words)

    @property
    def cls(self) -> str:
        """Its class: ``PriceDrop``."""
        return "".join(word.capitalize() for word in self.words)

    @property
    def title(self) -> str:
        """As people write it: ``Price drop``."""
        return " ".join(self.words).capitalize()

    @property
    def event(self) -> str:
        """The event of its own that starts it until the author names another: ``Price Drop Entered``."""
        return " ".join([*(word.capitalize() for word in self.words), "Entered"])

    @property
    def message(self) -> str:
        """Its message: ``price_drop_note``. Message names are one list over all journeys."""
        return f"{self.snake}_note"


def name_of(text: str) -> Name:
    """The name, given in kebab-case or snake_case. Raises ``Fault``, which says what to write instead."""
    wanted = "a journey's name is small words with hyphens between them, such as price-drop"
    if not _WORDS.fullmatch(text):
        guess = re.sub(r"[^a-z0-9]+", "-", kebab(text)).strip("-")
        hint = f"; try {guess}" if _WORDS.fullmatch(guess) else ""
        raise Fault(f"{text!r} cannot be a journey's name: {wanted}; each word begins with a letter{hint}")
    if len(text) > _LONGEST:
        raise Fault(f"{text!r} has {len(text)} letters, and {_LONGEST} are the most; choose a shorter name")
    name = Name(tuple(re.split("[-_]", text)))
    if keyword.iskeyword(name.snake):
        raise Fault(
            f"{text!r} is a word of Python, so no folder of code can have that name; add a word, such as "
            f"{text}-reminder"
        )
    if kebab(name.cls) != name.kebab:
        raise Fault(
            f"{text!r} would be the class {name.cls}, which reads as {kebab(name.cls)!r}; give each word two "
            "letters or more"
        )
    return name


_LAYOUTS = Path(journeys.__file__).parent / "layouts"

_PLUGIN = "authoring.testing.plugin"

_REGISTRY = Path("journeys/registry.py")

_ROOMS = (
    "journeys",
    "profiles",
    "policy",
    "activities",
    "workers",
    "api",
    "local",
    "authoring",
    "cli",
    "tests",
    "bench",
    "docs",
)


def create(text: str, modules: Sequence[str], *, package: Path | None, folder: Path) -> str:
    """Make a journey of this name; returns what to print: what was written, and the next three steps.

    ``folder`` is where the user stands. Raises ``Fault``, with nothing written: for a name that is bad or
    taken, a place that cannot be used, and a registry that does not look as expected.
    """
    name = name_of(text)
    _free(name, modules)
    root = _root_of(folder)
    return (
        _in_tree(name, root, folder) if package is None else _in_package(name, folder / package, root, folder)
    )


def _in_tree(name: Name, root: Path | None, folder: Path) -> str:
    if root is None:
        raise Fault(
            f"there is no {_REGISTRY} here or above: run this inside your clone of Waypost, or name a "
            f"package of your own, as in: waypost new journey {name.kebab} --package shop"
        )
    home = root / "journeys" / name.snake
    _vacant(home, name)
    files = {home / path: text for path, text in story_files(name).items()}
    test = root / "tests" / "journeys" / f"test_{name.snake}.py"
    files[test] = tales(name, "journeys")
    registry = root / _REGISTRY
    entry = Registration(str(_REGISTRY), "SHIPPED", f"journeys.{name.snake}.story", name.cls)
    write(files, {registry: entry.added_to(registry.read_bytes().decode())})
    return _told(
        [_shown(path, folder) for path in files],
        f"{name.cls} is registered in {_shown(registry, folder)}.",
        _tell(name, home, folder),
        f"Try it in virtual time: python -m pytest {_shown(test, folder)}",
        f"Look at it: waypost graph {name.kebab}, waypost preview {name.kebab}, and then waypost dev",
    )


def _in_package(name: Name, package: Path, root: Path | None, folder: Path) -> str:
    title = package.name
    if not title.isidentifier() or title in (*sys.stdlib_module_names, *_ROOMS):
        raise Fault(
            f"{title!r} cannot be the name of a package of your own: it takes letters, digits and _, and no "
            "name that Python or Waypost has already; try shop"
        )
    home = package / name.snake
    _vacant(home, name)
    files = {home / path: text for path, text in story_files(name).items()}
    front = package / "__init__.py"
    fronts = {front: _front(front, name, title, folder)}
    files |= _layouts(package)
    in_clone = root == package.parent
    test = package.parent / "tests" / ("journeys" if in_clone else "") / f"test_{name.snake}.py"
    files[test] = tales(name, title)
    # At the top of the user's folder: pytest takes plugins from no other place.
    fixtures = package.parent / "conftest.py"
    if not in_clone and not fixtures.exists():
        files[fixtures] = conftest()
    write(files if front.exists() else files | fronts, fronts if front.exists() else {})
    path = "" if in_clone else f" and PYTHONPATH={package.parent.resolve()}"
    plugged = in_clone or _PLUGIN in (files.get(fixtures) or fixtures.read_text("utf-8"))
    first = "" if plugged else f"with pytest_plugins = [{_PLUGIN!r}] in {_shown(fixtures, folder)}, "
    return _told(
        [_shown(path, folder) for path in files],
        f"{name.cls} is in JOURNEYS of {_shown(front, folder)}.",
        _tell(name, home, folder),
        f"Set WAYPOST_JOURNEYS=journeys,{title}{path}: api, worker and relay read it",
        f"Try it in virtual time: {first}python -m pytest {_shown(test, folder)}; look at it: "
        f"waypost graph {name.kebab}, waypost preview {name.kebab}",
    )


def _front(front: Path, name: Name, title: str, folder: Path) -> str:
    """A package's ``__init__`` with the journey in its JOURNEYS."""
    text = front.read_bytes().decode() if front.exists() else ""
    if not text.strip():
        return package_file(name, title)
    entry = Registration(_shown(front, folder), "JOURNEYS", f"{title}.{name.snake}.story", name.cls)
    return entry.added_to(text)


def _free(name: Name, modules: Sequence[str]) -> None:
    """Whether no registered journey, event or word of a story has the name."""
    try:
        registered = load(modules)
    except ValueError as error:
        raise Fault(str(error)) from error
    if name.kebab in registered or name.event in Event.by_name:
        raise Fault(
            f"the name {name.kebab!r} is taken; registered: {', '.join(sorted(registered))}. Choose another"
        )
    story = ast.parse(story_files(name)["story.py"])
    others = ast.Module([each for each in story.body[:-1] if isinstance(each, ast.stmt)], [])
    if name.cls in names_bound(others):
        raise Fault(
            f"{name.kebab!r} would be the class {name.cls}, and a story needs that word for something else; "
            f"add a word, such as {name.kebab}-reminder"
        )


def _vacant(home: Path, name: Name) -> None:
    """Whether neither the folder of the journey nor its message's name is in use."""
    others = [home, home.with_suffix(".py"), *home.parent.glob(f"*/{name.message}")]
    for path in others:
        if path.exists():
            raise Fault(
                f"the name {name.kebab!r} is taken: there is already {path.parent.name}/{path.name}. "
                "Choose another; nothing was written"
            )


def _layouts(package: Path) -> Mapping[Path, str]:
    """The layouts that messages extend, where the package has none yet."""
    if (package / "layouts").exists():
        return {}
    return {package / "layouts" / file.name: file.read_text("utf-8") for file in sorted(_LAYOUTS.iterdir())}


def _root_of(folder: Path) -> Path | None:
    """The clone of Waypost that the user stands in."""
    return next((each for each in (folder, *folder.parents) if (each / _REGISTRY).is_file()), None)


def _tell(name: Name, home: Path, folder: Path) -> str:
    story = _shown(home / "story.py", folder)
    return f"Tell your story in {story}; its message lies beside it, in {name.message}/."


def _shown(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder)


def _told(files: Sequence[str], registered: str, *steps: str) -> str:
    lines = ["Written:", *(f"  {file}" for file in files), registered, "", "Next:"]
    return "\n".join([*lines, *(f"  {number}. {step}" for number, step in enumerate(steps, 1))])


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
        "from authoring.testing import Shopper, with_journeys",
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
