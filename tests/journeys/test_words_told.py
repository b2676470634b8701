"""The pages about the words say the truth: each example is loaded and told, each mistake refused as shown."""

import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from authoring.preview.main import collect_result, format_result
from authoring.preview.runner import load_scenario
from authoring.testing import Shop
from journeys.checks.errors import JourneyError
from journeys.checks.run import message_faults_of
from journeys.registry import discover_journeys, load_journeys
from journeys.vocabulary import Journey
from profiles.events import Event
from tests.support.docs import (
    ROOT,
    STORY,
    WORDS,
    Block,
    blocks_of,
    marked,
    mistakes,
    package_of,
    telling_in,
    write,
    write_mistake,
)
from workers.startup import build_catalog

TESTING = ROOT / "docs" / "how-to" / "test-a-journey.md"
DOCUMENTS = (*WORDS, ROOT / "docs" / "explanation" / "temporal.md", TESTING)
TELLING = [document for document in DOCUMENTS if marked(document, STORY)]
TESTS = [(document, name) for document in TELLING for name in telling_in(document)]
MISTAKES = [pair for document in DOCUMENTS for pair in mistakes(document)]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules can be imported; what they declared is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    declared, loaded = dict(Event.registry), set(sys.modules)
    yield tmp_path
    Event.registry.clear()
    Event.registry.update(declared)
    for name in set(sys.modules) - loaded:
        if name.split(".")[0] == "told" or name.startswith("mistake_"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("document", "name"), TESTS, ids=[f"{document.stem}-{name}" for document, name in TESTS]
)
async def test_what_a_page_tells_is_so(document: Path, name: str, library: Path, shop: Shop) -> None:
    story = importlib.import_module(write(document, library))
    journeys = [
        each
        for each in vars(story).values()
        if inspect.isclass(each) and issubclass(each, Journey) and each.__module__ == story.__name__
    ]
    shop(journeys=journeys)
    told = getattr(importlib.import_module(f"told.{package_of(document)}.tests"), name)
    parts = inspect.signature(told).parameters
    given = {"shop": shop} | ({"shopper": await shop.shopper()} if "shopper" in parts else {})

    answer = told(**{part: given[part] for part in parts})
    if inspect.isawaitable(answer):
        await answer


@pytest.mark.parametrize("document", TELLING, ids=lambda document: document.stem)
def test_every_example_may_be_registered(document: Path, library: Path) -> None:
    module = write(document, library)
    story = importlib.import_module(module)
    if not hasattr(story, "JOURNEYS"):
        classes = [each for each in vars(story).values() if getattr(each, "__module__", "") == module]
        vars(story)["JOURNEYS"] = tuple(
            each for each in classes if inspect.isclass(each) and issubclass(each, Journey)
        )

    assert telling_in(document), f"{document.name} has an example and no test that tells it"
    assert faults_in(module) == []


@pytest.mark.parametrize(
    ("mistake", "error"), MISTAKES, ids=[f"{one.document.stem}-{one.line}" for one, _ in MISTAKES]
)
def test_a_mistake_is_refused_in_the_words_that_stand_below_it(
    mistake: Block, error: Block, library: Path
) -> None:
    said, shown = faults_in(write_mistake(mistake, library)), error.text.splitlines()

    assert len(shown) == len(said), said
    for line, real in zip(shown, said, strict=True):
        # A long list of what there is may be cut short.
        assert real.startswith(line.removesuffix(" …")) if line.endswith(" …") else real == line


def faults_in(module: str) -> list[str]:
    """What Waypost says of a module's journeys, in the order of the code."""
    found = discover_journeys([module])
    folders = [definition.folder for definition in load_journeys().values()]
    catalog = build_catalog([*folders, *found.folders], complete=True)
    more = [fault for each in found.journeys.values() for fault in message_faults_of(each, catalog)]
    return [fault.message for fault in JourneyError([*found.faults, *more]).faults]


def test_a_failure_looks_as_the_page_shows(tmp_path: Path, postgres: str) -> None:
    [failing] = [block for block in blocks_of(TESTING) if block.mark == "fails"]
    (tmp_path / "test_shown.py").write_text(failing.text, "utf-8")
    plugins = ("-p", "authoring.testing.plugin", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "test_shown.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "DATABASE_URL": postgres},
        capture_output=True,
        text=True,
        check=False,
    )

    shown = below(failing)
    assert done.returncode == 1
    assert shown in done.stdout


async def test_a_scenario_of_the_page_is_told(tmp_path: Path, shop: Shop) -> None:
    [scenario] = [block for block in blocks_of(TESTING) if block.mark == "scenario"]
    (tmp_path / "tokyo.yaml").write_text(scenario.text, "utf-8")
    name = "cart-abandonment"
    await load_scenario(tmp_path / "tokyo.yaml", load_journeys(), name)(shop)

    told = format_result(collect_result(shop, name, "tokyo.yaml", None))
    assert "cart-abandonment ended as bought; received: cart_reminder (email)" in told


def below(block: Block) -> str:
    """The text that follows a block."""
    found = blocks_of(block.document)
    return found[found.index(block) + 1].text
