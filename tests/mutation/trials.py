"""Runs unit tests against one mutant after the other, each in a fork of a process that has loaded them."""

import ast
import contextlib
import gc
import importlib
import importlib.util
import io
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from itertools import count
from mmap import mmap
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.changes import Mutant

PATIENCE_S = 4
"""A test that takes longer has noticed the mutant: some make an endless loop."""
SOURCES = Path(__file__).parents[2]
OPTIONS = (
    "-q",
    "--noconftest",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "-o",
    "timeout=0",
    "--capture=sys",
    "--assert=plain",
)

Told = Callable[[Mutant, str], None]


class Trials:
    """A pytest plugin: instead of all tests once, it runs for every mutant those that call its function.

    Leaves out what is slower than ``slowest_s``, and what fails on the sound code.
    """

    def __init__(self, mutants: Sequence[Mutant], slowest_s: float, record: Path, told: Told) -> None:
        self._mutants, self._slowest_s, self._record, self._told = mutants, slowest_s, record, told
        self._noticed = memoryview(mmap(-1, 8)).cast("q")
        self._successes: Counter[str] = Counter()
        self._order = count(1)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        gc.collect()
        gc.freeze()  # or collecting in a fork would copy all of this process
        _observe(session.items, self._record, self._slowest_s)
        calls = read(self._record, self._slowest_s)
        sound: set[str] = set()
        for mutant in self._mutants:
            name = f"policy.{mutant.module}:{mutant.function}"
            callers = [items[one["test"]] for one in calls if name in one["calls"] and one["test"] in items]
            if name not in sound and callers:
                assert not forked(partial(_survives, unchanged(mutant), callers)), f"not sound: {name}"
                sound.add(name)
            callers.sort(key=lambda item: -self._successes[item.nodeid])
            status = forked(partial(_survives, mutant, callers, self._noticed)) if callers else 0
            if status and self._noticed[0]:
                self._successes[callers[self._noticed[0] - 1].nodeid] = next(self._order)
            self._told(mutant, "killed" if status else "survived" if callers else "not run")
        return True


def unchanged(mutant: Mutant) -> Mutant:
    """The mutant that every test passes on: it tells a fault of these trials from a noticed change."""
    return mutant._replace(tree=lambda: ast.parse((SOURCES / "policy" / f"{mutant.module}.py").read_text()))


def read(record: Path, slowest_s: float) -> list[dict[str, Any]]:
    """Tests that pass on the sound code and are fast enough, the fastest first."""
    tests = [json.loads(line) for line in record.read_text().splitlines()]
    return sorted(
        (one for one in tests if one["passed"] and one["seconds"] <= slowest_s),
        key=lambda one: one["seconds"],
    )


def at_module_level(mutant: Mutant, tests: Sequence[str]) -> int:
    """Whether tests notice a change that is made when the module is loaded: 0 where none does."""
    code = compile(mutant.tree(), f"policy/{mutant.module}.py", "exec")
    sys.meta_path.insert(0, _Instead(f"policy.{mutant.module}", code))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main([*OPTIONS, "-x", *tests]))


def forked(work: Callable[[], Any], patience_s: float | None = None) -> int:
    """The status of ``work`` in a fork: 0 where it returns nothing; not 0 where it raises or is ended.

    ``patience_s`` is of the processor's time, so that a busy machine kills no mutant.
    """
    child = os.fork()
    if not child:
        gc.disable()
        status = 1
        try:
            if patience_s is not None:
                signal.setitimer(signal.ITIMER_PROF, patience_s)
            status = int(work() or 0)
        except BaseException:
            if os.environ.get("TRIALS_SAY"):
                traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return status


class _Instead(Loader):
    """Loads a mutant in place of its module."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._code = name, code

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self._name else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        exec(self._code, module.__dict__)


def _observe(items: Sequence[pytest.Item], record: Path, slowest_s: float) -> None:
    record.touch()
    seen = {json.loads(line)["test"] for line in record.read_text().splitlines()}
    for item in items:
        if item.nodeid in seen:
            continue
        if forked(partial(_observe_one, item, record), patience_s=1 + 5 * slowest_s):
            _write(record, {"test": item.nodeid, "passed": False, "seconds": 0.0, "calls": []})


def _observe_one(item: pytest.Item, record: Path) -> None:
    calls: set[str] = set()
    began = time.process_time()
    sys.setprofile(lambda frame, event, _: _note(frame.f_code, event, calls))
    passed = _passes(item, None)
    sys.setprofile(None)
    found = {
        "test": item.nodeid,
        "passed": passed,
        "seconds": time.process_time() - began,
        "calls": sorted(calls),
    }
    _write(record, found)


def _write(record: Path, found: dict[str, Any]) -> None:
    with record.open("a") as out:
        out.write(json.dumps(found) + "\n")


def _note(code: CodeType, event: str, calls: set[str]) -> None:
    if event == "call" and "/policy/" in code.co_filename and not code.co_name.startswith("<"):
        name = code.co_qualname.split(".<locals>")[0]
        calls.add(f"policy.{Path(code.co_filename).stem}:{name}")


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("policy."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def _survives(mutant: Mutant, callers: Sequence[pytest.Item], noticed: memoryview | None = None) -> int:
    """0 where every test passes; ``noticed`` then holds 0, else the number of the one that failed."""
    noticed = noticed if noticed is not None else memoryview(bytearray(8)).cast("q")
    noticed[0] = 0
    function = _function(f"policy.{mutant.module}", mutant.function)
    compiled = compile(mutant.tree(), function.__code__.co_filename, "exec")
    function.__code__ = _code(compiled, mutant.function.split("."))
    _forget()
    for number, (item, following) in enumerate(zip(callers, [*callers[1:], None], strict=True), 1):
        noticed[0] = number
        signal.setitimer(signal.ITIMER_PROF, PATIENCE_S)
        if not _passes(item, following):
            return 1
    return 0


def _passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    return all(not report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def _function(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = vars(found)[part]
    for _ in range(3):
        for wrapping in ("__wrapped__", "fget", "func", "__func__"):
            found = getattr(found, wrapping, found)
    return found


def _code(code: CodeType, names: Sequence[str]) -> CodeType:
    for name in names:
        code = next(one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == name)
    return code
