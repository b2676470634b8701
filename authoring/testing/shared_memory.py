"""Folders in shared memory, for databases that are needed only while the tests run.

A test's database has some 300 files. On a disk, creating and removing them costs more than the test itself.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - folder names are random

MIN_FREE_BYTES = 2 << 30
"""Minimum of free bytes; containers often have 64 MB of shared memory."""

_FOLDER_PREFIX = "waypost-tests-"


@contextlib.contextmanager
def shared_memory_folder() -> Iterator[Path | None]:
    """Return a new folder that is removed at exit; None where there is no shared memory, or too little.

    Also removes folders of processes that were killed.
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
        pass  # of another user
    return True
