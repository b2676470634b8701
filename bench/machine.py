"""Description of the machine, and CPU time of processes."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME_FIELD, _CUTIME_FIELD = 11, 13
"""Positions in /proc/<pid>/stat, counted from the process's state: utime, stime; cutime, cstime."""


def describe_machine() -> dict[str, Any]:
    """Return the kind and the current load of the machine."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cpu_seconds(pid: int) -> float | None:
    """Return user and system time of a process and its ended children; None if there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The program's name is in brackets and may contain spaces.
    fields = stat.rpartition(")")[2].split()
    ticks = [int(field) for field in fields[_UTIME_FIELD : _CUTIME_FIELD + 2]]
    return sum(ticks) / _TICKS_PER_SECOND


class CpuClock:
    """CPU time that named processes use between ``start`` and ``ms_per_item``."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._before: dict[str, float] = {}

    def start(self) -> None:
        """Start the measurement."""
        self._before = self._now()

    def ms_per_item(self, count: int) -> dict[str, float]:
        """Return the milliseconds per item since ``start``, by process; empty if there is no /proc."""
        now = self._now()
        return {
            name: (now[name] - before) * 1000 / count for name, before in self._before.items() if name in now
        }

    def _now(self) -> dict[str, float]:
        used = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        return {name: seconds for name, seconds in used.items() if seconds is not None}
