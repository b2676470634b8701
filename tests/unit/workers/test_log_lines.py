"""Log lines of a process: no variables, no addresses, bounded, whatever was raised and by whom."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

CANARIES = ("zephyrine", "okonkwo", "canary.example", "15198765432", "c2VjcmV0", "canary-key")
"""In lower case, parts of a customer's data and of a key."""

PROCESS = """
import asyncio, gc, logging, sys, threading, warnings
import asyncpg, structlog
from pydantic import BaseModel
from workers.process import configure_logging

configure_logging(local=sys.argv[1] == "local", level="DEBUG")
log = structlog.get_logger("workers.test")
EMAIL, PHONE, NAME = "zephyrine.okonkwo@canary.example", "+4915198765432", "Zephyrine Okonkwo"
KEY = "Basic Y2FuYXJ5LWtleTpjMlZqY21WMA=="

class Order(BaseModel):
    quantity: int

def raises(error):
    secret, body = EMAIL, KEY + NAME * 100_000
    raise error

def caught(make):
    try:
        make()
    except Exception as error:
        return error

def postgres(kind, message, **more):
    error = kind(message)
    for name, value in more.items():
        setattr(error, name, value)
    raise error

def recursion(depth):
    return recursion(depth - 1) if depth else raises(ValueError(NAME))

def caused():
    try:
        raises(KeyError(EMAIL))
    except KeyError as error:
        raise RuntimeError(NAME) from error

cases = [
    lambda: raises(ValueError(f"{NAME} lives here")),
    lambda: Order(quantity=NAME),
    lambda: postgres(asyncpg.DataError, f'invalid input syntax: "{NAME}"', sqlstate="22P02", detail=NAME),
    lambda: postgres(asyncpg.UniqueViolationError, "duplicate", detail=EMAIL, sqlstate="23505"),
    lambda: postgres(asyncpg.TooManyConnectionsError, "too many clients", sqlstate="53300", detail=NAME),
    lambda: raises(ConnectionResetError(NAME)),
    lambda: raises(UnicodeDecodeError("utf-8", NAME.encode(), 0, 1, NAME)),
    lambda: raises(ExceptionGroup(NAME, [ValueError(NAME), KeyError(EMAIL)])),
    lambda: recursion(500),
    caused,
]
for case in cases:
    try:
        case()
    except Exception as error:
        log.error("own", exc_info=error)
        logging.getLogger("third.party").exception("of a library: %s", EMAIL)
log.info("values", address=EMAIL, header=KEY, url="postgresql://u:canary-key@db/x")
log.info("nested", far={"a": [PHONE, {"b": EMAIL}]})
log.info("encoded", address="zephyrine.okonkwo%2540canary.example", wide="zephyrine＠canary.example")
log.info("long", **{f"v{n}": "x" * 100_000 for n in range(40)})
log.warning("masked", value="z…@shop.example")
log.info("an error as value", error=caught(cases[0]))
log.debug("debug of our own")
logging.getLogger("third.party").debug("canary-key at debug")
logging.getLogger("sqlalchemy.engine").info("SELECT $1 [%s]", NAME)
logging.getLogger("third.party").info("%d", NAME)
warnings.warn(f"{NAME} is deprecated")

class Broken:
    def __del__(self):
        raise ValueError(NAME)

Broken()
thread = threading.Thread(target=lambda: raises(ValueError(NAME)))
thread.start(); thread.join()

async def forgotten():
    task = asyncio.create_task(fails())
    await asyncio.sleep(0.01)
    del task
    gc.collect()

async def fails():
    raises(ValueError(f"{NAME} in a task"))

asyncio.run(forgotten())
raises(ValueError(NAME))
"""


def output_of(kind: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", PROCESS, kind],
        capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"}, timeout=60,
    )  # fmt: skip
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.fixture(scope="module")
def production() -> str:
    return output_of("production")


@pytest.fixture(scope="module")
def lines(production: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in production.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def local() -> str:
    return output_of("local")


@pytest.mark.parametrize("kind", ["production", "local"])
def test_no_value_of_a_customer_and_no_key_is_in_a_line(kind: str, request: pytest.FixtureRequest) -> None:
    output = str(request.getfixturevalue(kind))

    assert "process_failed" in output, "the process did not come to its end"
    assert [canary for canary in CANARIES if canary.lower() in output.lower()] == []


def test_every_line_is_bounded_and_json(production: str, lines: list[dict[str, Any]]) -> None:
    others = [line for line in production.splitlines() if not line.startswith("{")]

    assert max(map(len, production.splitlines())) <= 8 * 1024
    assert [line for line in others if "could not be written: TypeError" not in line] == []
    assert len(others) == 1


def test_an_error_has_its_type_and_the_places_in_the_code(lines: list[dict[str, Any]]) -> None:
    own = [line for line in lines if line["event"] == "own"]
    told = [(line["exception"][0]["exc_type"], line["exception"][0]["exc_value"]) for line in own]

    assert told == [
        ("ValueError", ""),
        ("ValidationError", "1 fault of Order: int_parsing"),
        ("DataError", "SQLSTATE 22P02"),
        ("UniqueViolationError", "SQLSTATE 23505"),
        ("TooManyConnectionsError", "SQLSTATE 53300 too many clients"),
        ("ConnectionResetError", ""),
        ("UnicodeDecodeError", ""),
        ("ExceptionGroup", "2 errors: ValueError, KeyError"),
        ("ValueError", ""),
        ("RuntimeError", ""),
    ]
    assert [frame["name"] for frame in own[0]["exception"][0]["frames"]] == ["<module>", "<lambda>", "raises"]
    assert own[0]["exception"][0]["frames"][-1].keys() == {"filename", "lineno", "name"}
    assert len(own[8]["exception"][0]["frames"]) == 12
    assert own[8]["exception"][0]["outer_frames_left_out"] > 400
    assert [entry["exc_type"] for entry in own[9]["exception"]] == ["RuntimeError", "KeyError"]


def test_errors_that_nothing_handles_have_the_same_form(lines: list[dict[str, Any]]) -> None:
    events = {line["event"]: line for line in lines}

    assert events["process_failed"]["exception"][0]["exc_type"] == "ValueError"
    assert events["thread_failed"]["exception"][0]["exc_type"] == "ValueError"
    assert events["error_in_destructor"]["error"] == "ValueError"
    assert events["python_warning"]["category"] == "UserWarning"
    assert events["Task exception was never retrieved"]["exception"][0]["exc_type"] == "ValueError"
    assert "debug of our own" in events
    assert events["masked"]["value"] == "z…@shop.example"


def test_text_on_a_local_stack_shows_frames_a_line_each(local: str) -> None:
    assert "ValidationError: 1 fault of Order: int_parsing" in local
    assert len(local) < 100_000
