"""What the figures were measured on, and how much processor time a process has used."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME_FIELD, _CUTIME_FIELD = 11, 13
"""Positions in /proc/<pid>/stat, counted from the process's state: utime, stime; cutime, cstime."""


def describe_machine() -> dict[str, Any]:
    """Kind and load of the machine, at this moment."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process and of its children that have ended; None where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The program's name stands in brackets and may hold spaces.
    fields = stat.rpartition(")")[2].split()
    ticks = [int(field) for field in fields[_UTIME_FIELD : _CUTIME_FIELD + 2]]
    return sum(ticks) / _TICKS_PER_SECOND


class CpuClock:
    """Processor time that named processes use between ``start`` and ``per``."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._before: dict[str, float] = {}

    def start(self) -> None:
        """Count from here."""
        self._before = self._now()

    def ms_per_item(self, count: int) -> dict[str, float]:
        """Milliseconds per item since ``start``; empty where the system does not tell."""
        now = self._now()
        return {
            name: (now[name] - before) * 1000 / count for name, before in self._before.items() if name in now
        }

    def _now(self) -> dict[str, float]:
        told = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        return {name: seconds for name, seconds in told.items() if seconds is not None}
