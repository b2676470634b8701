"""End a child process when its parent ends, also after ``kill -9`` of the parent.

On Linux the kernel does it (``prctl(PR_SET_PDEATHSIG)``). On other platforms this file runs as a process
between parent and child, which polls its parent's process id.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

_PR_SET_PDEATHSIG = 1

_POLL_INTERVAL_S = 0.25

_KILL_TIMEOUT_S = 10.0

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def parent_death_hook(death_signal: signal.Signals) -> Callable[[], None] | None:
    """Return the ``preexec_fn`` that sets the parent death signal; None on platforms without it.

    The kernel sends the signal when the forking thread ends, so start children from a thread that lives as
    long as they should. The setting is cleared when the child changes its user, so the hook must run after
    that: ``subprocess`` calls ``preexec_fn`` last.
    """
    if _LIBC is None:
        return None
    libc, parent = _LIBC, os.getpid()

    def arrange() -> None:
        if libc.prctl(_PR_SET_PDEATHSIG, int(death_signal)) != 0 or os.getppid() != parent:
            # The parent ended before the signal was set, so no signal would ever arrive.
            os._exit(1)

    return arrange


def watched_command(argv: Sequence[str], death_signal: signal.Signals) -> list[str]:
    """Return the command line that runs ``argv`` under the watch process of this file."""
    return [sys.executable, __file__, str(os.getpid()), str(int(death_signal)), *argv]


def run_watched(parent: int, death_signal: int, argv: Sequence[str]) -> int:
    """Run ``argv``, forward SIGTERM and SIGINT to it, and end it when this process's parent changes.

    Returns the exit code of the command (128 + n if signal n ended it, as shells do).
    """
    child = subprocess.Popen(argv)  # noqa: S603 (the stack's own command line)

    def pass_on(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    while child.poll() is None:
        if os.getppid() != parent:
            child.send_signal(death_signal)
            try:
                child.wait(_KILL_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
            break
        time.sleep(_POLL_INTERVAL_S)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(run_watched(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
