"""Child processes of a local stack: the account they run under, start, output, stop, kill, and errors."""

import asyncio
import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from local.parent_watch import parent_death_hook, watched_command
from workers.errors import UserError

_NOBODY = "nobody"

LogCallback = Callable[[str, str], None]
"""Called with the name of a process and one line of its output."""

_MAX_LAST_LINES = 30

_PROBE_INTERVAL_S = 0.05

_ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Account:
    """The user account under which a process runs."""

    uid: int | None = None
    """None: the account of this process."""
    gid: int | None = None
    command_prefix: tuple[str, ...] = ()
    """A command that changes the account and then runs the command that follows it."""
    owner_uid: int | None = None
    """User id that must own the process's files, as the file system sees it; None: any."""

    def subprocess_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments for ``subprocess``."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


OWN_ACCOUNT = Account()


def account_of_user(user: pwd.struct_passwd) -> Account:
    """Return the account of a user."""
    return Account(uid=user.pw_uid, gid=user.pw_gid, owner_uid=user.pw_uid)


def nobody_account() -> Account:
    """Return the unprivileged account ``nobody``, which every Unix has."""
    return account_of_user(pwd.getpwnam(_NOBODY))


def namespaced_nobody_account() -> Account | None:
    """Return an account that is ``nobody`` inside a user namespace and root outside of it.

    It can therefore read files below root's home. None without user namespaces, as in many containers.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    user = pwd.getpwnam(_NOBODY)
    wrapper = (unshare, "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--")
    tried = subprocess.run([*wrapper, "true"], capture_output=True, check=False)  # noqa: S603
    return Account(command_prefix=wrapper, owner_uid=os.getuid()) if tried.returncode == 0 else None


def can_read(account: Account, path: Path) -> bool:
    """Return whether the account can read ``path``, and so can enter every folder above it."""
    tried = subprocess.run(  # noqa: S603
        [*account.command_prefix, "test", "-r", str(path)],
        capture_output=True,
        check=False,
        cwd="/",
        **account.subprocess_arguments(),
    )
    return tried.returncode == 0


def change_owner(account: Account, folder: Path) -> None:
    """Make the account the owner of ``folder`` and everything below it, unless it is already. Idempotent."""
    if account.owner_uid is None or folder.stat().st_uid == account.owner_uid:
        return
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(root, name), account.owner_uid, -1, follow_symlinks=False)
    # The folder itself comes last: its owner marks that the work is complete.
    os.chown(folder, account.owner_uid, -1)


def write_private_file(path: Path, text: str, owner_uid: int | None = None) -> None:
    """Replace a file atomically by one that only its owner can read; None: this process's user."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    if owner_uid is not None:
        os.chown(partial, owner_uid, -1)
    partial.rename(path)


class StackError(UserError):
    """The local stack cannot start or continue."""


class ChildExited(StackError):
    """A process of the stack exited without being stopped."""

    def __init__(self, name: str, code: int, last_lines: list[str]) -> None:
        self.name = name
        self.code = code
        output = "\n".join(f"    {line}" for line in last_lines) or "    (it printed nothing)"
        super().__init__(f"{name} ended by itself with exit code {code}; its last lines:\n{output}")


def most_relevant_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error to show from a group: the first ``StackError`` if there is one, else the first."""
    error: BaseException = group.subgroup(StackError) or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def discard_line(name: str, line: str) -> None:
    """Ignore the line: a ``LogCallback`` for no output. The last lines still appear in errors."""


@dataclass(frozen=True)
class Command:
    """Command line, environment, account and signals of one process."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    account: Account = OWN_ACCOUNT
    working_dir: Path | None = None
    """Working directory; None: the parent's."""
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """Signal sent to the process if the parent ends without stopping it."""
    mute_on_stop: bool = False
    """Do not log what the process prints while it is being stopped."""
    ready_line: re.Pattern[str] | None = None
    """The process is ready when it prints a line that matches."""


