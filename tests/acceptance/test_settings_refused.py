"""Settings that cannot work are refused at start: the variable's name, what to do, no traceback."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest
import pytest_asyncio

from local.processes import ChildProcess, Command
from tests.support.deadlines import scaled
from tests.support.environments.command import (
    CommandResult,
    call_waypost,
    command_environment,
    run_waypost,
)
from tests.support.fakes.endpoint import closed_port

KEYS = {"WAYPOST_WRITE_KEYS": "w" * 40, "WAYPOST_ADMIN_KEYS": "a" * 40, "WAYPOST_SECRETS": "s" * 40}
NOWHERE = {"DATABASE_URL": "postgresql://waypost:s3cret@127.0.0.1:1/none"}

REFUSED = [
    pytest.param(run_waypost, "api", NOWHERE,
                 ("WAYPOST_WRITE_KEYS", "WAYPOST_ADMIN_KEYS", "WAYPOST_SECRETS", "openssl"),
                 id="no keys outside a local stack"),
    pytest.param(call_waypost, "api", {**KEYS, "DATABASE_URL": "mysql://waypost:s3cret@db/x"},
                 ("DATABASE_URL", "postgresql://"), id="api with another kind of database"),
    pytest.param(run_waypost, "relay", {"DATABASE_URL": "s3cret"}, ("DATABASE_URL", "postgresql://"),
                 id="relay with a URL that is none"),
    pytest.param(run_waypost, "worker", {**NOWHERE, "TWILIO_ACCOUNT_SID": "AC" + "0" * 32},
                 ("TWILIO_AUTH_TOKEN", "TWILIO_FROM"), id="half a Twilio"),
    pytest.param(call_waypost, "worker", {**NOWHERE, "SENDGRID_API_KEY": "SG.s3cret"},
                 ("EMAIL_FROM", "PUBLIC_URL"), id="SendGrid without a sender"),
    pytest.param(call_waypost, "worker", {**NOWHERE, "WAYPOST_JOURNEYS": "no_such_stories"},
                 ("WAYPOST_JOURNEYS", "no_such_stories"), id="journeys that are not there"),
]  # fmt: skip
"""One of each kind of process is started for real; what else it refuses, it refuses in this process too."""


@pytest.mark.parametrize(("run", "process", "environment", "words"), REFUSED)
def test_a_process_refuses_to_start_with(
    run: Callable[..., CommandResult],
    process: str,
    environment: dict[str, str],
    words: tuple[str, ...],
    tmp_path: Path,
) -> None:
    done = run(process, folder=tmp_path, **environment)

    assert done.exit_code == 1, done.stdout + done.stderr
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stdout + done.stderr
    assert "s3cret" not in done.stdout + done.stderr


@pytest_asyncio.fixture(loop_scope="session")
async def another_schema(request: pytest.FixtureRequest, database_url: str) -> str:
    """URL of a database without a schema, or with one of another version."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(request.param)
    finally:
        await connection.close()
    return database_url


@pytest.mark.parametrize(
    ("another_schema", "advice"),
    [
        pytest.param("DROP SCHEMA public CASCADE; CREATE SCHEMA public", "waypost migrate", id="none"),
        pytest.param("UPDATE alembic_version SET version_num = '9999'", "deploy the code", id="newer"),
    ],
    indirect=["another_schema"],
)
async def test_a_worker_refuses_a_schema_that_is_not_its_own(
    another_schema: str, advice: str, tmp_path: Path
) -> None:
    environment = {"DATABASE_URL": another_schema, "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    done = call_waypost("worker", folder=tmp_path, **environment)

    assert done.exit_code == 1, done.stdout + done.stderr
    assert advice in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("wrong", ["no_such_user", "no_such_database"])
async def test_a_worker_refuses_a_login_that_postgres_refuses(
    wrong: str, database_url: str, tmp_path: Path
) -> None:
    url = urlsplit(database_url)
    place = url.netloc.rpartition("@")[2]
    netloc, path = (
        (f"nobody:s3cret@{place}", url.path) if wrong == "no_such_user" else (url.netloc, "/nothing")
    )
    bad = url._replace(netloc=netloc, path=path).geturl()
    done = call_waypost("worker", folder=tmp_path, DATABASE_URL=bad)

    assert done.exit_code == 1, done.stdout + done.stderr
    assert "Postgres refuses DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "another_schema", ["DROP SCHEMA public CASCADE; CREATE SCHEMA public"], indirect=True
)
async def test_an_api_without_a_schema_takes_nothing_in_and_says_waypost_migrate(
    another_schema: str, tmp_path: Path
) -> None:
    port = closed_port().rpartition(":")[2]
    variables = {**KEYS, "DATABASE_URL": another_schema, "API_PORT": port}
    command = Command(
        name="api",
        argv=[sys.executable, "-m", "cli.main", "api"],
        environment=command_environment(**variables),
        working_dir=tmp_path,
        ready_line=re.compile(r'"ready"'),
    )
    child = ChildProcess(command)
    try:
        await child.start()
        await child.wait_until_ready(timeout_s=scaled(30))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            ready = await client.get("/readyz")
            event = {"id": "e-1", "type": "Product Viewed", "identifiers": {"user_id": "1"}}
            answer = await client.post("/v1/events", json=event, auth=("w" * 40, ""))
    finally:
        await child.kill()

    assert (ready.status_code, ready.json()["migrations"]["state"]) == (503, "behind")
    assert "waypost migrate" in ready.json()["migrations"]["detail"]
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
