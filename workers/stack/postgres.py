"""The embedded Postgres of a local stack: made on first use, started, stopped, its data kept."""

import asyncio
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from workers.stack.errors import StackError
from workers.stack.ports import HOST, Wish, choose
from workers.stack.postgres_files import PostgresFiles, settle
from workers.stack.processes import Child, Command, Log, silent

DATABASE = "waypost"
_USER = "waypost"
_INITDB_WITHIN_S = 60.0
_READY_WITHIN_S = 30.0
_STOP_WITHIN_S = 10.0
_OLD_ONE_GONE_WITHIN_S = 15.0
_SETTINGS = {
    "listen_addresses": HOST,
    # A socket path may be too long for the platform; TCP with a password is enough.
    "unix_socket_directories": "",
    "max_connections": "200",
    # Compiling a plan costs more than any query of ours takes.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
    # The text of a failed statement may carry personal data; the error itself is logged.
    "log_min_error_statement": "panic",
}


class EmbeddedPostgres:
    """One Postgres server on the loopback address, with a password, for one data directory.

    Use it as an async context manager, or with ``start`` and ``stop``. Data survive both a stop and
    a ``kill -9``. ``port``: 0 for any free one. ``settings``: of Postgres, besides those it always has.
    """

    def __init__(
        self, data_dir: Path, *, port: int = 0, log: Log = silent, settings: Mapping[str, str] | None = None
    ) -> None:
        self._home = data_dir
        self._settings = _SETTINGS | dict(settings or {})
        self._wish = Wish("POSTGRES_PORT", 5433, port)
        self._log = log
        self._files: PostgresFiles | None = None
        self._password = ""
        self.port = port
        self.child: Child | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def database_url(self) -> str:
        """URL of the ``waypost`` database."""
        return self.url(DATABASE)

    def url(self, database: str) -> str:
        """URL of a database on this server."""
        return f"postgresql://{_USER}:{self._password}@{HOST}:{self.port}/{database}"

    async def start(self) -> None:
        """Start the server and wait until it takes connections. Raises ``StackError``."""
        files = self._files = await asyncio.to_thread(settle, self._home)
        if not files.cluster.exists():
            await self._initialise(files)
        self._password = files.password_file.read_text()
        await _until_old_server_is_gone(files.cluster)
        self.port = choose({"Postgres": self._wish})["Postgres"].number
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        argv = [str(files.binaries / "postgres"), "-D", str(files.cluster), "-p", str(self.port), *settings]
        # SIGINT is Postgres's fast shutdown: it ends the sessions and leaves a clean cluster.
        self.child = self._child(files, "postgres", argv, signal.SIGINT, self._log)
        await self.child.start()
        try:
            await self.child.until_ready(self._answers, within=_READY_WITHIN_S)
            await self.create_database(DATABASE)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server within seconds. Idempotent."""
        if self.child is not None:
            await self.child.stop(_STOP_WITHIN_S)

    async def kill(self) -> None:
        """``kill -9`` the server and its sessions."""
        if self.child is not None:
            await self.child.kill()

    async def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database (a copy of ``template``, if given) unless it exists; returns its URL."""
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", name):
                copied = f' template "{template}"' if template else ""
                await connection.execute(f'create database "{name}"{copied}')
        finally:
            await connection.close()
        return self.url(name)

    async def drop_database(self, name: str) -> None:
        """Drop a database with all its sessions. Idempotent."""
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(f'drop database if exists "{name}" with (force)')
        finally:
            await connection.close()

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=2)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    async def _initialise(self, files: PostgresFiles) -> None:
        """Create the cluster beside its final place, so that a half-made one is never taken for whole."""
        partial = files.home / "cluster-partial"
        shutil.rmtree(partial, ignore_errors=True)
        _write_secret(files.password_file, secrets.token_urlsafe(24), files.account.owner)
        argv = [
            *(str(files.binaries / "initdb"), "-D", str(partial), "-U", _USER),
            *(f"--pwfile={files.password_file}", "--auth-host=scram-sha-256", "--auth-local=scram-sha-256"),
            # The same order of text on every platform, whatever its libraries say.
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            "--no-sync",
        ]
        child = self._child(files, "initdb", argv, signal.SIGTERM, silent)
        await child.start()
        async with asyncio.timeout(_INITDB_WITHIN_S):
            code = await child.wait()
        if code != 0:
            raise child.death(code)
        partial.rename(files.cluster)

    def _child(
        self, files: PostgresFiles, name: str, argv: list[str], ends_on: signal.Signals, log: Log
    ) -> Child:
        # Settings of another Postgres client or server must not reach this one.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        environment["LC_ALL"] = "C"
        command = Command(
            name=name,
            argv=argv,
            environment=environment,
            account=files.account,
            folder=Path("/"),
            stop_signal=ends_on,
            death_signal=ends_on,
        )
        return Child(command, log)


def _write_secret(path: Path, secret: str, owner: int | None) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    if owner is not None:
        os.chown(path, owner, -1)


async def _until_old_server_is_gone(cluster: Path) -> None:
    """After a ``kill -9`` of a stack its Postgres may still be shutting down: wait for it.

    A pid file whose number now belongs to some other process would keep Postgres from starting, so it
    goes. Raises ``StackError`` when a server keeps using the cluster.
    """
    pid_file = cluster / "postmaster.pid"
    deadline = asyncio.get_running_loop().time() + _OLD_ONE_GONE_WITHIN_S
    while pid_file.exists():
        first_line = (pid_file.read_text().splitlines() or [""])[0]
        if not first_line.isdigit() or not await _is_server_of(int(first_line), cluster):
            pid_file.unlink(missing_ok=True)
            return
        if asyncio.get_running_loop().time() > deadline:
            raise StackError(
                f"a Postgres server (process {first_line}) is already using {cluster}: "
                f"stop it with `kill -INT {first_line}`, or set WAYPOST_DATA_DIR to another folder"
            )
        await asyncio.sleep(0.1)


async def _is_server_of(pid: int, cluster: Path) -> bool:
    """Whether the process is a Postgres server for this cluster."""
    if sys.platform == "linux":
        return os.fsencode(cluster) in _words_of(pid)
    ps = await asyncio.create_subprocess_exec(
        "ps", "-ww", "-o", "command=", "-p", str(pid), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await ps.communicate()
    return str(cluster) in said.decode(errors="replace")


def _words_of(pid: int) -> list[bytes]:
    """The command line of a process on Linux; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
