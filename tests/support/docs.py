"""The project's documents as the tests read them: fenced blocks, commands and what they answer, links."""

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from profiles import events

ROOT = Path(__file__).parents[2]

DOCUMENTS = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)

WORDS = tuple(sorted((ROOT / "docs" / "reference" / "words").glob("*.md")))
"""One page a word of the vocabulary."""

_FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. The word after the language says what a test does with it."""

    document: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands, as an editor wants it."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True, slots=True)
class DocumentCommand:
    """One command of a console block, and what the document says it answers."""

    place: str
    words: tuple[str, ...]
    answer: str
    excerpt: bool = False
    """The block is marked so: the real answer says more."""


def blocks(language: str, mark: str | None = None) -> list[Block]:
    """All fenced blocks of a language, in every document; of one mark where it is given."""
    return [
        block
        for document in DOCUMENTS
        for block in _blocks_of(document)
        if block.language == language and (mark is None or block.mark.split("=")[0] == mark)
    ]


def commands(program: str) -> list[DocumentCommand]:
    """Every command in the console blocks that starts this program, in order.

    Not those of blocks marked ``live``: they need a stack that runs.
    """
    return [
        command
        for block in blocks("console")
        if block.mark != "live"
        for command in commands_of(block)
        if command.words[0] == program
    ]


def blocks_of(document: Path) -> list[Block]:
    """All fenced blocks of one document, in order."""
    return list(_blocks_of(document))


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return _FENCE.sub("", document.read_text("utf-8"))


def _blocks_of(document: Path) -> Iterator[Block]:
    text = document.read_text("utf-8")
    for found in _FENCE.finditer(text):
        language, _, mark = found[1].strip().partition(" ")
        yield Block(document, text[: found.start()].count("\n") + 1, language, mark, found[2])


def commands_of(block: Block) -> Iterator[DocumentCommand]:
    """The commands of one console block, in order."""
    for told in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = told.splitlines(keepends=True)
        # A command goes on over lines while a quotation is open, and after a backslash.
        for end in range(1, len(lines) + 1):
            text = "".join(lines[:end])
            try:
                words = shlex.split(text.replace("\\\n", " "))
            except ValueError:
                continue
            if not text.endswith("\\\n"):
                yield DocumentCommand(
                    block.place, tuple(words), "".join(lines[end:]).strip(), block.mark == "excerpt"
                )
                break
        else:
            raise ValueError(f"{block.place}: the quotation in {lines[0].strip()!r} never ends")


_EVENTS = sorted(
    name
    for name, each in vars(events).items()
    if isinstance(each, type) and each.__module__ == events.__name__
)

WORDS_AND_EVENTS = f"""
import asyncio
from datetime import *
from temporalio import activity, workflow
from journeys.vocabulary import *
from profiles.events import {", ".join(_EVENTS)}
"""
"""What an excerpt may name without importing it."""

_SHIPPED = tuple(
    file.parent for file in (ROOT / "journeys").glob("*/*/message.toml") if "layouts" not in file.parts
)

STORY, TEST, WRONG = "word", "test", "wrong"
"""Marks of Python blocks: a journey's file, tests that tell it, and a mistake, with its error below it."""


def marked(document: Path, mark: str) -> list[Block]:
    """Python blocks of a document with this mark."""
    return [block for block in blocks_of(document) if (block.language, block.mark) == ("python", mark)]


def telling_in(document: Path) -> list[str]:
    """Names of the tests that a document tells its journey by."""
    return [
        node.name
        for block in marked(document, TEST)
        for node in ast.parse(block.text).body
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name.startswith("test_")
    ]


def mistakes(document: Path) -> list[tuple[Block, Block]]:
    """Each mistake of a document, and the error it shows below."""
    found = blocks_of(document)
    return [(one, found[place + 1]) for place, one in enumerate(found) if one.mark == WRONG]


def package_of(document: Path) -> str:
    """The name of the package that a document's examples are written into."""
    return document.stem.replace("-", "_")


def write(document: Path, folder: Path) -> str:
    """Write a document's journey and its tests below ``folder``; returns the module of the journey.

    Shipped messages that the story names lie beside it, as an author's own would.
    """
    home = folder / "told" / package_of(document)
    home.mkdir(parents=True)
    for package in (home.parent, home):
        (package / "__init__.py").touch()
    story = "\n\n".join(block.text for block in marked(document, STORY))
    (home / "story.py").write_text(story, "utf-8")
    module = f"told.{package_of(document)}.story"
    tests = [
        WORDS_AND_EVENTS,
        f"from authoring.testing import Shop, Shopper, TellingFault\nfrom {module} import *\n",
        *(block.text for block in marked(document, TEST)),
    ]
    (home / "tests.py").write_text("\n\n".join(tests), "utf-8")
    layouts = folder / "told" / "layouts"
    if not layouts.exists():
        shutil.copytree(ROOT / "journeys" / "layouts", layouts)
    for message in _SHIPPED:
        if f'"{message.name}"' in story:
            shutil.copytree(message, home / message.name)
    return module


def write_mistake(block: Block, folder: Path) -> str:
    """Write a mistake as a module; returns its name. The body of a ``run`` gets a journey around it."""
    name = f"mistake_{package_of(block.document)}_{block.line}"
    classes = [
        node.name for node in ast.walk(ast.parse(f"async def _():\n{_indented(block.text, 4)}"))
        if isinstance(node, ast.ClassDef) and node.decorator_list
    ]  # fmt: skip
    if classes or block.text.startswith(("class ", "Segment(")):
        text = f"{block.text}\n\nJOURNEYS = ({''.join(f'{each}, ' for each in classes)})\n"
    else:
        text = (
            '@journey(starts_on=ProductAdded, keyed_by="cart_id")\nclass Excerpt(Journey):\n'
            "    async def run(self, entry: ProductAdded) -> str:\n"
            f'{_indented(block.text, 8)}\n        return "done"\n\n\nJOURNEYS = (Excerpt,)\n'
        )
    (folder / f"{name}.py").write_text(f"{WORDS_AND_EVENTS}\n\n{text}", "utf-8")
    return name


def _indented(text: str, by: int) -> str:
    return "\n".join(f"{' ' * by}{line}" if line else line for line in text.splitlines())
