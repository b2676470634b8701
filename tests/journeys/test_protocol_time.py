"""Clocks: a run and its activities go by Temporal's clock plus the run's offset, never by the worker's."""

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError

import journeys
from activities.close_run import RunActivities
from activities.contracts import CloseResult, CloseRun
from activities.run_context import run_now
from authoring.testing.calendar import DEFAULT_START
from authoring.testing.environment import Row, Waypost
from local.temporal_server import TemporalDevServer
from tests.support.journeys.small import Doze

ADA: Row = {"email": "ada@example.com", "phone": "+4915112345678"}
YES = {"consents": {"email": True, "sms": True, "ads": True}, "timezone": "Europe/Berlin"}
LAMP = {"product_id": "lamp", "name": "Aria lamp", "cart_id": "c-1"}
A_MINUTE = timedelta(minutes=1)


def near(instant: datetime, expected: datetime, tolerance: timedelta = A_MINUTE) -> bool:
    return abs(instant - expected) < tolerance


async def test_a_run_started_by_an_event_of_a_later_day_shares_that_days_calendar(waypost: Waypost) -> None:
    waypost.clock = DEFAULT_START + timedelta(days=20)
    await waypost.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    run = await waypost.run("cart-abandonment")
    await waypost.advance_run(run, timedelta(days=4))
    await waypost.run_result(run)
    reminder, _, offer = await waypost.messages()

    assert near(run["entered_at"], DEFAULT_START + timedelta(days=20))
    assert near(reminder["decided_at"], DEFAULT_START + timedelta(days=20, hours=1))
    assert near(reminder["sent_at"], DEFAULT_START + timedelta(days=20, hours=1))
    assert near(offer["decided_at"], DEFAULT_START + timedelta(days=21, hours=1))
    assert near(
        (await waypost.run("cart-abandonment"))["ended_at"], DEFAULT_START + timedelta(days=23, hours=1)
    )


async def test_an_event_of_the_past_starts_a_run_on_the_present_calendar(waypost: Waypost) -> None:
    now = datetime.now(UTC)
    waypost.clock = now - timedelta(hours=40)
    await waypost.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    run = await waypost.run("cart-abandonment")

    assert run["clock_offset_s"] == 0
    assert near(run["entered_at"], now)


async def test_an_event_older_than_three_days_starts_no_run(waypost: Waypost) -> None:
    waypost.clock = datetime.now(UTC) - timedelta(hours=73)
    await waypost.ingest_event("Product Added", LAMP, traits=YES, **ADA)

    assert await waypost.fetch_rows("SELECT 1 FROM run") == []
    assert await waypost.fetch_rows("SELECT 1 FROM cart") != []


