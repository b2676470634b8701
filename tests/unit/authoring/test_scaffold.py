"""A new journey by command: it works at once, registers itself exactly, and overwrites nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from authoring.scaffold.main import (
    create_journey,
    parse_name,
    render_conftest,
    render_journey_files,
    render_test,
)
from authoring.scaffold.registration import Registration
from tests.support.queries.settings import ROOMS
from workers.errors import UserError

ROOT = Path(__file__).parents[3]

CACHE = str(ROOT / ".mypy_cache")
"""What `make types` has cached of libraries and of the rooms, which are the same in a copy."""

LONGEST = "abandoned-wish-list-remind-now"

PRICE_DROP = Registration("registry.py", "SHIPPED", "journeys.price_drop.story", "PriceDrop")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what a journey needs, to be changed at will."""
    for room in (*ROOMS, "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "histories", "integration", "acceptance", "unit")
        shutil.copytree(ROOT / room, tmp_path / room, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """As much of a clone as the files are written into."""
    (tmp_path / "journeys").mkdir()
    shutil.copy(ROOT / "journeys" / "registry.py", tmp_path / "journeys")
    (tmp_path / "tests" / "journeys").mkdir(parents=True)
    return tmp_path


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A module of Python in this folder, on the code that lies there."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made(name: str, folder: Path, package: Path | None = None) -> str:
    return create_journey(name, ["journeys"], package=package, folder=folder)


@pytest.mark.timeout(500)
def test_new_journeys_pass_the_linter_the_type_checker_and_their_own_tests_at_once(clone: Path) -> None:
    told = run("cli.main", "new", "journey", "price-drop", folder=clone)
    own = run("cli.main", "new", "journey", "back-in-stock", "--package", "shop", folder=clone)
    assert (told.returncode, own.returncode) == (0, 0), told.stderr + own.stderr

    new = ["journeys", "shop", "tests/journeys/test_price_drop.py", "tests/journeys/test_back_in_stock.py"]
    checks = [
        run("ruff", "check", *new, folder=clone),
        run("ruff", "format", "--check", *new, folder=clone),
        run("mypy", "--strict", "--cache-dir", CACHE, "-p", "journeys", "-p", "shop", folder=clone),
        run("pytest", "-q", "-p", "no:cacheprovider", *new[2:], folder=clone),
    ]
    assert [(done.returncode, done.stdout) for done in checks if done.returncode] == []
    assert "4 passed" in checks[-1].stdout
    graph = run("cli.main", "graph", "price-drop", folder=clone)
    assert "price_drop_note" in graph.stdout


def test_what_is_printed_names_every_file_and_three_next_steps(tree: Path) -> None:
    before = everything(tree)
    told = made("price-drop", tree)

    new = {path.relative_to(tree).as_posix() for path in everything(tree).keys() - before.keys()}
    assert new == {
        line.strip() for line in told.splitlines() if line.startswith("  ") and "." not in line[:4]
    }
    assert [line[:4] for line in told.splitlines()[-3:]] == ["  1.", "  2.", "  3."]
    assert "python -m pytest tests/journeys/test_price_drop.py" in told
    assert "waypost graph price-drop" in told


def test_snake_case_and_kebab_case_name_the_same_journey() -> None:
    assert parse_name("price_drop") == parse_name("price-drop")
    assert (parse_name("price-drop").kebab, parse_name("price-drop").class_name) == (
        "price-drop",
        "PriceDrop",
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PriceDrop", "try price-drop"),
        ("price drop", "try price-drop"),
        ("price--drop", "try price-drop"),
        ("-price", "try price"),
        ("2-days-later", "each word begins with a letter"),
        ("../escape", "try escape"),
        ("", "such as price-drop"),
        ("class", "add a word, such as class-reminder"),
        ("a-b-test", "give each word two letters or more"),
        ("a" * 31, "30 are the most"),
        ("item", "add a word, such as item-reminder"),
        ("win-back", "registered: cart-abandonment, double-opt-in, post-purchase, win-back"),
        ("journey-registry", "Choose another name"),
    ],
)
def test_a_bad_name_is_refused_with_what_to_do_and_nothing_is_written(
    name: str, hint: str, tree: Path
) -> None:
    before = everything(tree)
    with pytest.raises(UserError) as refused:
        made(name, tree)

    assert hint in str(refused.value)
    assert everything(tree) == before


@pytest.mark.parametrize(
    "there",
    [
        "journeys/price_drop/notes.txt",
        "journeys/price_drop.py",
        "journeys/other/price_drop_note/message.toml",
        "tests/journeys/test_price_drop.py",
    ],
)
def test_a_file_that_is_there_is_never_overwritten(there: str, tree: Path) -> None:
    path = tree / there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    before = everything(tree)
    with pytest.raises(UserError, match="there is already"):
        made("price-drop", tree)

    assert everything(tree) == before


def test_what_was_begun_is_taken_away_where_it_cannot_be_finished(tree: Path) -> None:
    (tree / "tests" / "journeys").rmdir()
    (tree / "tests" / "journeys").write_text("a file where a folder belongs")
    before = everything(tree)
    with pytest.raises(UserError, match="Nothing was left behind"):
        made("price-drop", tree)

    assert everything(tree) == before
    assert not (tree / "journeys" / "price_drop").exists()


def test_outside_a_clone_a_package_of_ones_own_is_proposed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="waypost new journey price-drop --package shop"):
        made("price-drop", tmp_path)


