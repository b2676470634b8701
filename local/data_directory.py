"""The folder of a local stack: used by one stack at a time, which writes down there how to reach it."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from local.processes import StackError

_LOCK_FILE = "stack.lock"

_ENVIRONMENT_FILE = "stack.json"

_SECRET_FILE = "secret"  # noqa: S105 (a file name)

_LOCK_TIMEOUT_S = 0.5


class DataDirectory:
    """One stack's hold on its folder. The kernel lets go of it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._lock_fd: int | None = None

    @property
    def postgres_dir(self) -> Path:
        """What the embedded Postgres keeps."""
        return self.folder / "postgres"

    @property
    def temporal_db_file(self) -> Path:
        """The dev server's database file."""
        return self.folder / "temporal" / "temporal.db"

    def acquire(self) -> None:
        """Make this process the folder's only stack. Raises ``StackError`` when another one is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = os.open(self.folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except PermissionError as error:
            raise StackError(
                f"cannot write to {self.folder} ({error.strerror}): "
                "set WAYPOST_DATA_DIR to a folder of your own"
            ) from error
        deadline = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Somebody who only looks whether a stack runs holds it for an instant.
                if time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                holder = os.read(lock, 32).decode().strip() or "unknown"
                os.close(lock)
                raise StackError(
                    f"a local stack (process {holder}) already runs on {self.folder}: "
                    "use that one, stop it, or set WAYPOST_DATA_DIR to another folder"
                ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock_fd = lock

    def load_secret(self) -> str:
        """The secret that signs this stack's links, made once, so that links outlive a restart."""
        path = self.folder / _SECRET_FILE
        if not path.exists():
            _write_private(path, secrets.token_urlsafe(32))
        return path.read_text()

    def publish_environment(self, environment: Mapping[str, str]) -> None:
        """Write down, for this user only, the environment in which a command finds this stack."""
        _write_private(self.folder / _ENVIRONMENT_FILE, json.dumps(dict(environment), indent=2))

    def release(self) -> None:
        """Let go of the folder. Idempotent."""
        if self._lock_fd is not None:
            (self.folder / _ENVIRONMENT_FILE).unlink(missing_ok=True)
            os.close(self._lock_fd)
            self._lock_fd = None


def _write_private(path: Path, text: str) -> None:
    """Replace a file by one that only this user can read, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.rename(path)


def find_running_stack(folder: Path) -> dict[str, str] | None:
    """The environment of the stack that runs on ``folder`` at this moment, or None when none does."""
    try:
        lock = os.open(folder / _LOCK_FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None  # nobody holds it: what is written down there is a leftover
    except BlockingIOError:
        pass
    finally:
        os.close(lock)
    try:
        return dict(json.loads((folder / _ENVIRONMENT_FILE).read_text()))
    except (OSError, ValueError):
        return None
