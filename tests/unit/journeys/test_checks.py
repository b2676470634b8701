"""What is wrong with a journey is said when it is loaded: all of it, in its line, and nothing else."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from journeys.cart_abandonment.story import CartAbandonment
from journeys.checks.errors import JourneyError, JourneyFault
from journeys.checks.run import faults_of, message_faults_of
from journeys.registry import discover_journeys, load_journeys
from tests.support.environments.command import CommandResult, call_waypost, run_waypost
from workers.errors import UserError as Refused
from workers.startup import build_catalog, load_checked_journeys

ROOT = Path(__file__).parents[3]

BAD_JOURNEYS = ROOT / "tests" / "support" / "journeys" / "bad_journeys"

BAD_MODULES = "tests.support.journeys.bad_journeys"

BAD = sorted(file.stem for file in BAD_JOURNEYS.glob("[a-z]*.py"))

_DECLARED = re.compile(r"# fault: (.*?)(?=\s*# fault:|$)")


def declared(name: str) -> list[tuple[int, str]]:
    """The faults that a file says it has, with their lines."""
    found: list[tuple[int, str]] = []
    above: list[str] = []
    for number, line in enumerate((BAD_JOURNEYS / f"{name}.py").read_text().splitlines(), 1):
        texts = _DECLARED.findall(line)
        if line.lstrip().startswith("#"):
            above += texts
            continue
        found += [(number, text) for text in (*above, *texts)]
        above = []
    return found


def found_in(names: Sequence[str], *, complete: bool = True) -> list[JourneyFault]:
    """Faults of these files, with those that need to know the messages."""
    reading = discover_journeys([f"tests.support.journeys.bad_journeys.{name}" for name in names])
    shipped = [definition.folder for definition in load_journeys().values()]
    catalog = build_catalog([*shipped, *reading.folders], complete=complete)
    more = [fault for each in reading.journeys.values() for fault in message_faults_of(each, catalog)]
    return list(JourneyError([*reading.faults, *more]).faults)


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_said_in_its_line_and_no_other_is(name: str) -> None:
    expected = declared(name)
    found = [(fault.line, fault.message) for fault in found_in([name])]

    assert expected
    for line, text in expected:
        assert [said for at, said in found if at == line and text in said], (line, text, found)
    assert Counter(line for line, _ in expected) == Counter(line for line, _ in found)


def test_all_faults_of_all_journeys_and_messages_are_said_at_once() -> None:
    with pytest.raises(Refused) as refused:
        load_checked_journeys(["journeys", *(f"tests.support.journeys.bad_journeys.{name}" for name in BAD)])

    told = str(refused.value)
    for name in BAD:
        for line, _ in declared(name):
            assert f"    tests/support/journeys/bad_journeys/{name}.py:{line}: " in told
    assert told.splitlines()[0].endswith("faults in journeys:")
    assert not re.search(r"[`*]", "\n".join(line for line in told.splitlines() if "backtick" not in line))


def test_faults_stand_by_journey_in_the_order_of_the_code_a_line_each() -> None:
    undecorated, second = declared("unregistered")

    with pytest.raises(JourneyError) as refused:
        load_journeys(["tests.support.journeys.bad_journeys.unregistered"])

    assert str(refused.value) == (
        "2 faults in journeys:\n"
        "  first\n"
        f"    tests/support/journeys/bad_journeys/unregistered.py:{second[0]}: the name 'first' is "
        "taken by "
        "tests.support.journeys.bad_journeys.unregistered.First; give it another: name=…\n"
        "  tests.support.journeys.bad_journeys.unregistered\n"
        f"    tests/support/journeys/bad_journeys/unregistered.py:{undecorated[0]}: "
        "Undecorated is not a journey; write "
        "@journey(starts_on=…, keyed_by=…) above class Undecorated(Journey)"
    )


@pytest.mark.parametrize("word", ["stop", "Continue", None, True])
def test_a_word_on_merges_that_there_is_not_is_told_with_those_there_are(word: Any) -> None:
    [fault] = faults_of(replace(CartAbandonment.definition, on_merge=word))

    assert fault.message == (
        f'on_merge={word!r}: expected "continue" (a run goes on under the person that its own turns out to '
        'be) or "end" (it ends at once, as merged)'
    )


def test_a_template_may_lie_beside_a_journey_that_could_not_be_imported() -> None:
    said = [fault.message for fault in found_in(["messages"], complete=False)]

    assert len(said) > 5
    assert not [message for message in said if message.startswith("no template")]


BROKEN = {
    "unparsable": ("class Broken(\n", "unparsable.py:1: '(' was never closed"),
    "raising": ("JOURNEYS = ()\nprint(1 / 0)\n", "raising.py:2: ZeroDivisionError: division by zero"),
    "without_a_list": (
        "STORIES = ()\n",
        "module 'without_a_list' has no attribute 'JOURNEYS'; WAYPOST_JOURNEYS names",
    ),
    "without_run": (
        "from journeys.vocabulary import PERSON, Journey, journey\n"
        "from profiles.events import ProductViewed\n\n\n"
        "@journey(starts_on=ProductViewed, keyed_by=PERSON)\n"
        "class Silent(Journey):\n"
        "    pass\n\n\n"
        "JOURNEYS = (Silent,)\n",
        "without_run.py:5: Silent is decorated with @journey and must define",
    ),
    "holding_no_class": ("JOURNEYS = (3,)\n", "JOURNEYS holds 3, which is no class"),
}


def test_a_module_that_cannot_be_imported_hides_no_fault_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name, (text, _) in BROKEN.items():
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)

    with pytest.raises(JourneyError) as refused:
        load_journeys([*BROKEN, "nowhere_to_be_found", "tests.support.journeys.bad_journeys.arms"])

    told = str(refused.value)
    for _, said in BROKEN.values():
        assert said in told
    assert "No module named 'nowhere_to_be_found'; WAYPOST_JOURNEYS names modules" in told
    assert "tests/support/journeys/bad_journeys/arms.py" in told


@pytest.mark.parametrize(
    ("command", "run"), [("worker", run_waypost), ("doctor", call_waypost)], ids=["worker", "doctor"]
)
def test_the_worker_and_the_doctor_tell_every_fault_and_fail(
    command: str, run: Callable[..., CommandResult], tmp_path: Path
) -> None:
    done = run(
        command,
        folder=tmp_path,
        DATABASE_URL="postgresql://waypost:x@127.0.0.1:1/none",
        TEMPORAL_ADDRESS="127.0.0.1:1",
        WAYPOST_JOURNEYS=f"journeys,{BAD_MODULES}.messages,{BAD_MODULES}.arms",
        WAYPOST_SECRETS="a-secret-of-tests-which-is-long-enough-to-sign-with",
    )

    told = done.stdout + done.stderr
    assert done.exit_code == 1
    assert "no template 'cart_remindr'; did you mean 'cart_reminder'? available: cart_news" in told
    assert "tests/support/journeys/bad_journeys/arms.py" in told
    assert "Traceback" not in told
