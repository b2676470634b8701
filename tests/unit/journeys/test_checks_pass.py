"""What is not certainly wrong is left alone: no false alarm, and no code that stops the reading."""

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from journeys.checks.messages import TemplateCatalog
from journeys.checks.run import faults_in, faults_of, message_faults_of
from journeys.registry import SHIPPED, discover_journeys, load_journeys
from journeys.source.reader import Function, JourneySource, ModuleSource
from journeys.vocabulary import Journey
from profiles.events import Event
from tests.replay import changed_journeys
from tests.support.docs import blocks
from tests.support.environments.command import call_waypost
from tests.support.journeys import small
from workers.startup import build_catalog, load_checked_journeys

WRITTEN = [
    kind
    for module in (small, changed_journeys)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Journey) and "definition" in vars(kind)
]

PRELUDE = "from typing import Any\nfrom journeys.vocabulary import *\nfrom profiles.events import *\n\n\n"

EXCERPTS = [block for block in blocks("python") if block.mark in ("story", "declare")]

UNRELATED = (
    *("argparse", "ast", "asyncio.base_events", "asyncio.tasks", "configparser", "contextlib", "csv"),
    *("dataclasses", "difflib", "email.message", "enum", "fractions", "http.client", "inspect", "ipaddress"),
    *("logging.handlers", "mailbox", "pathlib", "random", "smtplib", "tarfile", "typing", "unittest.mock"),
)
"""Modules of the standard library: code that was not written to be read as a story."""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to import from; what was imported and declared there is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before, known = set(sys.modules), dict(Event.registry)
    yield tmp_path
    Event.registry.clear()
    Event.registry.update(known)
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def faults_of_all(module: str, *, catalog: TemplateCatalog) -> list[str]:
    reading = discover_journeys([module])
    found = [*reading.faults]
    for definition in reading.journeys.values():
        found += message_faults_of(definition, catalog)
    return [str(fault) for fault in found]


def test_the_shipped_journeys_and_their_messages_load() -> None:
    found = load_checked_journeys(["journeys"])

    assert set(found.journeys) == {cls.definition.name for cls in SHIPPED}
    assert "cart_reminder" in found.templates


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.__name__)
def test_a_journey_of_the_tests_has_no_fault(kind: type[Journey]) -> None:
    assert faults_of(kind.definition) == []


@pytest.mark.parametrize("block", EXCERPTS, ids=lambda block: block.place)
def test_an_example_of_the_documents_has_no_fault(block: object, shelf: Path) -> None:
    text, mark, line = block.text, block.mark, block.line  # type: ignore[attr-defined]
    name = f"excerpt_{line}"
    if mark == "story":
        head = '@journey(starts_on=ProductAdded, keyed_by="cart_id")\nclass Excerpt(Journey):\n'
        body = textwrap.indent(text, " " * 8)
        text = f"{head}    async def run(self, entry: ProductAdded) -> Any:\n{body}        return None\n"
    else:
        text = re.sub(r"^journey\(", "@journey(", text, flags=re.MULTILINE)
        text += (
            "class Excerpt(Journey):\n    async def run(self, entry: Any) -> str:\n        return 'done'\n"
        )
    (shelf / f"{name}.py").write_text(f"{PRELUDE}{text}\n\nJOURNEYS = (Excerpt,)\n", "utf-8")

    shipped = [definition.folder for definition in load_journeys().values()]
    assert faults_of_all(name, catalog=build_catalog(shipped, complete=False)) == []


def test_a_new_journey_has_no_fault(shelf: Path) -> None:
    made = call_waypost("new", "journey", "lamp-checks", "--package", "stall", folder=shelf)

    assert made.exit_code == 0, made.stderr
    assert "lamp-checks" in load_checked_journeys(["journeys", "stall"]).journeys


@pytest.mark.parametrize("module", UNRELATED)
def test_code_that_was_never_meant_to_be_a_story_is_read_without_a_stumble(module: str) -> None:
    found = importlib.import_module(module)
    tree = ast.parse(inspect.getsource(found))
    source = ModuleSource(module, f"{module}.py", tree, vars(found))
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]

    assert functions
    for function in functions:
        function.name = "run"
        alone = ast.ClassDef("Any", [], [], [function], [], lineno=1)
        # A check that stumbles warns, and warnings are errors here.
        faults_in(JourneySource(small.Watch.definition, source, alone))


ODD = """
class Odd:
    @property
    def __class__(self):
        raise RuntimeError("do not look at me")


ODD = Odd()


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Looks(Journey):
    async def run(self, entry: ProductAdded) -> str:
        await self.sleep(ODD)
        return self.experiment("offer")


JOURNEYS = (Looks,)
"""


def test_a_check_that_stumbles_warns_and_the_others_go_on(shelf: Path) -> None:
    (shelf / "odd_story.py").write_text(PRELUDE + ODD, "utf-8")

    with pytest.warns(RuntimeWarning, match="a check of looks was skipped: .*do not look at me"):
        reading = discover_journeys(["odd_story"])
    assert ["self.experiment has no arm" in fault.message for fault in reading.faults] == [True]
