"""Shapes of stories: a change that open runs cannot replay is named before it is deployed.

Record the shipped ones anew by ``waypost check --record``, or ``WAYPOST_RECORD=1 pytest`` on this file, once
no run of the old shape is open.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from authoring.replay.comparing import Changed, changed
from authoring.replay.reading import shape_of
from authoring.replay.recorded import compare, save
from authoring.replay.shape import read, written
from journeys.registry import SHIPPED
from journeys.vocabulary import Journey

HEAD = '''
from temporalio import workflow
from journeys.vocabulary import *
from profiles.events import *

LONG = hours(1)
SEEN = (ProductAdded, ProductRemoved)


def dear(event: ProductAdded) -> bool:
    """Worth a letter."""
    return (event.price or 0) > 10

'''

STORY = """
@journey(starts_on=ProductAdded, keyed_by="cart_id", ends_on=goal(OrderCompleted, outcome="bought"))
class Tale(Journey):
    async def run(self, entry: ProductAdded) -> str:
        big = dear(entry)
        await self.quiet(LONG, of=SEEN)
        self.forget(MessageClicked, MessageOpened)
        await self.opt_out(SMS)
        told = await self.send("hello", promoting=None, prefer=(EMAIL, SMS))
        if big and await self.wait_for(MessageClicked, of=told, within=days(1)):
            return "clicked"
        await self.remind("again", times=2)
        await self.sleep(days(2))
        return "told"

    async def remind(self, template: str, times: int) -> bool:
        for _ in range(times):
            await self.send(template, promoting=None, expires=hours(3))
        return times > 1
"""

Tell = Callable[[str], type[Journey]]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Writes a story to a file and loads it; each time a module of its own."""
    count = 0

    def load(story: str) -> type[Journey]:
        nonlocal count
        count += 1
        file = tmp_path / f"story_{count}.py"
        file.write_text(HEAD + story)
        spec = importlib.util.spec_from_file_location(f"{tmp_path.name}_{count}".replace("-", "_"), file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        found: type[Journey] = module.Tale
        return found

    return load


def after(tell: Tell, old: str, new: str) -> Changed | None:
    """What is said of a story in which one passage was replaced."""
    whole = HEAD + STORY
    assert old in whole, f"{old!r} is no passage of the story"
    recorded = shape_of(tell(STORY))
    text = whole.replace(old, new)
    return changed(tell(text.removeprefix(HEAD)) if text.startswith(HEAD) else tell(text), recorded)


@pytest.mark.parametrize("journey", SHIPPED, ids=lambda journey: journey.definition.name)
def test_a_shipped_story_has_the_shape_its_open_runs_began_with(journey: type[Journey]) -> None:
    if os.environ.get("WAYPOST_RECORD"):
        save([journey])
    comparison = compare([journey])

    assert [str(each) for each in comparison.changed] == []
    assert comparison.new == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("within=days(1)", "within=days(3)"),
        ("self.sleep(days(2))", "self.sleep(weeks(1))"),
        ('"hello"', '"good_morning"'),
        ("(EMAIL, SMS)", "(SMS, EMAIL)"),
        ("expires=hours(3)", "expires=hours(6), context={'a': 1}"),
        ('return "told"', 'return "told, and done"'),
        ('outcome="bought"', 'outcome="converted"'),
        ("told", "first_word"),
        ('"again"', '"once_more"'),
        ("        big = dear(entry)\n", "        big = dear(entry)\n        note = {'a': entry.price}\n"),
        ("        await self.sleep(days(2))\n", "        if workflow.patched('n'):\n            "
         "await self.sleep(days(1))\n        await self.sleep(days(2))\n"),
        ("        await self.sleep(days(2))\n", "        if not workflow.patched('n'):\n            "
         "await self.sleep(days(2))\n"),
        ("        await self.sleep(days(2))\n", "        if workflow.patched('n'):\n            "
         "await self.suggestions()\n        else:\n            await self.sleep(days(2))\n"),
        ("        await self.sleep(days(2))\n", "        new = workflow.patched('n')\n        if new:\n"
         "            return 'no'\n        await self.sleep(days(2))\n"),
        ("        await self.sleep(days(2))\n", "        if not workflow.patched('n'):\n            "
         "await self.sleep(days(2))\n            return 'told'\n        await self.suggestions()\n"),
        ('"""Worth a letter."""', '"""Worth it."""'),
        ("self.opt_out(SMS)", "self.opt_out(EMAIL, topic='news')"),
        ("self.forget(MessageClicked, MessageOpened)", "self.forget(MessageOpened, MessageClicked)"),
    ],
    ids=[
        "the length of a wait", "the length of a sleep", "a template", "the order of channels",
        "an expiry and a context", "an outcome", "the outcome of a goal", "a name of the author's own",
        "an argument that only names a template", "a value that no step depends on", "a guarded step more",
        "a guarded step less", "a guarded change", "a guard held in a name", "a guarded ending",
        "a docstring", "whom an opt-out concerns", "the order of what is forgotten",
    ],
)  # fmt: skip
def test_a_change_that_a_replay_does_not_mind_passes(tell: Tell, old: str, new: str) -> None:
    assert after(tell, old, new) is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("        await self.sleep(days(2))\n", "", "removed: sleep (days(2))"),
        ("        await self.sleep(days(2))\n", "        await self.sleep(days(2))\n        "
         "await self.suggestions()\n", "added: suggestions, after sleep (days(2))"),
        ("        await self.remind(\"again\", times=2)\n        await self.sleep(days(2))\n",
         "        await self.sleep(days(2))\n        await self.remind(\"again\", times=2)\n", "moved: "),
        ("within=days(1)", "within=days(0)", "which was wait_for MessageClicked, of=$2, within (days(1))"),
        (", within=days(1)", "", "which was wait_for MessageClicked, of=$2, within"),
        ("MessageClicked", "MessageOpened", "which was wait_for MessageClicked"),
        ("of=told, ", "", "changed: wait_for MessageClicked, within"),
        ("(EMAIL, SMS)", "(EMAIL, SMS, PUSH)", "changed: send by EMAIL or PUSH or SMS"),
        ("(EMAIL, SMS)", "(EMAIL,)", "changed: send by one channel"),
        ("LONG = hours(1)", "LONG = hours(2)", "changed: LONG = hours(2), which was LONG = hours(1)"),
        ("SEEN = (ProductAdded, ProductRemoved)", "SEEN = (ProductAdded,)", "changed: SEEN = (Product"),
        ("> 10", "> 20", "changed: return (event.price or 0) > 20"),
        ("big and await", "await", "removed: if "),
        ("times > 1", "times > 2", "changed: return times > 2"),
        ("times=2", "times=3", "changed: remind(times=3)"),
        ("goal(OrderCompleted", "goal(OrderCompleted, OrderRefunded", "changed: ends_on=goal("),
        ("starts_on=ProductAdded", "starts_on=(ProductAdded, CheckoutStarted)", "changed: starts_on="),
        ("        for _ in range(times):\n            await self.send(template",
         "        if times:\n            await self.send(template", "added: if times:"),
        ("self.sleep(days(2))", "self.perform('look_up', entry)", "perform look_up"),
        ("self.sleep(days(2))", "workflow.execute_activity('look_up', entry)",
         "workflow.execute_activity look_up"),
        ("        await self.opt_out(SMS)\n", "", "removed: opt_out (SMS)"),
        ("        self.forget(MessageClicked, MessageOpened)\n", "", "removed: forget MessageClicked, Mess"),
        ("forget(MessageClicked, MessageOpened)", "forget(MessageOpened)", "changed: forget MessageOpened"),
    ],
    ids=[
        "a step less", "a step more", "steps in another order", "a wait of no length",
        "a wait without an end",
        "another event",
        "of any message", "a channel more", "a channel less", "the length of a quiet", "what a quiet is of",
        "a condition in a function of its own", "half a condition", "what a method returns", "how often",
        "one more goal",
        "another start", "a branch for a loop", "an activity for a sleep", "plain temporalio for a sleep",
        "an opt-out less", "old news that is news again", "less that is forgotten",
    ],
)  # fmt: skip
def test_a_change_that_would_break_open_runs_is_named_with_its_place(
    tell: Tell, old: str, new: str, words: str
) -> None:
    found = after(tell, old, new)

    assert found is not None
    assert words in str(found)
    assert "story_2.py" in str(found)
    assert "workflow.patched" in str(found)
    assert "waypost check --record" in str(found)


