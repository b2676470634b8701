"""Data directory of a local stack: its lock, its secret, and the environment of the running stack."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from local.processes import StackError, write_private_file

_LOCK_FILE = "stack.lock"

_ENVIRONMENT_FILE = "stack.json"

_SECRET_FILE = "secret"  # noqa: S105 (a file name)

_LOCK_TIMEOUT_S = 0.5


class DataDirectory:
    """Exclusive lock of one stack on its data directory. The kernel releases it when the process ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._lock_fd: int | None = None

    @property
    def postgres_dir(self) -> Path:
        """Folder of the embedded Postgres."""
        return self.folder / "postgres"

    @property
    def temporal_db_file(self) -> Path:
        """Database file of the Temporal dev server."""
        return self.folder / "temporal" / "temporal.db"

    def acquire(self) -> None:
        """Create and lock the folder. Raises ``StackError`` if it is read-only or another stack holds it."""
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
                # ``find_running_stack`` in another process holds a shared lock for a moment.
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
        """Return the secret that signs this stack's links; created once, so that links outlive a restart."""
        path = self.folder / _SECRET_FILE
        if not path.exists():
            write_private_file(path, secrets.token_urlsafe(32))
        return path.read_text()

    def publish_environment(self, environment: Mapping[str, str]) -> None:
        """Write the environment with which other commands connect to this stack; for this user only."""
        write_private_file(self.folder / _ENVIRONMENT_FILE, json.dumps(dict(environment), indent=2))

    def release(self) -> None:
        """Remove the published environment and release the lock. Idempotent."""
        if self._lock_fd is not None:
            (self.folder / _ENVIRONMENT_FILE).unlink(missing_ok=True)
            os.close(self._lock_fd)
            self._lock_fd = None


def find_running_stack(folder: Path) -> dict[str, str] | None:
    """Return the published environment of the stack that runs on ``folder``, or None."""
    try:
        lock = os.open(folder / _LOCK_FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None  # the lock is free: an environment file would be left over from an earlier stack
    except BlockingIOError:
        pass
    finally:
        os.close(lock)
    try:
        return dict(json.loads((folder / _ENVIRONMENT_FILE).read_text()))
    except (OSError, ValueError):
        return None
