"""``waypost runs`` on a real database."""

import json

import pytest

from profiles.db.database import Database
from profiles.db.sql import new_id
from tests.support.environments.command import call_waypost
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness, RoutedJourney

WISHES = RoutedJourney(name="wishes")


async def two_stuck(database: Database) -> tuple[IngestHarness, dict[str, str]]:
    """One stuck run of each journey, by its name."""
    facts = IngestHarness(database, CARTS, WISHES)
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email="ada@example.com")
    runs = {run["journey"]: str(run["run_id"]) for run in await facts.runs()}
    await facts.rows("UPDATE run SET state = 'stuck', detail = 'refused', stuck_at = '2026-11-30 10:15Z'")
    return facts, runs


async def states(facts: IngestHarness) -> dict[str, str]:
    """The state of each journey's run."""
    return {row["journey"]: row["state"] for row in await facts.rows("SELECT journey, state FROM run")}


async def test_stuck_runs_are_listed(database: Database, database_url: str) -> None:
    empty = call_waypost("runs", "stuck", DATABASE_URL=database_url)
    _, runs = await two_stuck(database)
    table = call_waypost("runs", "stuck", DATABASE_URL=database_url).stdout
    listed = json.loads(call_waypost("runs", "stuck", "--json", DATABASE_URL=database_url).stdout)

    assert empty.stdout == "No run is stuck.\n"
    assert runs["carts"] in table
    assert "2026-11-30 10:15:00+00:00" in table
    assert "refused" in table
    assert {run["run_id"] for run in listed["runs"]} == set(runs.values())


async def test_one_run_is_retried_by_its_id_and_again_without_harm(
    database: Database, database_url: str
) -> None:
    facts, runs = await two_stuck(database)
    words = ("runs", "retry", runs["carts"], "--reason", "namespace created")
    first, again = (call_waypost(*words, DATABASE_URL=database_url) for _ in range(2))

    assert first.exit_code == again.exit_code == 0
    assert first.stdout.startswith("1 run is delivered to again")
    assert again.stdout == "No such run is stuck; nothing was changed.\n"
    assert await states(facts) == {"carts": "running", "wishes": "stuck"}
    [log] = await facts.rows("SELECT * FROM run_log")
    assert (log["done"], log["reason"]) == ("retried", "namespace created")
    assert log["actor"].startswith("command")


async def test_all_runs_are_retried_or_all_of_a_journey(database: Database, database_url: str) -> None:
    facts, runs = await two_stuck(database)
    words = ("runs", "retry", "--all", "--reason", "mended", "--json")
    some = call_waypost(*words, "--journey", "wishes", DATABASE_URL=database_url)
    after_some = await states(facts)
    rest = call_waypost(*words, DATABASE_URL=database_url)

    assert json.loads(some.stdout) == {"retried": [runs["wishes"]], "not_stuck": []}
    assert after_some == {"carts": "stuck", "wishes": "running"}
    assert json.loads(rest.stdout) == {"retried": [runs["carts"]], "not_stuck": []}
    assert await states(facts) == {"carts": "running", "wishes": "running"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "name one run"),
        (("--journey", "carts"), "name one run"),
        ((str(new_id()), "--all"), "name one run"),
        (("seven",), "'seven' is no run id"),
        ((str(new_id()),), "there is no run"),
    ],
)
async def test_what_names_no_run_is_refused(
    database: Database, database_url: str, words: tuple[str, ...], says: str
) -> None:
    answer = call_waypost("runs", "retry", *words, "--reason", "x", DATABASE_URL=database_url)

    assert answer.exit_code == 1
    assert says in answer.stderr


async def test_a_retry_needs_a_reason(database_url: str) -> None:
    assert call_waypost("runs", "retry", "--all", DATABASE_URL=database_url).exit_code == 2
