"""The pages about the words say the truth: each example is loaded and told, each mistake refused as shown."""

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from journeys.checks.checking import message_faults_of
from journeys.checks.fault import JourneyError
from journeys.registry import load, read
from journeys.vocabulary import Journey
from profiles.events import Event
from tests.documents import ROOT, WORDS, Block
from tests.told import STORY, marked, mistakes, telling_in, write, write_mistake
from workers.loading import catalog_of
from workers.testing import Shop

DOCUMENTS = (*WORDS, ROOT / "docs" / "temporal.md", ROOT / "docs" / "testing.md")
TELLING = [document for document in DOCUMENTS if marked(document, STORY)]
TESTS = [(document, name) for document in TELLING for name in telling_in(document)]
MISTAKES = [pair for document in DOCUMENTS for pair in mistakes(document)]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules can be imported; what they declared is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    declared, loaded = dict(Event.by_name), set(sys.modules)
    yield tmp_path
    Event.by_name.clear()
    Event.by_name.update(declared)
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
    told = getattr(importlib.import_module(f"told.{document.stem}.tests"), name)
    parts = inspect.signature(told).parameters
    given = {"shop": shop} | ({"shopper": await shop.shopper()} if "shopper" in parts else {})

    await told(**{part: given[part] for part in parts})


@pytest.mark.parametrize("document", TELLING, ids=lambda document: document.stem)
def test_every_example_may_be_registered(document: Path, library: Path) -> None:
    module = write(document, library)
    story = importlib.import_module(module)
    if not hasattr(story, "JOURNEYS"):
        classes = [each for each in vars(story).values() if getattr(each, "__module__", "") == module]
        story.JOURNEYS = tuple(
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
    found = read([module])
    folders = [definition.folder for definition in load().values()]
    catalog = catalog_of([*folders, *found.folders], complete=True)
    more = [fault for each in found.journeys.values() for fault in message_faults_of(each, catalog)]
    return [fault.message for fault in JourneyError([*found.faults, *more]).faults]
