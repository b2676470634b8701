"""What docker-compose.yml says of Postgres and Temporal, tried on the real servers."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from local.ports import PortRequest, choose_ports
from local.postgres import EmbeddedPostgres
from local.processes import ChildProcess, Command
from local.temporal_server import find_temporal_binary
from tests.support.deadlines import scaled

ROOT = Path(__file__).parents[3]

SECRET = "ada.king@example.com"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return loaded


async def log_of_errors(folder: Path, settings: dict[str, str]) -> str:
    """The log of a Postgres on which statements with somebody's address fail in many ways."""
    lines: list[str] = []
    async with EmbeddedPostgres(folder, settings=settings, log=lambda _, line: lines.append(line)) as server:
        connection = await asyncpg.connect(server.database_url)
        await connection.execute("CREATE TABLE t (email text UNIQUE, quantity int CHECK (quantity > 0))")
        await connection.execute("INSERT INTO t VALUES ($1, 1)", SECRET)
        record = "jsonb_build_object('quantity', 5000000000, 'email', $1::text)"
        failing = {
            "INSERT INTO t VALUES ($1, 1)": SECRET,
            "INSERT INTO t VALUES ($1, -1)": f"b{SECRET}",
            f"SELECT jsonb_populate_record(NULL::t, {record})": SECRET,
            "SELECT ('[' || quote_ident($1) || '}')::jsonb": SECRET,
        }
        for statement, value in failing.items():
            with pytest.raises(asyncpg.PostgresError):
                await connection.fetch(statement, value)
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(f'SELECT 1 / 0 AS "{SECRET}"')
        await connection.close()
    return "\n".join(lines)


async def test_the_log_of_postgres_holds_no_persons_data_of_failing_statements(
    tmp_path: Path, services: dict[str, Any]
) -> None:
    given = dict(word.split("=", 1) for word in services["postgres"]["command"] if "=" in word)
    log = await log_of_errors(tmp_path / "as-deployed", given)
    images_own = {"log_min_error_statement": "error", "log_error_verbosity": "default"}
    plain = await log_of_errors(tmp_path / "plain", images_own)

    assert SECRET in plain, "without these settings it does"
    assert "duplicate key value violates unique constraint" in log
    assert SECRET not in log


async def test_the_health_check_of_temporal_asks_what_only_a_serving_frontend_answers(
    services: dict[str, Any], tmp_path: Path
) -> None:
    url = services["temporal"]["healthcheck"]["test"][-1]
    inside = services["temporal"]["environment"]["FRONTEND_HTTP_PORT"]
    chosen = choose_ports({"rpc": PortRequest("", 0, 0), "http": PortRequest("", 0, 0)})
    port, http_port = chosen["rpc"].number, chosen["http"].number
    assert f":{inside}/" in url
    here = url.replace(f":{inside}/", f":{http_port}/")
    argv = [find_temporal_binary(), "server", "start-dev", "--headless", "--log-level", "error"]
    argv += ["--port", str(port), "--http-port", str(http_port)]
    server = ChildProcess(Command(name="temporal", argv=argv, environment={"HOME": str(tmp_path)}))
    with pytest.raises(OSError):
        await asyncio.to_thread(_get, here)
    await server.start()
    try:
        async with asyncio.timeout(scaled(30)):
            while not (answer := await asyncio.to_thread(_try, here)):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.2)
        with pytest.raises(urllib.error.HTTPError):
            await asyncio.to_thread(_get, here.replace("temporal-system", "nowhere"))
    finally:
        await server.stop(5)

    assert "temporal-system" in answer


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=3) as answer:
        text: str = answer.read().decode()
    return text


def _try(url: str) -> str:
    try:
        return _get(url)
    except OSError:
        return ""
