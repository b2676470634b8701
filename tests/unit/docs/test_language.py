"""Check docs, docstrings, comments, command help and error texts against a list of banned words.

The standard terms are in docs/reference/glossary.md. Not checked: code in backticks, identifiers, console
output, and texts for customers (message templates and pages are not Python).
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.docs import ROOT, blocks_of
from tests.support.queries.settings import ROOMS

_INSTEAD_OF_A_VERB = "name the event, payload, message or declaration"

BANNED = {
    r"nobody(?:['’]s)?": "no profile, no operator, not …; for an identifier: quarantined",
    r"(?:some|any)body(?:['’]s)?": "name the role: a profile, a customer, an operator, a sender",
    r"who(?:m)?ever": "every profile that, any sender that",
    r"whose": "of which, with, or a sentence of its own",
    r"(?:to|of|for|from|with|by) who": "name the role",
    r"told": _INSTEAD_OF_A_VERB,
    r"heard": _INSTEAD_OF_A_VERB,
    r"said": _INSTEAD_OF_A_VERB,
    r"by now": "now, or the current …",
    r"(?<!\")for good": 'permanently (the policy\'s value "for good" stays)',
    r"an? (?:no|yes)(?= |[.,;:)]|$)(?! (?:longer|more|one|op|such))": "a withdrawal, a grant",
    r"sittings?": "group commit, batch",
    r"doorbells?": "outbox listener",
    r"(?<!in )(?<!in-)flights?": "batch; messages in flight",
    r"ditch(?:es|ed)?": "fail the batch",
}
"""Pattern → what to write instead. Matched as whole words, in any case."""

_PATTERNS = [
    (re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE), advice) for words, advice in BANNED.items()
]

_MARKDOWN_CODE = re.compile(
    r"^ *```.*?^ *```$|``[^`]*``|`[^`\n]*`|\]\([^)\n]*\)|<[^>\n]*>", re.MULTILINE | re.DOTALL
)

_PYTHON_CODE = re.compile(r"``[^`]*``|`[^`\n]*`")

_DIRECTIVE = re.compile(r"#\s*(?:noqa|type:|fmt:|ruff:|pragma)")

_TEXT_ARGUMENTS = ("help", "short_help", "epilog", "description", "summary", "detail")

_ERRORS = ("Error", "Exception", "Fault", "Problem", "Refused")


@dataclass(frozen=True, slots=True)
class Finding:
    """A banned word in a text."""

    place: str
    word: str
    advice: str

    def __str__(self) -> str:
        return f"{self.place}: '{self.word}'; write instead: {self.advice}"


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that a reader of the code or of the documents sees, and the line where it starts."""

    line: int
    text: str


def findings_in(place: str, passages: Iterator[Passage]) -> list[Finding]:
    """All banned words of a file's passages, with their lines."""
    return [
        Finding(f"{place}:{passage.line + passage.text[: found.start()].count(chr(10))}", found[0], advice)
        for passage in passages
        for pattern, advice in _PATTERNS
        for found in pattern.finditer(passage.text)
    ]


def without(code: re.Pattern[str], text: str) -> str:
    """The text with code replaced by blanks of the same number of lines."""
    return code.sub(lambda found: "\n" * found[0].count("\n") or " ", text)


def passages_of_python(source: str) -> Iterator[Passage]:
    """Docstrings (also of attributes), comments, texts of the command and the API, and error messages."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not _DIRECTIVE.match(token.string):
            yield Passage(token.start[0], without(_PYTHON_CODE, token.string))
    texts: dict[int, ast.Constant] = {}
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as text):
                texts[id(text)] = text
            case ast.Raise(exc=ast.expr() as raised):
                texts.update(_strings_in(raised))
            case ast.Call(func=called) if _name_of(called).endswith(_ERRORS):
                texts.update(_strings_in(node))
            case ast.keyword(arg=name, value=value) if name in _TEXT_ARGUMENTS:
                texts.update(_strings_in(value))
    for text in texts.values():
        yield Passage(text.lineno, without(_PYTHON_CODE, str(text.value)))


def passages_of_markdown(text: str) -> Iterator[Passage]:
    """The prose of a document."""
    yield Passage(1, without(_MARKDOWN_CODE, text))


def _strings_in(node: ast.expr) -> dict[int, ast.Constant]:
    return {
        id(each): each
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def _name_of(called: ast.expr) -> str:
    match called:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def files() -> list[Path]:
    """All files that are checked."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    modules = [file for name in ROOMS for file in sorted((ROOT / name).rglob("*.py"))]
    return [*(page for page in pages if page.exists()), *modules]


