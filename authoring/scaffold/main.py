"""The command ``waypost new journey``: check the name, render a working journey's files, and register it.

The journey goes into Waypost's own tree or into a package of the user.
"""

import ast
import keyword
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os.path import relpath
from pathlib import Path
from string import Template
from typing import Self

import journeys
from authoring.scaffold.registration import Registration, bound_names
from journeys.registry import load_journeys
from journeys.vocabulary.definition import to_kebab_case
from profiles.events import Event
from workers.errors import UserError

_NAME_PATTERN = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z][a-z0-9]*)*")

_MAX_NAME_LENGTH = 30
"""In characters. The name is part of workflow ids; longer ones break lines of the generated files."""

_LAYOUTS_FOLDER = Path(journeys.__file__).parent / "layouts"

_PYTEST_PLUGIN = "authoring.testing.plugin"

_REGISTRY_FILE = Path("journeys/registry.py")

_RESERVED_PACKAGES = (
    *("journeys", "profiles", "policy", "activities", "workers", "api", "local", "authoring", "cli"),
    *("tests", "bench", "docs"),
)

_TEMPLATES_FOLDER = Path(__file__).parent / "templates"


def write_files(files: Mapping[Path, str], changed: Mapping[Path, str]) -> None:
    """Create new files, then change existing ones. Raises ``UserError``, with the new files removed."""
    if there := [path for path in files if path.exists()]:
        listed = "".join(f"\n  {path}" for path in there)
        raise UserError(
            f"nothing was written, because there is already:{listed}\n"
            "Choose another name, or move this away first."
        )
    made: list[Path] = []
    folders: list[Path] = []
    try:
        for path, text in files.items():
            folders += [each for each in reversed([path.parent, *path.parent.parents]) if not each.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            # Mode "x": a file that another process has just created is not overwritten.
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
        raise UserError(
            f"{error.filename} cannot be written: {error.strerror}. Nothing was left behind; check that the "
            "folder is yours to write in, and try again."
        ) from error


@dataclass(frozen=True, slots=True)
class JourneyName:
    """The forms of a journey's name; the templates name them as these fields."""

    kebab: str
    """The journey's name, such as ``price-drop``."""
    snake: str
    """The name of the folder, such as ``price_drop``."""
    class_name: str
    """The name of the class, such as ``PriceDrop``."""
    title: str
    """The name as a title, such as ``Price drop``."""
    event_name: str
    """The generated entry event, such as ``Price Drop Entered``; the author may replace it."""
    event_class: str
    message_name: str
    """The generated message, such as ``price_drop_note``. Message names are unique over all journeys."""

    @classmethod
    def of(cls, words: Sequence[str]) -> Self:
        """Return the forms of a name of these words."""
        snake, capitalized = "_".join(words), [word.capitalize() for word in words]
        return cls(
            kebab="-".join(words),
            snake=snake,
            class_name="".join(capitalized),
            title=" ".join(words).capitalize(),
            event_name=" ".join([*capitalized, "Entered"]),
            event_class="".join([*capitalized, "Entered"]),
            message_name=f"{snake}_note",
        )


def parse_name(text: str) -> JourneyName:
    """Parse a name in kebab-case or snake_case. Raises ``UserError`` with the names that are allowed."""
    wanted = "a journey's name is small words with hyphens between them, such as price-drop"
    if not _NAME_PATTERN.fullmatch(text):
        guess = re.sub(r"[^a-z0-9]+", "-", to_kebab_case(text)).strip("-")
        hint = f"; try {guess}" if _NAME_PATTERN.fullmatch(guess) else ""
        raise UserError(
            f"{text!r} cannot be a journey's name: {wanted}; each word begins with a letter{hint}"
        )
    if len(text) > _MAX_NAME_LENGTH:
        raise UserError(
            f"{text!r} has {len(text)} letters, and {_MAX_NAME_LENGTH} are the most; choose a shorter name"
        )
    name = JourneyName.of(re.split("[-_]", text))
    if keyword.iskeyword(name.snake):
        raise UserError(
            f"{text!r} is a word of Python, so no folder of code can have that name; add a word, such as "
            f"{text}-reminder"
        )
    if to_kebab_case(name.class_name) != name.kebab:
        raise UserError(
            f"{text!r} would be the class {name.class_name}, which reads as "
            f"{to_kebab_case(name.class_name)!r}; give each word two "
            "letters or more"
        )
    return name


def create_journey(text: str, modules: Sequence[str], *, package: Path | None, folder: Path) -> str:
    """Create a journey of this name; returns the text to print: the files written, and the next three steps.

    ``folder`` is the current directory. Raises ``UserError`` before anything is written: for a name that
    is invalid or in use, a place that cannot be used, and a registry without the expected form.
    """
    name = parse_name(text)
    _check_name_free(name, modules)
    root = _find_clone_root(folder)
    return (
        _create_in_clone(name, root, folder)
        if package is None
        else _create_in_package(name, folder / package, root, folder)
    )


def _create_in_clone(name: JourneyName, root: Path | None, folder: Path) -> str:
    if root is None:
        raise UserError(
            f"there is no {_REGISTRY_FILE} here or above: run this inside your clone of Waypost, or name a "
            f"package of your own, as in: waypost new journey {name.kebab} --package shop"
        )
    home = root / "journeys" / name.snake
    _check_paths_free(home, name)
    files = {home / path: text for path, text in render_journey_files(name).items()}
    test = root / "tests" / "journeys" / f"test_{name.snake}.py"
    files[test] = render_test(name, "journeys")
    registry = root / _REGISTRY_FILE
    entry = Registration(str(_REGISTRY_FILE), "SHIPPED", f"journeys.{name.snake}.story", name.class_name)
    write_files(files, {registry: entry.add_to(registry.read_bytes().decode())})
    return _format_report(
        [relpath(path, folder) for path in files],
        f"{name.class_name} is registered in {relpath(registry, folder)}.",
        _story_hint(name, home, folder),
        f"Try it in virtual time: python -m pytest {relpath(test, folder)}",
        f"Look at it: waypost graph {name.kebab}, waypost preview {name.kebab}, and then waypost dev",
    )


def _create_in_package(name: JourneyName, package: Path, root: Path | None, folder: Path) -> str:
    title = package.name
    if not title.isidentifier() or title in (*sys.stdlib_module_names, *_RESERVED_PACKAGES):
        raise UserError(
            f"{title!r} cannot be the name of a package of your own: it takes letters, digits and _, and no "
            "name that Python or Waypost has already; try shop"
        )
    home = package / name.snake
    _check_paths_free(home, name)
    files = {home / path: text for path, text in render_journey_files(name).items()}
    front = package / "__init__.py"
    fronts = {front: _package_init(front, name, title, folder)}
    files |= _missing_layouts(package)
    in_clone = root == package.parent
    test = package.parent / "tests" / ("journeys" if in_clone else "") / f"test_{name.snake}.py"
    files[test] = render_test(name, title)
    # At the top of the user's folder: pytest reads ``pytest_plugins`` from the root conftest only.
    fixtures = package.parent / "conftest.py"
    if not in_clone and not fixtures.exists():
        files[fixtures] = render_conftest()
    write_files(files if front.exists() else files | fronts, fronts if front.exists() else {})
    path = "" if in_clone else f" and PYTHONPATH={package.parent.resolve()}"
    plugged = in_clone or _PYTEST_PLUGIN in (files.get(fixtures) or fixtures.read_text("utf-8"))
    first = "" if plugged else f"with pytest_plugins = [{_PYTEST_PLUGIN!r}] in {relpath(fixtures, folder)}, "
    return _format_report(
        [relpath(path, folder) for path in files],
        f"{name.class_name} is in JOURNEYS of {relpath(front, folder)}.",
        _story_hint(name, home, folder),
        f"Set WAYPOST_JOURNEYS=journeys,{title}{path}: api, worker and relay read it",
        f"Try it in virtual time: {first}python -m pytest {relpath(test, folder)}; look at it: "
        f"waypost graph {name.kebab}, waypost preview {name.kebab}",
    )


def _package_init(front: Path, name: JourneyName, title: str, folder: Path) -> str:
    """Return the text of the package's ``__init__`` with the journey added to its JOURNEYS."""
    text = front.read_bytes().decode() if front.exists() else ""
    if not text.strip():
        return _render_template("package.py.txt", name, package=title)
    entry = Registration(relpath(front, folder), "JOURNEYS", f"{title}.{name.snake}.story", name.class_name)
    return entry.add_to(text)


def _check_name_free(name: JourneyName, modules: Sequence[str]) -> None:
    """Check that no journey, event or name used by the story has the name. Raises ``UserError``."""
    try:
        registered = load_journeys(modules)
    except ValueError as error:
        raise UserError(str(error)) from error
    if name.kebab in registered or name.event_name in Event.registry:
        raise UserError(
            f"the name {name.kebab!r} is taken; registered: {', '.join(sorted(registered))}. Choose another"
        )
    story = ast.parse(render_journey_files(name)["story.py"])
    others = ast.Module([each for each in story.body[:-1] if isinstance(each, ast.stmt)], [])
    if name.class_name in bound_names(others):
        raise UserError(
            f"{name.kebab!r} would be the class {name.class_name}, and a story needs that word for "
            "something else; "
            f"add a word, such as {name.kebab}-reminder"
        )


def _check_paths_free(home: Path, name: JourneyName) -> None:
    """Check that neither the journey's folder nor its message's name is in use. Raises ``UserError``."""
    others = [home, home.with_suffix(".py"), *home.parent.glob(f"*/{name.message_name}")]
    for path in others:
        if path.exists():
            raise UserError(
                f"the name {name.kebab!r} is taken: there is already {path.parent.name}/{path.name}. "
                "Choose another; nothing was written"
            )


def _missing_layouts(package: Path) -> Mapping[Path, str]:
    """Return the layouts that messages extend, where the package has none yet."""
    if (package / "layouts").exists():
        return {}
    return {
        package / "layouts" / file.name: file.read_text("utf-8") for file in sorted(_LAYOUTS_FOLDER.iterdir())
    }


def _find_clone_root(folder: Path) -> Path | None:
    """Return the root of the clone of Waypost that contains the current directory, if there is one."""
    return next((each for each in (folder, *folder.parents) if (each / _REGISTRY_FILE).is_file()), None)


def _story_hint(name: JourneyName, home: Path, folder: Path) -> str:
    story = relpath(home / "story.py", folder)
    return f"Tell your story in {story}; its message lies beside it, in {name.message_name}/."


def _format_report(files: Sequence[str], registered: str, *steps: str) -> str:
    lines = ["Written:", *(f"  {file}" for file in files), registered, "", "Next:"]
    return "\n".join([*lines, *(f"  {number}. {step}" for number, step in enumerate(steps, 1))])


def render_journey_files(name: JourneyName) -> Mapping[str, str]:
    """Return the text of each file, by its path inside the journey's folder."""
    messages = {part: f"{name.message_name}/{part}" for part in ("message.toml", "email.mjml", "sms.txt")}
    files = {"story.py.txt": "story.py", "preview.yaml": "preview.yaml", **messages}
    return {"__init__.py": ""} | {path: _render_template(file, name) for file, path in files.items()}


def render_test(name: JourneyName, package: str) -> str:
    """Return a test of the journey, for Waypost's own package or for one of the user."""
    imports = [
        "from journeys.vocabulary import days, hours",
        f"from {package}.{name.snake}.story import {name.class_name}",
        "from authoring.testing import Shopper, with_journeys",
    ]
    return _render_template("test.py.txt", name, imports="\n".join(sorted(imports)))


def render_conftest() -> str:
    """Return the ``conftest.py`` of a user's folder, which loads the fixtures of journey tests."""
    return (_TEMPLATES_FOLDER / "conftest.py.txt").read_text("utf-8")


def _render_template(file: str, name: JourneyName, **more: str) -> str:
    """Fill in the $names of a template file. Liquid's braces stay; an unknown name raises KeyError."""
    return Template((_TEMPLATES_FOLDER / file).read_text("utf-8")).substitute(asdict(name), **more)
