"""The documents against the code: what they name exists, and what exists is named."""

import ast
import json
import re
import shlex
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main

import journeys.vocabulary
from activities.content.template import ExtraValue, Manifest
from api.app import create_app
from api.settings import ApiSettings
from cli.main import app
from journeys.vocabulary import Journey
from policy.verdict import Reason
from profiles import events
from tests.support.docs import DOCUMENTS, ROOT, WORDS, blocks, blocks_of, commands, prose
from tests.support.queries.settings import ROOMS

FOUR_HEADINGS = ("Problem", "Mechanism", "Guarantee", "Test")
"""Of each protocol in docs/explanation/architecture.md."""

_CODE = re.compile(r"`([^`\n]+)`")

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def named(document: Path) -> list[str]:
    """Everything a document sets as code in its prose."""
    return _CODE.findall(prose(document))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_and_image_leads_somewhere(document: Path) -> None:
    for link in _LINK.findall(prose(document)):
        if "://" in link:
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path).resolve() if path else document

        assert target.exists(), f"{document.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", prose(target), re.MULTILINE)
            assert anchor in {anchor_of(heading) for heading in headings}, f"{document.name}: {link}"


def anchor_of(heading: str) -> str:
    """The anchor that a heading gets on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_subcommand_and_option_that_is_named_exists(document: Path) -> None:
    group = typer.main.get_command(app)

    def options(command: object) -> set[str]:
        nested = getattr(command, "commands", {}).values()
        own = {option for each in command.params for option in each.opts}  # type: ignore[attr-defined]
        return own.union(*map(options, nested))

    known = {name: options(command) for name, command in group.commands.items()}  # type: ignore[attr-defined]
    lines = [words.split() for words in named(document) if words.startswith("waypost ")]
    lines += [list(line.words) for line in commands("waypost") if line.place.startswith(relative(document))]
    for line in lines:
        assert line[1] in known, f"{document.name}: {' '.join(line)}"
        assert {word for word in line[2:] if word.startswith("--")} <= known[line[1]], " ".join(line)


def test_every_subcommand_is_named_somewhere() -> None:
    text = "".join(document.read_text("utf-8") for document in DOCUMENTS)
    missing = [
        name
        for name in typer.main.get_command(app).commands  # type: ignore[attr-defined]
        if not re.search(rf"waypost {name}\b|make {name}\b", text)
    ]

    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    asked = [shlex.split(line)[1:] for line in named(document) if line.startswith("make ")]
    asked += [list(line.words[1:]) for line in commands("make") if line.place.startswith(relative(document))]

    assert {word for words in asked for word in words if "=" not in word} <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_is_named_exists(document: Path) -> None:
    makes = {block.mark.partition("=")[2] for block in blocks_of(document) if block.mark.startswith("file=")}
    for words in named(document):
        if words not in makes and re.fullmatch(rf"(?:{'|'.join(ROOMS)}|tests|docs)/[\w./-]*", words):
            assert (ROOT / words).exists(), f"{document.name}: {words}"


_DEFINED_IN = re.compile(rf"`([A-Za-z_]\w*)`\s+(?:in|of)\s+`((?:{'|'.join(ROOMS)}|tests)/[\w/]+\.py)`")


def undefined(text: str) -> list[tuple[str, str]]:
    """(name, file) of each "`name` in `file.py`", or "of", where the file does not define the name."""
    return [
        (name, path) for name, path in _DEFINED_IN.findall(text) if name not in _defined_names(ROOT / path)
    ]


def _defined_names(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_name_that_is_said_to_be_in_a_file_is_defined_there(document: Path) -> None:
    assert undefined(prose(document)) == []


def test_names_in_files_are_found_in_the_documents() -> None:
    assert sum(len(_DEFINED_IN.findall(prose(document))) for document in DOCUMENTS) > 5


def test_a_planted_name_that_its_file_does_not_define_is_found() -> None:
    text = (
        "`decide` in `policy/gate.py`, `CHECKS` of\n`policy/gate.py`, but `open_until` in `policy/gate.py`."
    )

    assert undefined(text) == [("open_until", "policy/gate.py")]


def test_every_test_that_is_named_exists() -> None:
    said = {words for document in DOCUMENTS for words in named(document) if words.startswith("test_")}
    written = {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert said
    assert said - written == set()


def test_every_protocol_has_the_same_four_headings_and_names_a_test() -> None:
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    chapter = text[text.index("\n## Protocols\n") : text.index("\n## Design decisions\n")]
    protocols = re.split(r"^### ", chapter, flags=re.MULTILINE)[1:]

    assert len(protocols) > 10
    for protocol in protocols:
        name, _, body = protocol.partition("\n")
        assert re.findall(r"^\*\*(\w+)\.\*\* ", body, re.MULTILINE) == list(FOUR_HEADINGS), name
        assert re.search(r"^\*\*Test\.\*\* `test_", body, re.MULTILINE), name


def test_every_test_of_an_invariant_is_listed_under_its_number_and_the_table_names_one() -> None:
    listed = (ROOT / "docs" / "reference" / "invariant-tests.md").read_text("utf-8")
    chapters = dict(re.findall(r"^## (\d)\. .*\n((?:(?!## ).*\n)*)", listed, re.MULTILINE))
    table = dict(
        re.findall(
            r"^\| (\d) \| .* \| `(test_\w+)` \|$",
            (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8"),
            re.MULTILINE,
        )
    )
    numbered = [
        (number, name)
        for file in (ROOT / "tests").rglob("test_*.py")
        for name, number in re.findall(r"def (test_invariant_(\d)_\w+)", file.read_text("utf-8"))
    ]

    assert numbered
    # One that is missing: add it to docs/reference/invariant-tests.md.
    assert [name for number, name in numbered if f"* `{name}`" not in chapters[number]] == []
    assert sorted(table) == sorted(chapters) == [str(number) for number in range(1, 10)]
    assert {
        number: name in _CODE.findall(chapters[number]) for number, name in table.items()
    } == dict.fromkeys(table, True)


@cache
def served_paths() -> dict[str, dict[str, object]]:
    """Path → method → operation, of the OpenAPI document."""
    settings = ApiSettings(waypost_local=True, database_url="postgresql://u:p@h/d")
    paths: dict[str, dict[str, object]] = create_app(settings).openapi()["paths"]
    return paths


def test_every_route_that_is_named_exists() -> None:
    paths = served_paths()
    routes = {
        (method.upper(), re.sub(r"\{[^}]*\}", "{}", path))
        for path, methods in paths.items()
        for method in methods
    }
    asked = re.compile(r"(GET|POST|PUT|DELETE) (/[\w/{}.-]*)")
    for document in DOCUMENTS:
        for method, path in asked.findall(" ".join(named(document))):
            if path != "/docs":
                assert (method, re.sub(r"\{[^}]*\}", "{}", path)) in routes, (
                    f"{document.name}: {method} {path}"
                )


def test_what_the_documents_say_is_not_there_yet_is_not_there() -> None:
    paths = served_paths()
    come = [
        *(path for path in paths if path.startswith("/webhooks") or path.endswith("/export")),
        *(path for path, methods in paths.items() if "delete" in methods and "/profiles/" in path),
    ]

    # What has come: take it out of "Not implemented" in docs/how-to/deploy.md, the README's limits and the
    # changelog, and describe it.
    assert come == []


def test_the_demos_output_in_the_readme_has_the_lines_the_demo_prints() -> None:
    [line] = [line for line in commands("make") if line.words[1] == "demo"]
    table = (ROOT / "local" / "demo" / "console.py").read_text("utf-8")
    names = re.findall(r"^  (\S.*?)  +[\d,]+ ", line.answer, re.MULTILINE)

    assert len(names) > 10
    for name in names:
        assert name.removesuffix(" sent").split(" of ")[0] in table, f"the demo has no line {name!r} any more"


def test_the_readme_shows_the_cart_journey_byte_for_byte() -> None:
    story = (ROOT / "journeys" / "cart_abandonment" / "story.py").read_text("utf-8")
    [block] = blocks("python", "journey")

    assert block.text == story[story.index("@journey(") :]
    assert len(block.text.splitlines()) <= 25


def test_every_word_of_the_vocabulary_has_a_page_which_the_authors_guide_links() -> None:
    guide = (ROOT / "docs" / "reference" / "journeys.md").read_text("utf-8")
    pages: dict[str, set[Path]] = {}
    for text, page in re.findall(r"\[((?:`\w+`(?:, )?)+)\]\((words/\w+\.md)\)", guide):
        for word in _CODE.findall(text):
            pages.setdefault(word, set()).add(ROOT / "docs" / "reference" / page)
    methods = {name for name in dir(Journey) if not name.startswith("_")} - {"definition", "run", "story"}

    # One that is missing: write docs/reference/words/<word>.md, or a line about it on a page of its kind, and
    # link it.
    assert {*journeys.vocabulary.__all__, *methods} - set(pages) == set()
    for word, found in pages.items():
        assert any(re.search(rf"\b{word}\b", page.read_text("utf-8")) for page in found), word


def test_every_field_of_a_message_is_in_the_authors_guide() -> None:
    guide = (ROOT / "docs" / "reference" / "journeys.md").read_text("utf-8")
    table = guide[guide.index("| in `message.toml` |") :].split("\n\n")[0]
    fields = {field.alias or name for name, field in Manifest.model_fields.items()}

    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == fields
    assert all(f"`{name}`" in table for name in ExtraValue.model_fields)


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (document.parent / unquote(link).partition("#")[0]).resolve()
        for document in DOCUMENTS
        for link in _LINK.findall(prose(document))
        if "://" not in link and not link.startswith("#")
    }

    assert set(DOCUMENTS) - linked - {ROOT / "README.md"} == set()


def test_a_page_about_a_word_is_short_and_says_what_it_costs_and_what_an_operator_sees() -> None:
    for page in WORDS:
        text = page.read_text("utf-8")

        assert len(prose(page).splitlines()) <= 60, page.name
        assert "**In Temporal UI**" in text, page.name
        assert re.search(r"\*\*Costs\*\*", text), page.name
        assert "## Mistakes" in text, page.name


def test_every_event_that_is_understood_is_in_the_senders_guide() -> None:
    guide = (ROOT / "docs" / "reference" / "events.md").read_text("utf-8")
    kinds = [
        kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)
    ]

    assert {kind.event_name for kind in kinds if kind.event_name not in guide} == set()


def test_reasons_that_are_named_belong_to_the_closed_list() -> None:
    said = {
        reason
        for document in DOCUMENTS
        for reason in re.findall(r"withheld as `(\w+)`|withheld: (\w+)`", prose(document))
    }
    named = {each for pair in said for each in pair if each}

    assert named
    assert named <= {reason.value for reason in Reason}


def test_pictures_are_small_and_each_is_taken_by_the_script() -> None:
    script = (ROOT / "docs" / "screenshots.py").read_text("utf-8")
    for picture in sorted((ROOT / "docs" / "images").iterdir()):
        assert picture.stat().st_size < 300_000, picture.name
        assert picture.name in script or re.sub(r"\d+", "{width}", picture.name) in script, picture.name


def test_answers_in_the_documents_are_json() -> None:
    for line in commands("curl"):
        assert isinstance(json.loads(line.answer), dict), line.place


def test_no_document_names_a_place_on_one_machine() -> None:
    for document in DOCUMENTS:
        assert not re.search(r"/(home|root|work|tmp|Users)/", document.read_text("utf-8")), document.name


def test_the_licence_is_the_one_the_package_declares() -> None:
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert "Apache License\n" in (ROOT / "LICENSE").read_text("utf-8")


def relative(document: Path) -> str:
    return str(document.relative_to(ROOT))
