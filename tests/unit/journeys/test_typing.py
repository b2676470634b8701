"""What a type checker says of a story: nothing where it is right, and what is wrong where it is not.

``tests/typing/good`` holds stories without an error. In ``tests/typing/bad`` each error is announced by a
comment above its line: ``# E: message  [code]``, where … stands for any text.
"""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[3]

TYPES = ROOT / "tests" / "typing"

GOOD, BAD = sorted(TYPES.glob("good/*.py")), sorted(TYPES.glob("bad/*.py"))

Told = dict[str, list[tuple[int, str]]]
"""File → line and error."""

_ERROR = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: (?P<error>.*)")

_ANNOUNCED = re.compile(r" *# E: (?P<error>.*)")


@pytest.fixture(scope="module")
def told() -> Told:
    """All that ``mypy --strict`` has to say, in one run that goes on from what `make types` has cached."""
    options = ["--strict", "--explicit-package-bases", "--no-pretty", "--hide-error-context"]
    options += ["--config-file", "pyproject.toml"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("MYPYPATH", str(ROOT))
        out, failed, status = api.run([*options, *(str(path.relative_to(ROOT)) for path in (*GOOD, *BAD))])

    assert (failed, status) == ("", 1), failed or out
    found: Told = defaultdict(list)
    for error in filter(None, map(_ERROR.match, out.splitlines())):
        found[error["file"]].append((int(error["line"]), error["error"]))
    return found


def announced(path: Path) -> list[tuple[int, str]]:
    """Line and error of each announcement in a file."""
    found: list[tuple[int, str]] = []
    waiting: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := _ANNOUNCED.fullmatch(line):
            waiting.append(match["error"])
        else:
            found += [(number, error) for error in waiting]
            waiting = []
    return found


def as_announced(error: str, patterns: list[str]) -> str:
    """The pattern that the error fits, else the error itself."""
    for pattern in patterns:
        if re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), error):
            return pattern
    return error


def name(path: Path) -> str:
    return path.stem.replace("_", " ")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", GOOD, ids=name)
def test_a_story_that_is_right_has_no_error(told: Told, path: Path) -> None:
    assert told.get(str(path.relative_to(ROOT)), []) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", BAD, ids=name)
def test_a_story_that_is_wrong_has_the_errors_announced_and_no_others(told: Told, path: Path) -> None:
    expected = announced(path)
    errors = told.get(str(path.relative_to(ROOT)), [])
    found = [
        (line, as_announced(error, [pattern for at, pattern in expected if at == line]))
        for line, error in errors
    ]

    assert sorted(expected) == sorted(found)
    assert expected


def test_right_stories_say_what_their_types_are() -> None:
    silent = [path.name for path in GOOD if "assert_type" not in path.read_text(encoding="utf-8")]

    # These two are right if their filters and keys are.
    assert silent == ["keying_runs.py", "starting_on_events.py"]


def test_an_announcement_is_held_to_its_words_and_its_line(tmp_path: Path) -> None:
    story = tmp_path / "story.py"
    story.write_text("first = 1\n# E: one …  [a]\n# E: two  [b]\nsecond = 2\n", encoding="utf-8")

    assert announced(story) == [(4, "one …  [a]"), (4, "two  [b]")]
    assert as_announced("one thing  [a]", ["one …  [a]"]) == "one …  [a]"
    assert as_announced("one thing  [other]", ["one …  [a]"]) == "one thing  [other]"
