"""The documents do what they say: requests are sent, the journey runs, every piece of Python type-checks."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from api.app import create_app
from api.settings import ApiSettings
from journeys.registry import load
from profiles.events import Event
from tests.documents import ROOT, Block, Command, blocks, commands
from tests.waypost import Waypost
from workers.stack.temporal import TemporalDevServer

ADDRESS = "http://127.0.0.1:8000"

PRELUDE = """
from journeys.vocabulary import *
from profiles.events import *

"""
"""What every excerpt of docs/journeys.md may name."""

_VARYING = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")


def request_of(command: Command) -> dict[str, Any]:
    """A curl line as a request; an option this does not know is an error, so that none goes untested."""
    request: dict[str, Any] = {"method": "GET", "headers": {}}
    words = iter(command.words[1:])
    for word in words:
        match word:
            case "-d":
                request["content"] = next(words)
                request["method"] = "POST" if request["method"] == "GET" else request["method"]
            case "-u":
                request["auth"] = tuple(next(words).split(":", 1))
            case "-H":
                name, _, value = next(words).partition(":")
                request["headers"][name] = value.strip()
            case "-X":
                request["method"] = next(words)
            case _ if word.startswith(ADDRESS):
                request["url"] = word
            case _:
                raise ValueError(f"{command.place}: {word!r} is no option that is understood here")
    return request


def told(answer: str) -> Any:
    """An answer without what differs every time: ids of ours, and instants."""
    return json.loads(_VARYING.sub("*", answer))


def holds(said: Any, real: Any) -> bool:
    """Whether an excerpt is true: its fields are among the real ones, its lists are whole."""
    match said, real:
        case dict(), dict():
            return all(name in real and holds(value, real[name]) for name, value in said.items())
        case list(), list():
            return len(said) == len(real) and all(map(holds, said, real))
    return bool(said == real)


async def test_every_curl_line_in_the_documents_gets_the_answer_that_stands_below_it(
    database_url: str,
) -> None:
    lines = commands("curl")
    assert lines
    app = create_app(
        ApiSettings(database_url=database_url, waypost_local=True, temporal_address="127.0.0.1:1")
    )
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport) as client:
            for line in lines:
                answer = await client.request(**request_of(line))

                said, real = told(line.answer), told(answer.text)
                assert holds(said, real) if line.excerpt else said == real, f"{line.place}: {answer.text}"


@pytest.fixture
def shop_of_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The package that docs/journeys.md writes, importable; forgotten afterwards."""
    for language in ("python", "toml", "xml"):
        for block in blocks(language, "file"):
            file = tmp_path / block.mark.partition("=")[2]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, "utf-8")
    shutil.copytree(ROOT / "journeys" / "layouts", tmp_path / "shop" / "layouts")
    monkeypatch.syspath_prepend(str(tmp_path))
    declared = dict(Event.by_name)
    yield "shop"
    Event.by_name.clear()
    Event.by_name.update(declared)
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]


async def test_the_journey_of_the_documents_runs_and_falls_silent_at_a_purchase(
    shop_of_the_documents: str, database_url: str, temporal: TemporalDevServer
) -> None:
    journeys = load([shop_of_the_documents]).classes
    yes = {"consents": {"email": True}}
    price = {"product_id": "lamp", "name": "Aria lamp", "price": 29.0}
    async with Waypost(database_url, temporal.client, journeys=journeys) as waypost:
        await waypost.happens("Watched Price Dropped", price, traits=yes, email="ada@example.com")
        await waypost.happens(
            "Watched Price Dropped", price | {"price": 3.0}, traits=yes, email="grace@example.com"
        )
        run = await waypost.run("price-drop")
        await waypost.passes(run, timedelta(hours=1))
        receipt = {"order_id": "r-1", "products": [{"product_id": "lamp"}]}
        await waypost.happens("Order Completed", receipt, email="ada@example.com")

        assert (await waypost.result(run)).outcome == "bought"
        assert [(m["template"], m["status"], m["items"]) for m in await waypost.messages()] == [
            ("price_dropped", "sent", ["lamp"])
        ]
        [mail] = await waypost.mailbox()
        assert mail["subject"] == "Aria lamp costs less now"
        assert len(await waypost.rows("SELECT 1 FROM run")) == 1


@pytest.mark.timeout(400)
def test_every_piece_of_python_in_the_documents_passes_mypy_strict(tmp_path: Path) -> None:
    # The journey in the README is a part of a file that is checked as it is.
    pieces = [block for block in blocks("python") if not block.mark.startswith(("file=", "journey"))]
    assert pieces
    for number, block in enumerate(pieces):
        (tmp_path / f"piece_{number}.py").write_text(as_module(block), "utf-8")
    for block in blocks("python", "file"):
        file = tmp_path / block.mark.partition("=")[2]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, "utf-8")

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "pyproject.toml", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
    )

    places = {f"piece_{number}.py": block.place for number, block in enumerate(pieces)}
    assert checked.returncode == 0, f"{checked.stdout}\n{places}"


def as_module(block: Block) -> str:
    """A block as a file of its own, with the line of the document it comes from."""
    match block.mark:
        case "story":
            body = textwrap.indent(block.text, " " * 8)
            return (
                f"# {block.place}\n{PRELUDE}from typing import Any\n\n\n"
                "class Excerpt(Journey):\n"
                f"    async def run(self, entry: ProductAdded) -> Any:\n{body}        return None\n"
            )
        case "declare":
            return f"# {block.place}\n{PRELUDE}\n{block.text}"
        case "":
            return f"# {block.place}\n{block.text}"
    raise ValueError(f"{block.place}: python blocks are marked story, declare, file=… or nothing")


def test_the_addresses_in_the_curl_lines_are_those_of_a_local_stack() -> None:
    hosts = {urlsplit(request_of(line)["url"]).netloc for line in commands("curl")}

    assert hosts == {"127.0.0.1:8000"}


def test_the_screenshots_say_what_to_install_where_there_is_no_browser(tmp_path: Path) -> None:
    tried = subprocess.run(
        [sys.executable, "docs/screenshots.py"],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert tried.returncode == 1
    assert tried.stderr.strip() == "no Chromium to take pictures with: apt-get install chromium"
