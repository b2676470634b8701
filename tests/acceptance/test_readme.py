"""The documents do what they say: requests are sent, the journey runs, every piece of Python type-checks."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from api.app import create_app
from api.settings import ApiSettings
from tests.support.docs import (
    DOCUMENTS,
    ROOT,
    STORY,
    TEST,
    WORDS_AND_EVENTS,
    WRONG,
    Block,
    DocumentCommand,
    blocks,
    commands,
    marked,
    write,
)

ADDRESS = "http://127.0.0.1:8000"

_VARYING = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")


def request_of(command: DocumentCommand) -> dict[str, Any]:
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


@pytest.mark.timeout(400)
def test_every_piece_of_python_in_the_documents_passes_mypy_strict(tmp_path: Path) -> None:
    # The journey in the README is a part of a file that is checked as it is; a mistake is one on purpose.
    told = ("journey", STORY, TEST, WRONG)
    # So are the tests of a file that a reader is to write: they import it by a name it does not have here.
    pieces = [block for block in blocks("python") if not block.mark.startswith(("file=tests/", *told))]
    assert pieces
    for number, block in enumerate(pieces):
        (tmp_path / f"piece_{number}.py").write_text(as_module(block), "utf-8")
    for document in DOCUMENTS:
        if marked(document, STORY):
            write(document, tmp_path)

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
                f"# {block.place}\n{WORDS_AND_EVENTS}from typing import Any\n\n\n"
                "class Excerpt(Journey):\n"
                f"    async def run(self, entry: ProductAdded) -> Any:\n{body}        return None\n"
            )
        case mark if mark in ("", "fails") or mark.startswith("file="):
            return f"# {block.place}\n{block.text}"
    raise ValueError(
        f"{block.place}: python blocks are marked story, word, test, wrong, fails, file=… or nothing"
    )


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
