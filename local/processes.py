"""One child process of a local stack: started, followed line by line, stopped or killed."""

import asyncio
import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from local.parent_watch import parent_death_hook, watched_command
from workers.process import UserError

_NOBODY = "nobody"


class ProcessArguments(TypedDict, total=False):
    """The keyword arguments of ``subprocess`` that choose the account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """Who a process runs as."""

    uid: int | None = None
    """None: whoever this process runs as."""
    gid: int | None = None
    command_prefix: tuple[str, ...] = ()
    """A command that changes the account and then runs what follows."""
    owner_uid: int | None = None
    """User id that must own the process's files, as the file system sees it; None: no wish."""

    def subprocess_arguments(self) -> ProcessArguments:
        """What to hand to ``subprocess``."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


OWN_ACCOUNT = Account()


def account_of_user(user: pwd.struct_passwd) -> Account:
    """Run as this user."""
    return Account(uid=user.pw_uid, gid=user.pw_gid, owner_uid=user.pw_uid)


def nobody_account() -> Account:
    """The account without rights that every Unix has."""
    return account_of_user(pwd.getpwnam(_NOBODY))


def namespaced_nobody_account() -> Account | None:
    """Root seen as ``nobody`` from inside: it keeps root's way to files below root's home.

    None where user namespaces are not to be had, as in many containers.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    user = pwd.getpwnam(_NOBODY)
    wrapper = (unshare, "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--")
    tried = subprocess.run([*wrapper, "true"], capture_output=True, check=False)  # noqa: S603
    return Account(command_prefix=wrapper, owner_uid=os.getuid()) if tried.returncode == 0 else None


def can_read(account: Account, path: Path) -> bool:
    """Whether the account can read ``path`` (and so pass every folder above it)."""
    tried = subprocess.run(  # noqa: S603
        [*account.command_prefix, "test", "-r", str(path)],
        capture_output=True,
        check=False,
        cwd="/",
        **account.subprocess_arguments(),
    )
    return tried.returncode == 0


def change_owner(account: Account, folder: Path) -> None:
    """Make the account the owner of ``folder`` and all below it. Idempotent; cheap when already so."""
    if account.owner_uid is None or folder.stat().st_uid == account.owner_uid:
        return
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(root, name), account.owner_uid, -1, follow_symlinks=False)
    # The top last: it is the mark that says the work was finished.
    os.chown(folder, account.owner_uid, -1)


class StackError(UserError):
    """The local stack cannot start or go on."""


class ChildExited(StackError):
    """A process of the stack ended by itself."""

    def __init__(self, name: str, code: int, last_lines: list[str]) -> None:
        self.name = name
        self.code = code
        said = "\n".join(f"    {line}" for line in last_lines) or "    (it printed nothing)"
        super().__init__(f"{name} ended by itself with exit code {code}; its last lines:\n{said}")


def most_relevant_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to show: of several that came together, one that explains itself."""
    reasons = list(_flatten_errors(group))
    return next((reason for reason in reasons if isinstance(reason, StackError)), reasons[0])


def _flatten_errors(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _flatten_errors(each)
    else:
        yield error


LogCallback = Callable[[str, str], None]
"""Called with the name of a process and one line it printed."""

_MAX_LAST_LINES = 30

_PROBE_INTERVAL_S = 0.05

_ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def discard_line(name: str, line: str) -> None:
    """A log that shows nothing; the last lines still appear in errors."""


@dataclass(frozen=True)
class Command:
    """How to run one process."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    account: Account = OWN_ACCOUNT
    working_dir: Path | None = None
    """Working directory; None: the parent's."""
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """What the process gets when the parent dies without having stopped it."""
    mute_on_stop: bool = False
    """Its complaints while it is being stopped are no news."""
    ready_line: re.Pattern[str] | None = None
    """A printed line that matches says that the process is ready."""


class ChildProcess:
    """A running process. Start it from the thread whose end should be its end."""

    def __init__(self, command: Command, log: LogCallback = discard_line) -> None:
        self.command = command
        self.last_lines: deque[str] = deque(maxlen=_MAX_LAST_LINES)
        self.ready_event = asyncio.Event()
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._output_task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Process id; raises ``StackError`` when never started."""
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
        """Start the process in a session of its own, so that a terminal's Ctrl-C reaches only the parent."""
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
        """Exit code, once the process has ended and what it printed has been read."""
        code = await self._started.wait()
        if self._output_task is not None:
            # A process it left behind may hold the pipe open: don't wait for that one's end.
            await asyncio.wait({self._output_task}, timeout=1.0)
            self._output_task.cancel()
        return code

    async def wait_until_ready(
        self, probe: Callable[[], Awaitable[bool]] | None = None, *, timeout_s: float
    ) -> None:
        """Wait for the ready line, or for ``probe`` to say yes; at most ``within`` seconds.

        Raises ``ChildDied`` when the process ends first, ``StackError`` when the time is up.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not (await probe() if probe is not None else self.ready_event.is_set()):
                    if not self.running:
                        raise self.exit_error(await self.wait())
                    await asyncio.sleep(_PROBE_INTERVAL_S)
        except TimeoutError:
            said = "\n".join(f"    {line}" for line in self.last_lines) or "    (it printed nothing)"
            raise StackError(
                f"{self.command.name} was not ready within {timeout_s:.0f} s; its last lines:\n{said}"
            ) from None

    def exit_error(self, code: int) -> ChildExited:
        """The error that tells of this process's end."""
        return ChildExited(self.command.name, code, list(self.last_lines))

    async def stop(self, grace_s: float) -> None:
        """Ask the process to end, kill it after ``grace`` seconds. Idempotent."""
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
        """End the process, and all it started, at once (``kill -9``). Idempotent."""
        if self._process is None:
            return
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self.wait()
