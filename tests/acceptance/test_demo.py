"""The demo and the replay of a file, for real: a whole stack, and every number checked against the others."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from local.demo.summary import (
    Summary,
    count_promoted_after_purchase,
    count_promoted_during_ticket,
    find_broken_promises,
)
from local.stack import LocalStack
from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.state.event_records import IncomingEvent
from tests.support.deadlines import scaled

REES46 = Path(__file__).parents[3] / "shared" / "data" / "rees46_2019-10-01_first_2h50.csv.gz"

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
ROWS = (
    "2019-10-01 00:00:00 UTC,view,1001,2103,,shiseido,35.79,42,s-1",
    "2019-10-01 00:00:05 UTC,cart,1001,2103,,shiseido,35.79,42,s-1",
    "2019-10-01 00:00:09 UTC,cart,1002,2103,,,3.50,43,s-2",
    "2019-10-01 00:01:00 UTC,purchase,1001,2103,,shiseido,35.79,42,s-1",
)

ANY_PORTS = {"API_PORT": "0", "TEMPORAL_PORT": "0", "TEMPORAL_UI_PORT": "0", "POSTGRES_PORT": "0"}


def waypost(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    paths = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200", "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=scaled(280),
        check=False,
    )


@pytest.mark.timeout(300)
def test_the_demo_keeps_its_promises(tmp_path: Path) -> None:
    done = waypost("demo", "--json", "--shoppers", "100", folder=tmp_path, **ANY_PORTS)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)

    runs = {journey: sum(outcomes.values()) for journey, outcomes in told["runs"].items()}
    assert told["broken_promises"] == []
    assert told["bought_items_promoted_after_purchase"] == 0
    assert sorted(runs) == ["cart-abandonment", "post-purchase", "win-back"]
    assert told["temporal"] == {"Completed": sum(runs.values())}
    assert told["runs"]["cart-abandonment"]["bought"] > 0
    assert sum(told["messages"]["email"].values()) > sum(told["messages"]["sms"].values()) > 0
    templates = {
        "cart_reminder",
        "cart_news",
        "order_confirmation",
        "review_request",
        "we_miss_you",
        "goodbye",
    }
    assert templates <= told["messages"]["email"].keys()
    assert told["respelled"] > 20
    assert told["promoted_while_a_ticket_was_open"] == 0
    assert told["silence"]["audience_joined"] > 0
    assert told["silence"]["audience_left_over"] == 0
    assert told["shop"]["merged"] > 0
    assert told["shop"]["lapsed_by_rhythm"] > 0
    assert told["patience"]["cheaper"] >= told["patience"]["told"] > 0
    assert told["patience"]["held"] >= told["patience"]["held_and_sent"] > 0
    assert told["patience"]["withheld_sold_out"] + told["patience"]["shrunk_sold_out"] > 0
    assert told["patience"]["reviews_asked"] > 0
    assert told["experiments"].keys() == {"win-back-incentive"}
    assert told["links"] == {}
    assert sum(told["events"].values()) > 400
    assert not (tmp_path / ".waypost" / "demo" / "stack.json").exists()


@pytest.mark.parametrize(
    ("bought", "during_a_ticket", "words"),
    [
        (0, 0, []),
        (2, 0, ["2 bought items were promoted after purchase"]),
        (0, 1, ["1 promotions went out while a support ticket was open"]),
    ],
)
def test_the_demo_says_which_promise_it_broke(bought: int, during_a_ticket: int, words: list[str]) -> None:
    summary = Summary(
        shoppers=9,
        seed=7,
        seconds=1,
        events={},
        shop={},
        runs={"win-back": {"sunset": 1}},
        temporal={"Completed": 1},
        messages={},
        statuses={},
        withheld={},
        silence={"unknown": 0, "audience_left_over": 0},
        patience={},
        experiments={},
        bought_items_promoted_after_purchase=bought,
        promoted_while_a_ticket_was_open=during_a_ticket,
        example=None,
        seconds_by_part={},
    )

    assert find_broken_promises(summary) == words


@pytest.mark.parametrize(
    ("bought_first", "template", "found"),
    [
        (True, "promotes", 1),
        (False, "promotes", 0),
        (True, "promotes nothing", 0),
    ],
)
async def test_the_demo_would_notice_a_promotion_after_the_purchase(
    database: Database, bought_first: bool, template: str, found: int
) -> None:
    profile_id, now = new_id(), datetime.now(UTC)
    decided = now + timedelta(minutes=1 if bought_first else -1)
    checks = [{"name": "items", "detail": "promotes nothing" if template == "promotes nothing" else "1 left"}]
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO suppression (profile_id, event_id, line, item, reason, recorded_at) "
            "VALUES ($1, $2, 0, 'lamp', 'purchased', $3)",
            profile_id, new_id(), now,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO decision (decision_id, message_id, profile_id, run_id, step, journey, channel, "
            "template, verdict, detail, checks, items, items_removed, at, recorded_at) "
            "VALUES ($1, $2, $3, $4, 's', 'j', 'email', 't', 'allow', '', $5, '{lamp}', '{}', $6, $6)",
            new_id(), new_id(), profile_id, new_id(), json.dumps(checks), decided,
        )  # fmt: skip

    assert await count_promoted_after_purchase(database) == found


@pytest.mark.parametrize(
    ("what", "clock", "committed", "message_class", "found"),
    [
        ("between opening and solving", 2, 2, "marketing", 1),
        ("before the ticket", -1, -1, "marketing", 0),
        ("once it was solved", 5, 5, "marketing", 0),
        ("of an order, so that it need not wait", 2, 2, "transactional", 0),
        ("by a clock ahead of the ticket that nobody knew of yet", 2, -1, "marketing", 0),
        ("by a clock behind the solving that was known", 3, 5, "marketing", 0),
    ],
)
async def test_the_demo_would_notice_a_promotion_while_a_ticket_is_open(
    database: Database, what: str, clock: int, committed: int, message_class: str, found: int
) -> None:
    now, run_id, message_id = datetime.now(UTC), new_id(), new_id()
    told = [("Ticket Opened", "t-1", 0), ("Ticket Solved", "t-1", 4), ("Ticket Solved", "t-2", 1)]
    ingest = Ingest(database, (), IngestConfig(local=True))
    await ingest(
        [
            IncomingEvent(
                source="support",
                id=f"{name} {ticket}",
                type=name,
                channel="support",
                time=now + timedelta(hours=hour),
                identifiers=(("user_id", "7"),),
                properties={"ticket_id": ticket},
            )
            for name, ticket, hour in told
        ]
    )
    decided, recorded = now + timedelta(hours=clock), now + timedelta(hours=committed)
    async with database.transaction() as connection:
        await connection.execute("UPDATE event SET recorded_at = at")
        profile_id = await connection.fetchval("SELECT profile_id FROM profile")
        await connection.execute(
            "INSERT INTO message (message_id, profile_id, run_id, step, journey, channel, template, "
            "message_class, items, status, decided_at) "
            "VALUES ($1, $2, $3, 's', 'j', 'email', 't', $4, '{}', 'sent', $5)",
            message_id, profile_id, run_id, message_class, decided,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO decision (decision_id, message_id, profile_id, run_id, step, journey, channel, "
            "template, verdict, detail, checks, items, items_removed, at, recorded_at) "
            "VALUES ($1, $2, $3, $4, 's', 'j', 'email', 't', 'allow', '', '[]', '{}', '{}', $5, $6)",
            new_id(), message_id, profile_id, run_id, decided, recorded,
        )  # fmt: skip

    assert await count_promoted_during_ticket(database) == found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """A stack whose API answers; nothing is delivered, so a started run stays where it can be counted."""
    folder = tmp_path_factory.mktemp("replay")
    async with LocalStack(folder / ".waypost", processes=("api",)) as running:
        yield running


async def rows(stack: LocalStack, query: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(stack.database_url)
    try:
        return [dict(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def test_a_second_replay_is_all_duplicates_and_history_starts_nothing(
    stack: LocalStack, tmp_path: Path
) -> None:
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress("\n".join((HEADER, *ROWS)).encode()))
    folder = stack.directory.folder.parent
    first = waypost("ingest", str(file), "--format", "rees46", folder=folder)
    second = waypost("ingest", str(file), "--format", "rees46", folder=folder)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert counts(first.stdout) | {"accepted": 4, "duplicate": 0, "runs started": 0} == counts(first.stdout)
    assert counts(second.stdout) | {"accepted": 0, "duplicate": 4, "purchases": 1} == counts(second.stdout)
    assert await rows(
        stack, "SELECT item FROM suppression JOIN event USING (event_id) WHERE source = 'rees46'"
    ) == [{"item": "1001"}]


async def test_a_replay_as_live_ends_now_and_starts_runs(stack: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("\n".join((HEADER, *ROWS)))
    done = waypost(
        "ingest", str(file), "--format", "rees46", "--as-live", folder=stack.directory.folder.parent
    )
    [last] = await rows(stack, "SELECT max(time) AS time FROM event WHERE source = 'rees46'")

    assert done.returncode == 0, done.stderr
    assert counts(done.stdout)["runs started"] == 3
    assert abs(datetime.now(UTC) - last["time"]) < timedelta(minutes=1)


async def test_bad_lines_are_named_and_the_exit_code_says_so(stack: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    calls = [
        '{"type": "track", "event": "Product Viewed", "userId": "7", "timestamp": "2024-05-01T10:00:00Z"}',
        "{broken",
        '{"type": "dance", "userId": "7", "timestamp": "2024-05-01T10:00:00Z"}',
    ]
    file.write_text("\n".join(calls))
    done = waypost("ingest", str(file), "--format", "segment", folder=stack.directory.folder.parent)

    assert done.returncode == 1
    assert "line 2: expected one JSON object" in done.stdout
    assert "line 3: unknown_type" in done.stdout
    assert counts(done.stdout) | {"accepted": 1, "rejected": 1, "lines that are no events": 1} == counts(
        done.stdout
    )


@pytest.mark.skipif(not REES46.exists(), reason="the REES46 sample is not on this machine")
async def test_a_real_shops_log_is_taken_in_but_for_its_last_line_which_is_cut_short(
    stack: LocalStack,
) -> None:
    done = waypost("ingest", str(REES46), "--format", "rees46", folder=stack.directory.folder.parent)
    told = counts(done.stdout)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "line 17436: expected 9 columns, got 8" in done.stdout
    assert told["events sent"] == 17_434
    assert (told["accepted"], told["duplicate"]) == (17_429, 5)  # five rows stand in the file twice
    assert (told["people"], told["purchases"], told["runs started"]) == (4_504, 214, 0)


def counts(table: str) -> dict[str, int]:
    """The summary's numbers by their names."""
    cells = (line.strip("│┃ \n").split("│") for line in table.splitlines() if line.count("│") >= 3)
    return {
        name.strip(): int(number.replace(",", ""))
        for name, number, *_ in cells
        if number.strip().replace(",", "").isdigit()
    }