def findings_of(file: Path) -> list[Finding]:
    """All banned words of one file; of a page also those in its Python examples."""
    place, text = file.relative_to(ROOT).as_posix(), file.read_text("utf-8")
    if file.suffix == ".py":
        return findings_in(place, passages_of_python(text))
    examples = [block for block in blocks_of(file) if block.language == "python"]
    return findings_in(place, passages_of_markdown(text)) + [
        finding
        for block in examples
        for finding in findings_in(block.place, passages_of_python(_parsable(block.text)))
    ]


def _parsable(example: str) -> str:
    """An example as a module: the body of a story stands outside of a function in the documents."""
    return "async def example():\n" + "".join(f"    {line}" for line in example.splitlines(keepends=True))


def test_no_banned_word_is_in_the_documents_or_in_the_code() -> None:
    found = [str(finding) for file in files() for finding in findings_of(file)]

    assert found == [], "\n".join(["", *found])


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("What is nobody's is left alone.", "nobody's"),
        ("Somebody asks to be reminded.", "Somebody"),
        ("It is sent to anybody.", "anybody"),
        ("Locks the row for whoever comes first.", "whoever"),
        ("Decides whose the event is.", "whose"),
        ("An SMS goes to who did not see the mail.", "to who"),
        ("The run is told of it.", "told"),
        ("Several cases are heard together.", "heard"),
        ("The word that was said last stands.", "said"),
        ("The id that it has by now.", "by now"),
        ("The run is parked for good.", "for good"),
        ("A no needs no proof.", "A no"),
        ("It takes a yes.", "a yes"),
        ("Sixteen cases in one sitting.", "sitting"),
        ("Waits for the doorbell.", "doorbell"),
        ("Boards the next flight.", "flight"),
        ("A batch that is ditched.", "ditched"),
    ],
)
def test_a_planted_sentence_is_found_in_every_kind_of_text(sentence: str, word: str) -> None:
    texts = {
        "docstring": f'"""Do it.\n\n{sentence}\n"""',
        "attribute": f'class A:\n    b: int\n    """{sentence}"""',
        "comment": f"a = 1\n# {sentence}",
        "help": f'a = Option(help="{sentence}")',
        "error": f'raise ValueError(f"{{a}}: {sentence}")',
        "fault": f'a = UserError("{sentence}")',
    }
    found = {kind: findings_in("a.py", passages_of_python(text)) for kind, text in texts.items()}
    found["page"] = findings_in("a.md", passages_of_markdown(f"# Page\n\n{sentence}\n"))

    assert {kind: [finding.word for finding in each] for kind, each in found.items()} == {
        kind: [word] for kind in found
    }


@pytest.mark.parametrize(
    "sentence",
    [
        "`told` is the name of a column, and ``heard`` of another.",
        "Messages in flight at a purchase.",
        "Besides, it is untold_rows that counts, for goods of any kind.",
        "The recipients, who have agreed, are known by nowcast.",
        "A no-op, and a no longer used field.",
    ],
)
def test_code_and_other_words_are_not_found(sentence: str) -> None:
    assert findings_in("a.py", passages_of_python(f"# {sentence}")) == []
    assert findings_in("a.md", passages_of_markdown(sentence)) == []


def test_console_output_and_code_of_a_page_are_not_prose() -> None:
    page = (
        "Prose.\n\n```console\n$ waypost why\nnobody told us\n```\n\n[link](nobody.md)\n\n    It was said.\n"
    )

    assert [str(finding) for finding in findings_in("a.md", passages_of_markdown(page))] == [
        f"a.md:10: 'said'; write instead: {_INSTEAD_OF_A_VERB}"
    ]


def test_a_plain_string_is_not_an_error_text() -> None:
    source = 'name = "told"\nraise Refused("nobody is named")\n'

    assert [finding.word for finding in findings_in("a.py", passages_of_python(source))] == ["nobody"]
