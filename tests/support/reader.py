"""Do what a page says in a copy of the clone: write its files, apply its diffs, run its commands."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.docs import ROOT, Block, DocumentCommand

ROOMS = (
    "journeys",
    "profiles",
    "policy",
    "activities",
    "workers",
    "api",
    "local",
    "authoring",
    "cli",
    "tests",
    "bench",
)

SET_BY_OTHERS = ("DATABASE_URL", "WAYPOST_", "TEMPORAL_", "API_", "POSTGRES_", "PUBLIC_URL")

ANY_PORTS = {"API_PORT": "0", "TEMPORAL_PORT": "0", "TEMPORAL_UI_PORT": "0", "POSTGRES_PORT": "0"}

_SECONDS = re.compile(r" in \d+(\.\d+)?s")


class Reader:
    """A reader of a page with a clone of their own."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone
        kept = {k: v for k, v in os.environ.items() if not k.startswith(SET_BY_OTHERS)}
        self.environment = {**kept, **ANY_PORTS, "PYTHONPATH": str(clone), "NO_COLOR": "1", "COLUMNS": "200"}

    def writes(self, block: Block) -> None:
        """Write a block marked ``file=`` to its file; a diff is applied to it."""
        file = self.clone / block.mark.partition("=")[2]
        text = block.text
        if block.language == "diff":
            lines = block.text.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            old = file.read_text("utf-8")
            assert old.count(before) == 1, f"{block.place}: {file.name} has not exactly one such place"
            text = old.replace(before, after)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")

    def types(self, command: DocumentCommand, **instead: str) -> str:
        """Run one command, which has to succeed; returns its output without durations."""
        words = [instead.get(word, word) for word in command.words]
        done = subprocess.run(
            self.program(words),
            cwd=self.clone,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        return _SECONDS.sub("", done.stdout).strip()

    def program(self, words: list[str]) -> list[str]:
        """The command on this copy's code."""
        match words[0]:
            case "waypost":
                return [sys.executable, "-m", "cli.main", *words[1:]]
            case "make":
                # On what is installed already: the copy has no .venv.
                stamps = (f"--old-file={sys.prefix}/{name}" for name in (".runtime", ".installed"))
                return ["make", f"VENV={sys.prefix}", *stamps, *words[1:]]
            case "python":
                return [sys.executable, *words[1:]]
        raise AssertionError(f"the page types {words[0]!r}, which is not tried here")


def reader_in(folder: Path, *, leave_out: tuple[str, ...] = ()) -> Reader:
    """Copy what a clone holds into ``folder``, without the folders of tests that are named.

    Bytecode is copied too, but for that of pytest, which would name the original files in its reports.
    """
    ignored = shutil.ignore_patterns("*-pytest-*.pyc", "histories", *leave_out)
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=ignored)
    for name in ("pyproject.toml", "requirements.lock", "Makefile", "README.md"):
        shutil.copy(ROOT / name, folder)
    return Reader(folder)