def test_a_package_outside_the_clone_gets_layouts_fixtures_and_a_test_and_says_how_it_is_found(
    tmp_path: Path,
) -> None:
    first = made("price-drop", tmp_path, Path("shop"))
    second = made("back-in-stock", tmp_path, Path("shop"))

    assert "WAYPOST_JOURNEYS=journeys,shop" in first
    assert f"PYTHONPATH={tmp_path}" in second
    assert "python -m pytest tests/test_back_in_stock.py" in second
    assert (tmp_path / "tests" / "test_price_drop.py").is_file()
    assert 'pytest_plugins = ["authoring.testing.plugin"]' in (tmp_path / "conftest.py").read_text()
    assert (tmp_path / "shop" / "layouts" / "letter.mjml").is_file()
    assert "JOURNEYS = (PriceDrop, BackInStock)" in (tmp_path / "shop" / "__init__.py").read_text()


def test_a_conftest_of_the_users_own_stays_as_it_is_and_the_line_it_needs_is_told(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("collect_ignore = []\n")
    told = made("price-drop", tmp_path, Path("shop"))

    assert (tmp_path / "conftest.py").read_text() == "collect_ignore = []\n"
    assert "with pytest_plugins = ['authoring.testing.plugin'] in conftest.py" in told


@pytest.mark.timeout(300)
def test_a_journey_in_a_folder_of_the_users_own_passes_its_test_there(tmp_path: Path) -> None:
    made("price-drop", tmp_path, Path("shop"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("package", ["my-shop", "json", "policy"])
def test_a_package_that_cannot_be_imported_or_hides_another_is_refused(package: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="try shop"):
        made("price-drop", tmp_path, Path(package))

    assert everything(tmp_path) == {}


def test_the_longest_name_still_makes_files_that_the_formatter_leaves_alone(tmp_path: Path) -> None:
    name = parse_name(LONGEST)
    assert len(LONGEST) == 30
    texts = [
        render_journey_files(name)["story.py"],
        render_test(name, "journeys"),
        render_test(name, "shop"),
        render_conftest(),
    ]
    for number, text in enumerate(texts):
        (tmp_path / f"made_{number}.py").write_text(text)
    config = str(ROOT / "pyproject.toml")

    for check in (["format", "--check"], ["check", "--ignore", "I,S"]):
        done = run("ruff", *check, "--config", config, str(tmp_path), folder=tmp_path)
        assert done.returncode == 0, done.stdout


def test_registering_changes_two_lines_and_twice_is_as_good_as_once() -> None:
    text = (ROOT / "journeys" / "registry.py").read_text("utf-8")
    once = PRICE_DROP.add_to(text)

    added = [line for line in once.splitlines() if line not in text.splitlines()]
    assert added == [
        "from journeys.price_drop.story import PriceDrop",
        next(line for line in text.splitlines() if line.startswith("SHIPPED"))[:-1] + ", PriceDrop)",
    ]
    assert PRICE_DROP.add_to(once) == once


def test_a_list_over_several_lines_keeps_its_comments_and_the_file_its_line_ends() -> None:
    text = "from journeys.a.story import A\r\n\r\nSHIPPED = (\r\n    A,  # the first\r\n    # B,\r\n)\r\n"

    assert PRICE_DROP.add_to(text) == (
        "from journeys.a.story import A\r\nfrom journeys.price_drop.story import PriceDrop\r\n\r\n"
        "SHIPPED = (\r\n    A,  # the first\r\n    # B,\r\n    PriceDrop,\r\n)\r\n"
    )


def test_a_list_that_grows_too_long_for_its_line_gets_a_line_for_each_class() -> None:
    names = [f"AJourneyWithALongName{letter}" for letter in "ABCD"]
    added = PRICE_DROP.add_to(f"SHIPPED = ({', '.join(names)})\n")

    assert added == (
        "from journeys.price_drop.story import PriceDrop\nSHIPPED = (\n"
        + "".join(f"    {name},\n" for name in [*names, "PriceDrop"])
        + ")\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("JOURNEYS = ()\n", "it has no SHIPPED"),
        ("SHIPPED = (A,)\nSHIPPED = (B,)\n", "it sets SHIPPED 2 times"),
        ("SHIPPED = found()\n", "no tuple or list that is written out"),
        ("SHIPPED = A, B\n", "no brackets around it"),
        ("SHIPPED = (\n    A,\n    B)\n", "not a bracket alone"),
        ("SHIPPED = (\n    A,\n    B\n)\n", "no comma after it"),
        ("SHIPPED = (A,\n", "it cannot be parsed"),
    ],
)
def test_a_registry_that_does_not_look_as_expected_is_left_alone(text: str, said: str, tree: Path) -> None:
    registry = tree / "journeys" / "registry.py"
    registry.write_text(text)
    before = everything(tree)
    with pytest.raises(UserError) as refused:
        made("price-drop", tree)

    assert said in str(refused.value)
    assert "Put it back into this form" in str(refused.value)
    assert everything(tree) == before
