"""Makes a child process end when its parent does, however the parent ends.

On Linux the kernel does it (``prctl(PR_SET_PDEATHSIG)``). Elsewhere this file runs as a small
process of its own between parent and child, which notices when it has been adopted by another parent.
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
    """What to run in the child between fork and exec; None where the platform has no such call.

    The signal is tied to the thread that forks, so start children from a thread that lives as long
    as they should. The kernel forgets it when the child changes its user, so it must run after that:
    ``subprocess`` calls its ``preexec_fn`` last.
    """
    if _LIBC is None:
        return None
    libc, parent = _LIBC, os.getpid()

    def arrange() -> None:
        if libc.prctl(_PR_SET_PDEATHSIG, int(death_signal)) != 0 or os.getppid() != parent:
            # The parent was gone before the request was in place: nobody would ever end us.
            os._exit(1)

    return arrange


def watched_command(argv: Sequence[str], death_signal: signal.Signals) -> list[str]:
    """The command line that runs ``argv`` under the watching process of this file."""
    return [sys.executable, __file__, str(os.getpid()), str(int(death_signal)), *argv]


def run_watched(parent: int, death_signal: int, argv: Sequence[str]) -> int:
    """Run ``argv``, pass SIGTERM and SIGINT on to it, and end it when ``parent`` is no longer our parent.

    Returns the exit code of the command (128 + n when a signal ended it, as shells do).
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
