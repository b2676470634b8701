"""The project's documents as the tests read them: fenced blocks, commands and what they answer, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
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
class Command:
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


def commands(program: str) -> list[Command]:
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


def commands_of(block: Block) -> Iterator[Command]:
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
                yield Command(
                    block.place, tuple(words), "".join(lines[end:]).strip(), block.mark == "excerpt"
                )
                break
        else:
            raise ValueError(f"{block.place}: the quotation in {lines[0].strip()!r} never ends")
