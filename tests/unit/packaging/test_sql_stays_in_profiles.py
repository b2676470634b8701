"""Only ``profiles`` holds SQL: the other rooms call its functions, so that one room knows the tables."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docs import ROOT
from tests.support.queries.settings import ROOMS

ALLOWED = {
    "local.demo": "the demo's summary counts rows of the local stack that it has filled itself",
    "authoring.testing": "the testing kit shows authors what their stories left behind",
    "local.postgres": "makes databases on the embedded server, before there is any table",
    "journeys.vocabulary.segment": "an author's query is SQL, and the error shows an example of one",
}
"""Module or package → why it may hold statements."""

_WORDS = (
    r"^\s*(BEGIN|COMMIT|ROLLBACK)\s*;?\s*$",
    r"\bINSERT\s+INTO\s+\w",
    r"\bDELETE\s+FROM\s+\w",
    r"\bUPDATE\s+\w+(\s+\w+)?\s+SET\s+\w",
    r"\b(CREATE|DROP|ALTER)\s+(UNIQUE\s+)?(TABLE|INDEX|DATABASE|ROLE|VIEW|FUNCTION|SCHEMA)\s+\w",
    r"^\s*(WITH\s+\w+\s+AS\s*\(|TRUNCATE\s+\w|LISTEN\s+\w|NOTIFY\s+\w|LOCK\s+TABLE\b|SHOW\s+\w+\s*$)",
    r"^\s*(GRANT|REVOKE)\s+\w+(,\s*\w+)*\s+ON\b",
    r"\bSELECT\s+(\d|\*|\$\d|[\w.]+\s*[(,]|EXISTS\b|DISTINCT\b|CASE\b|[^;]+?\sFROM\s)",
    r"^\s*SELECT\s+\w+\s*$",
)

_STATEMENT = re.compile("|".join((*_WORDS, *(word.lower() for word in _WORDS))))
"""In capitals or in small letters; with a capital at the beginning alone it is a sentence."""

_EXECUTES = {
    *("execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval", "exec_driver_sql"),
    *("scalar", "scalars"),
}

_LIBRARIES = ("sqlalchemy", "sqlmodel", "alembic")


def leaks(text: str) -> list[tuple[int, str]]:
    """Line and kind of everything in a module that is SQL or runs it; docstrings are no statements."""
    tree = ast.parse(text)
    passed_over: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as document):
                passed_over.add(id(document))
            case ast.JoinedStr(values=parts):
                passed_over |= {id(part) for part in parts}
    nodes = [node for node in ast.walk(tree) if id(node) not in passed_over]
    return sorted(leak for node in nodes for leak in _found(node))


def _found(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Constant(value=str(text)) if _STATEMENT.search(text):
            yield node.lineno, f"SQL: {' '.join(text.split())[:60]}"
        case ast.JoinedStr(values=parts):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "_" for part in parts)
            if _STATEMENT.search(text):
                yield node.lineno, f"SQL: {' '.join(text.split())[:60]}"
        case ast.Call(func=ast.Attribute(attr=name)) if name in _EXECUTES:
            yield node.lineno, f"runs a statement: .{name}(…)"
        case ast.Import(names=names):
            for alias in names:
                if _is_library(alias.name):
                    yield node.lineno, f"imports {alias.name}"
        case ast.ImportFrom(module=str(module)) if _is_library(module):
            yield node.lineno, f"imports from {module}"


def _is_library(module: str) -> bool:
    # Its errors are caught where an outage is told from a fault.
    return module.partition(".")[0] in _LIBRARIES and module != "sqlalchemy.exc"


def modules() -> dict[str, Path]:
    """Modules of the product outside ``profiles``."""
    rooms = sorted(set(ROOMS) - {"profiles"})
    files = [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}


def allowed(module: str) -> str | None:
    """The entry of ``ALLOWED`` that a module falls under."""
    return next((name for name in ALLOWED if f"{module}.".startswith(f"{name}.")), None)


def test_no_other_room_holds_a_statement() -> None:
    found = {module: leaks(path.read_text("utf-8")) for module, path in modules().items()}

    assert len(found) > 100
    # Move the statement into profiles, beside what it is about, and call it by a function's name.
    assert {module: lines for module, lines in found.items() if lines and not allowed(module)} == {}
    assert {allowed(module) for module, lines in found.items() if lines} == set(ALLOWED)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        pytest.param('Q = "SELECT state FROM run WHERE run_id = $1"', "SQL", id="a query"),
        pytest.param('Q = """\n  select count(*) from event\n"""', "SQL", id="in small letters, over lines"),
        pytest.param('Q = "SELECT now()"', "SQL", id="a function of the database"),
        pytest.param('Q = f"SELECT {column} FROM run"', "SQL", id="put together"),
        pytest.param("Q = \"UPDATE run SET state = 'ended'\"", "SQL", id="an update"),
        pytest.param('Q = "INSERT INTO outbox (lane) VALUES ($1)"', "SQL", id="an insert"),
        pytest.param('Q = "DELETE FROM sandbox_audience"', "SQL", id="a delete"),
        pytest.param('Q = "WITH held AS (VALUES (1)) TABLE held"', "SQL", id="a common table expression"),
        pytest.param('Q = "LISTEN waypost_outbox"', "SQL", id="a listener"),
        pytest.param('Q = "create database shop"', "SQL", id="a database"),
        pytest.param("row = await connection.fetchrow(query)", "runs a statement", id="a query run"),
        pytest.param("connection.execute(query)", "runs a statement", id="a statement run"),
        pytest.param("from sqlalchemy import text", "imports", id="SQL by another library"),
        pytest.param("import sqlmodel", "imports", id="tables by another library"),
    ],
)
def test_a_statement_is_found(line: str, kind: str) -> None:
    [(_, found)] = leaks(f"async def work():\n    {line}\n" if "await" in line else line)

    assert found.startswith(kind)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('"""SELECT is what authors write."""', id="a docstring"),
        pytest.param('HELP = "Select a journey from the list, and update its settings"', id="prose"),
        pytest.param('HELP = "Show the policy in force"', id="a help text"),
        pytest.param("from sqlalchemy.exc import SQLAlchemyError", id="an error to catch"),
        pytest.param("await workflow.execute_activity(name)", id="an activity"),
    ],
)
def test_what_is_no_statement_is_passed_over(line: str) -> None:
    assert leaks(f"async def work():\n    {line}\n" if "await" in line else line) == []
