"""What ``waypost new journey`` does: a journey that works, in Waypost's tree or in a package of one's own."""

import ast
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import journeys
from journeys.registry import load
from profiles.events import Event
from workers.faults import Fault
from workers.new_journey.files import write
from workers.new_journey.name import Name, name_of
from workers.new_journey.registration import Registration, names_bound
from workers.new_journey.texts import conftest, package_file, story_files, tales

_LAYOUTS = Path(journeys.__file__).parent / "layouts"
_PLUGIN = "workers.testing.plugin"
_REGISTRY = Path("journeys/registry.py")
_ROOMS = ("journeys", "profiles", "policy", "activities", "workers", "api", "tests", "bench", "docs")


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
