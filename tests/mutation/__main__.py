"""Mutation testing of what decides: ``python -m tests.mutation caps consent`` (no name: all of policy)."""

import argparse
import ast
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.mutation.changes import Mutant, mutants_of
from tests.mutation.equivalents import EQUIVALENT
from tests.mutation.trials import OPTIONS, SOURCES, Trials, at_module_level, forked, read, unchanged

TABLES = {"countries", "jurisdictions", "policy_words", "public_holidays", "us_states"}
"""Data: only their functions are mutated."""
THIRD_PARTY = ("phonenumbers.timezone", "pydantic_settings", "tzdata")


def main() -> None:
    """Print every mutant that no test noticed, and how many there were of each kind."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("modules", nargs="*")
    options.add_argument("--slowest", type=float, default=0.5, help="seconds of the slowest test to run")
    options.add_argument("--tests", nargs="*", help="test files; by default those that name policy")
    options.add_argument("--record", type=Path, help="which test calls what, kept from one call to the next")
    given = options.parse_args()
    modules = given.modules or sorted(path.stem for path in (SOURCES / "policy").rglob("[a-z]*.py"))
    mutants = [mutant for name in modules for mutant in _of(name)]
    results = Path(tempfile.mkdtemp()) / "results"
    files = given.tests or _test_files()
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, deadline=None, database=None, phases=tuple(hypothesis.Phase)[:3]
    )
    hypothesis.settings.load_profile("mutants")
    for name in THIRD_PARTY:
        __import__(name)
    _try(mutants, files, given.slowest, results, given.record or results.with_name("record"))
    _report(results.read_text().splitlines())


def _of(module: str) -> list[Mutant]:
    found = mutants_of(module, (SOURCES / "policy" / f"{module}.py").read_text())
    return [one for one in found if module not in TABLES or _in_function(one)]


def _in_function(mutant: Mutant) -> bool:
    return mutant.function != "" and not mutant.function.startswith(".")


def _test_files() -> list[str]:
    return [
        str(path)
        for path in sorted((SOURCES / "tests/unit/policy").rglob("test_*.py"))
        if _names_policy(path)
    ]


def _names_policy(path: Path) -> bool:
    tree = ast.parse(path.read_text())
    return any(
        isinstance(one, ast.ImportFrom) and (one.module or "").startswith("policy.") for one in ast.walk(tree)
    )


def _try(mutants: Sequence[Mutant], files: list[str], slowest_s: float, results: Path, record: Path) -> None:
    names = {str(Path(file).resolve().relative_to(SOURCES)) for file in files}

    def told(mutant: Mutant, result: str) -> None:
        if str(mutant) in EQUIVALENT and result != "killed":
            result = "equivalent"
        with results.open("a") as out:
            out.write(f"{result}\t{mutant.module}\t{mutant.line}\t{mutant}\n")
        if result in ("survived", "not run"):
            print(
                f"{result}: policy/{mutant.module}.py:{mutant.line} {mutant}", file=sys.__stdout__, flush=True
            )

    inside = [mutant for mutant in mutants if _in_function(mutant)]
    trials = Trials(inside, slowest_s, record, told)
    assert not forked(lambda: pytest.main([*OPTIONS, *files], plugins=[trials])), "the trials broke off"
    tests = [one for one in read(record, slowest_s) if one["test"].split("::")[0] in names]
    sound: set[str] = set()
    for mutant in mutants:
        if _in_function(mutant):
            continue
        near = _nearest(mutant.module, tests)
        if mutant.module not in sound:
            assert not forked(partial(at_module_level, unchanged(mutant), near)), (
                f"not sound: {mutant.module}"
            )
            sound.add(mutant.module)
        told(mutant, "killed" if forked(partial(at_module_level, mutant, near)) else "survived")


def _nearest(module: str, tests: Sequence[dict[str, Any]], most: int = 400) -> list[str]:
    """Tests that call the module, those first whose file is named after it."""
    of_it = [one["test"] for one in tests if any(f".{module}:" in call for call in one["calls"])]
    of_it = of_it or [one["test"] for one in tests]
    return sorted(of_it, key=lambda name: module not in name)[:most]


def _report(lines: Sequence[str]) -> None:
    counts = Counter(tuple(line.split("\t")[1::-1]) for line in lines)
    kinds = ("killed", "survived", "not run", "equivalent")
    print(f"{'module':20}{'mutants':>9}" + "".join(f"{kind:>12}" for kind in kinds))
    for module in [*dict.fromkeys(module for module, _ in counts), "all"]:
        of_it = [
            sum(n for (name, result), n in counts.items() if result == kind and module in (name, "all"))
            for kind in kinds
        ]
        print(f"{module:20}{sum(of_it):9}" + "".join(f"{count:12}" for count in of_it))


if __name__ == "__main__":
    main()