class ChildProcess:
    """One child process. It ends with the thread that starts it."""

    def __init__(self, command: Command, log: LogCallback = discard_line) -> None:
        self.command = command
        self.last_lines: deque[str] = deque(maxlen=_MAX_LAST_LINES)
        self.ready_event = asyncio.Event()
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._output_task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Process id. Raises ``StackError`` if the process was never started."""
        return self._started.pid

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise StackError(f"{self.command.name} was never started")
        return self._process

    async def start(self) -> None:
        """Start the process in its own session, so that Ctrl-C in a terminal reaches only the parent."""
        command, account = self.command, self.command.account
        arrange = parent_death_hook(command.death_signal)
        argv = [*account.command_prefix, *command.argv]
        self._process = await asyncio.create_subprocess_exec(
            *(argv if arrange is not None else watched_command(argv, command.death_signal)),
            env=dict(command.environment),
            cwd=command.working_dir,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=arrange,
            **account.subprocess_arguments(),
        )
        self._output_task = asyncio.create_task(
            self._read_output(self._process), name=f"follow {command.name}"
        )

    async def _read_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 (a pipe was asked for above)
        rest = b""
        while chunk := await process.stdout.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._handle_line(line.decode(errors="replace").rstrip())
        if rest:
            self._handle_line(rest.decode(errors="replace").rstrip())

    def _handle_line(self, line: str) -> None:
        self.last_lines.append(line)
        self._log(self.command.name, line)
        pattern = self.command.ready_line
        if pattern is not None and pattern.search(_ANSI_COLOR.sub("", line)):
            self.ready_event.set()

    async def wait(self) -> int:
        """Wait until the process has ended and its output has been read; returns the exit code."""
        code = await self._started.wait()
        if self._output_task is not None:
            # A surviving child of the process may hold the pipe open, so the wait is limited.
            await asyncio.wait({self._output_task}, timeout=1.0)
            self._output_task.cancel()
        return code

    async def wait_until_ready(
        self, probe: Callable[[], Awaitable[bool]] | None = None, *, timeout_s: float
    ) -> None:
        """Wait for the ready line or, if ``probe`` is given, until it returns True.

        Raises ``ChildExited`` if the process ends first, ``StackError`` after ``timeout_s`` seconds.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not (await probe() if probe is not None else self.ready_event.is_set()):
                    if not self.running:
                        raise self.exit_error(await self.wait())
                    await asyncio.sleep(_PROBE_INTERVAL_S)
        except TimeoutError:
            output = "\n".join(f"    {line}" for line in self.last_lines) or "    (it printed nothing)"
            raise StackError(
                f"{self.command.name} was not ready within {timeout_s:.0f} s; its last lines:\n{output}"
            ) from None

    def exit_error(self, code: int) -> ChildExited:
        """Return the error that describes this process's exit, with its last lines."""
        return ChildExited(self.command.name, code, list(self.last_lines))

    async def stop(self, grace_s: float) -> None:
        """Send the stop signal, and kill the process after ``grace_s`` seconds. Idempotent."""
        if self._process is None:
            return
        if self.running:
            if self.command.mute_on_stop:
                self._log = discard_line
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self.command.stop_signal)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """Kill the process and its whole process group (``kill -9``). Idempotent."""
        if self._process is None:
            return
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self.wait()


class LocalServer:
    """A server in a child process. Use it as an async context manager, or with ``start`` and ``stop``."""

    stop_timeout_s: ClassVar[float]
    child: ChildProcess | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the server and wait until it is ready. Raises ``StackError``."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop the server; kill it after ``stop_timeout_s`` seconds. Idempotent."""
        if self.child is not None:
            await self.child.stop(self.stop_timeout_s)

    async def kill(self) -> None:
        """``kill -9`` the server with all its processes."""
        if self.child is not None:
            await self.child.kill()