async def test_an_activitys_now_travels_with_the_run_also_across_its_retries(
    database_url: str, temporal: TemporalDevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    nows: list[datetime] = []
    close = RunActivities.close_run

    async def failing(activities: RunActivities, request: CloseRun) -> CloseResult:
        nows.append(run_now(request.clock_offset_s))
        if activity.info().attempt == 1:
            raise ApplicationError("try again", next_retry_delay=timedelta(hours=5))
        return await close(activities, request)

    failing.__dict__.update(close.__dict__)
    failing.__annotations__.update(close.__annotations__)
    monkeypatch.setattr(RunActivities, "close_run", failing)
    async with Waypost(database_url, temporal.client, journeys=(Doze,)) as waypost:
        waypost.clock = start = DEFAULT_START + timedelta(days=6)
        await waypost.ingest_event("Product Added", LAMP, **ADA)
        run = await waypost.run("doze")
        await waypost.advance_run(run, timedelta(hours=8))
        await waypost.run_result(run)
        ended = (await waypost.run("doze"))["ended_at"]

        assert near(nows[0], start + timedelta(hours=1))
        assert near(nows[1], start + timedelta(hours=6))
        assert near(ended, start + timedelta(hours=6))


async def test_caps_travel_so_that_a_day_later_there_is_room_again(waypost: Waypost) -> None:
    for number in range(3):
        added = {"product_id": f"lamp-{number}", "cart_id": f"c-{number}"}
        await waypost.ingest_event("Product Added", LAMP | added, traits=YES, **ADA)
    runs = [await waypost.run("cart-abandonment", f"c-{number}") for number in range(3)]
    for run in runs:
        await waypost.skipper.fast_forward(waypost.handle(run), timedelta(hours=2))
    await waypost.wait_for_rows(
        "SELECT 1 FROM message WHERE template = 'cart_reminder' AND reason = 'capped'"
    )
    waypost.clock += timedelta(days=1, hours=2)
    await waypost.ingest_event("Product Added", LAMP | {"cart_id": "c-9"}, **ADA)
    later = await waypost.run("cart-abandonment", "c-9")
    await waypost.skipper.fast_forward(waypost.handle(later), timedelta(hours=2))
    await waypost.wait_for_rows(
        "SELECT 1 FROM message WHERE run_id = $1 AND status = 'sent'", later["run_id"]
    )
    reminders = [m for m in await waypost.messages() if m["template"] == "cart_reminder"]

    assert sorted(m["status"] for m in reminders) == ["sent", "sent", "sent", "withheld"]


async def test_a_purchase_of_a_travelled_day_suppresses_from_its_commit_for_a_run_whose_day_is_earlier(
    waypost: Waypost,
) -> None:
    await waypost.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    run = await waypost.run("cart-abandonment")
    # Bought "in ten days", told to nobody but Postgres; the run's own day is today.
    order = {"order_id": "o-1", "products": [{"product_id": "lamp"}]}
    await waypost.ingest(
        [waypost.build_event("Order Completed", order, time=DEFAULT_START + timedelta(days=10), **ADA)]
    )
    await waypost.skipper.fast_forward(waypost.handle(run), timedelta(hours=2))
    [decision, *_] = await waypost.wait_for_rows("SELECT * FROM decision WHERE template = 'cart_reminder'")

    assert (decision["verdict"], decision["reason"]) == ("withhold", "purchased")


@pytest.mark.parametrize("lost", [False, True], ids=["closed by itself", "lost by Temporal"])
async def test_a_run_routed_afresh_on_a_travelled_day_shares_its_calendar(
    database_url: str, temporal: TemporalDevServer, lost: bool
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(Doze,)) as waypost:
        waypost.clock = day = DEFAULT_START + timedelta(days=9)
        await waypost.ingest_event("Product Added", LAMP, **ADA)
        first = await waypost.run("doze")
        if lost:
            await waypost.handle(first).terminate()
        await waypost.ingest_event("Product Added", LAMP | {"product_id": "chair"}, **ADA)
        if not lost:
            await waypost.advance_run(first, timedelta(hours=2))
            await waypost.run_result(first)
            await waypost.deliver_outbox()
        afresh = await waypost.run("doze")
        started = (await waypost.handle(afresh).describe()).start_time

        assert afresh["run_id"] != first["run_id"]
        assert near(started + timedelta(seconds=afresh["clock_offset_s"]), day)


async def test_reentry_counts_from_the_last_entry_by_the_travelled_calendar(waypost: Waypost) -> None:
    await waypost.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    first = await waypost.run("cart-abandonment")
    await waypost.advance_run(first, timedelta(hours=2))
    [reminder] = [m for m in await waypost.messages() if m["template"] == "cart_reminder"]
    await waypost.ingest_event("Message Clicked", {"message_id": str(reminder["message_id"])})
    await waypost.run_result(first)
    waypost.clock = DEFAULT_START + timedelta(days=2)
    await waypost.ingest_event("Product Added", LAMP, **ADA)
    too_soon = await waypost.fetch_rows("SELECT 1 FROM run WHERE journey = 'cart-abandonment'")
    waypost.clock += timedelta(days=1, minutes=1)
    await waypost.ingest_event("Product Added", LAMP, **ADA)

    assert len(too_soon) == 1
    assert len(await waypost.fetch_rows("SELECT 1 FROM run WHERE journey = 'cart-abandonment'")) == 2


FORBIDDEN_CALLS = {
    "set",
    "frozenset",
    "now",
    "utcnow",
    "today",
    "uuid1",
    "uuid4",
    "uuid7",
    "monotonic",
    "time_ns",
}
FORBIDDEN_MODULES = {"random", "uuid", "uuid_utils", "secrets", "time"}
FROZEN_ON_PURPOSE = {
    "start_names",
    "listen_names",
    "ending_names",
    "_TRY_NEXT_CHANNEL_REASONS",
    "BUILT_IN_ACTIVITIES",
    "_PERSONAL_TRAITS",
}
"""Sets that are only ever asked whether they hold something; none is iterated where order matters."""


def undetermined(source: str) -> list[str]:
    """Where code would differ from run to run: sets, clocks, random numbers and ids."""
    tree = ast.parse(source)
    excused = {
        id(inner)
        for node in ast.walk(tree)
        if getattr(node, "name", _target(node)) in FROZEN_ON_PURPOSE
        for inner in ast.walk(node)
    }
    return [fault for node in ast.walk(tree) if id(node) not in excused and (fault := _fault(node))]


def _target(node: ast.AST) -> str:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


def _fault(node: ast.AST) -> str:
    line = getattr(node, "lineno", 0)
    match node:
        case ast.Set() | ast.SetComp():
            return f"line {line}: a set"
        case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
            return f"line {line}: {name}()"
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)) if (
            name in FORBIDDEN_CALLS and owner in ("datetime", "date", "uuid", "time")
        ):
            return f"line {line}: {owner}.{name}()"
        case ast.Import(names=names) if FORBIDDEN_MODULES & {alias.name.split(".")[0] for alias in names}:
            return f"line {line}: import {names[0].name}"
        case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
            return f"line {line}: from {module}"
    return ""


FOLDER = Path(journeys.__file__).parent
# What reads stories when they are loaded is no part of any.
FILES = [file for file in sorted(FOLDER.rglob("*.py")) if FOLDER / "checks" not in file.parents]


@pytest.mark.parametrize(
    "file", FILES, ids=lambda file: str(file.relative_to(Path(journeys.__file__).parent))
)
def test_no_journey_code_uses_a_set_a_clock_or_a_random_number(file: Path) -> None:
    assert undetermined(file.read_text()) == []


@pytest.mark.parametrize(
    "code",
    [
        "for name in {1, 2}: pass",
        "names = set(x)",
        "[x for x in {y for y in z}]",
        "import random",
        "from uuid import uuid4",
        "datetime.now()",
        "import time, sys",
    ],
)
def test_the_search_for_undetermined_code_finds_it(code: str) -> None:
    assert len(undetermined(code)) == 1