def test_the_new_way_of_a_patch_counts_once_it_is_recorded(tell: Tell) -> None:
    guarded = STORY.replace(
        "        await self.sleep(days(2))\n",
        "        if workflow.patched('n'):\n            await self.suggestions()\n"
        "        else:\n            await self.sleep(days(2))\n",
    )
    careless = guarded.replace("await self.suggestions()", "await self.profile()")

    assert changed(tell(careless), shape_of(tell(STORY))) is None
    assert "profile" in str(changed(tell(careless), shape_of(tell(guarded))))


def test_a_shape_is_the_same_after_it_was_written_and_read(tell: Tell) -> None:
    cls = tell(STORY)
    shape = shape_of(cls)

    assert changed(cls, read(written([shape]))["tale"]) is None
    assert [line.hint for line in read(written([shape]))["tale"].lines] == [line.hint for line in shape.lines]


def test_a_new_journey_is_said_and_then_recorded_beside_its_story(tell: Tell, tmp_path: Path) -> None:
    cls = tell(STORY)
    before = compare([cls])
    files = save([cls])

    assert before.new == ["tale"]
    assert files == [tmp_path / "story_1.shape"]
    assert compare([cls]).same == ["tale"]


def test_a_story_with_every_kind_of_statement_has_a_shape(tell: Tell) -> None:
    lines = written([shape_of(tell(EVERYTHING))])

    for told in (
        "again and again:", "so long as not $", "for $", "match $", "case MessageClicked():", "try:",
        "except TimeoutError:", "finally:", "with open_door($", "await asyncio.gather($", "if entry.price:",
        "unless $", "workflow.wait_condition lambda: True, timeout", "deprecate_patch 'old'",
        "perform look_up",
        "else:", "continue", "break", "raise",
    ):  # fmt: skip
        assert told in lines


EVERYTHING = """
import asyncio

@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Tale(Journey):
    async def run(self, entry: ProductAdded) -> str:
        workflow.deprecate_patch("old")
        while not await self.wait_for(MessageClicked, within=days(1)):
            if self.now().month == 2:
                continue
            break
        for item in await self.suggestions():
            await self.send("x", promoting=(item,))
        match await self.wait_for(MessageClicked, OrderCompleted):
            case MessageClicked():
                await self.sleep(days(1))
            case _:
                raise ValueError
        try:
            await workflow.wait_condition(lambda: True, timeout=5)
        except TimeoutError:
            return "late"
        finally:
            await self.retarget((), audience="a")
        n = entry.product_id
        with open_door(n):
            await self.perform(look_up, n)
        await asyncio.gather(self.send("a", promoting=None), self.send("b", promoting=None))
        found = await self.profile() if entry.price else None
        if found or await self.wait_for(MessageClicked):
            n += "x"
        else:
            return "b"
        return [await self.send(t, promoting=None) for t in (n, n)]
"""
