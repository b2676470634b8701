"""Folders in memory, for servers whose data nobody needs once the tests are over.

A database of its own for each test is some three hundred files, made and removed: on a disk that costs more
than what the test itself does.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it have names that nobody can foresee

MIN_FREE_BYTES = 2 << 30
"""Bytes to be free; containers often have 64 MB of it."""

_FOLDER_PREFIX = "waypost-tests-"


@contextlib.contextmanager
def shared_memory_folder() -> Iterator[Path | None]:
    """A new folder that is gone on exit; None where this system has no memory to share, or too little.

    What a killed process has left behind goes with the next one that asks.
    """
    if not _has_free_space(SHARED_MEMORY):
        yield None
        return
    for left in SHARED_MEMORY.glob(f"{_FOLDER_PREFIX}*"):
        if not _is_owner_alive(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-", dir=SHARED_MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_free_space(memory: Path) -> bool:
    try:
        return os.access(memory, os.W_OK | os.X_OK) and shutil.disk_usage(memory).free >= MIN_FREE_BYTES
    except OSError:
        return False


def _is_owner_alive(folder: Path) -> bool:
    pid = folder.name.removeprefix(_FOLDER_PREFIX).split("-")[0]
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        pass  # somebody else's
    return True
