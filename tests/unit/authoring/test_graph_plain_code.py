"""What a picture makes of code that is no word of the vocabulary, and of endings it cannot ask."""

import argparse
import ast
import asyncio.base_events
import inspect
import smtplib
import tarfile
import typing
from dataclasses import replace
from datetime import timedelta
from itertools import count
from types import ModuleType

import pytest
from temporalio import workflow

from authoring.graph.expressions import OwnMethods
from authoring.graph.flow import FlowBuilder, Kind, OpenEnd
from authoring.graph.phrasing import Phrasing
from authoring.graph.reader import StatementReader, flow_of
from authoring.graph.scope import code_of
from journeys.source.reader import Function
from journeys.source.vocabulary import WORDS
from journeys.vocabulary import PERSON, Journey, days, journey
from journeys.vocabulary.endings import Ending, RunEnding
from profiles.events import OrderCompleted, OrderDelivered, ProductViewed

PATIENCE = timedelta(days=3)


class Picky(Exception):
    """A rule that wants more than an event."""


def _picky(event: object, cart: object) -> RunEnding | None:
    raise Picky


@journey(starts_on=ProductViewed, keyed_by=PERSON, ends_on=Ending((OrderCompleted,), _picky))
class Plain(Journey):
    async def run(self, entry: ProductViewed) -> None:
        count = len("nothing of this is drawn")
        if count > 3:
            count += 1
        delivered = await self.wait_for(OrderDelivered, within=PATIENCE)
        await workflow.execute_activity("reserve", entry.product_id, start_to_close_timeout=PATIENCE)
        try:
            await self._of_my_own(count)
        except ValueError:
            await self.sleep(days(1))
        if delivered is None and count:
            await workflow.wait([self.send("a", promoting=None), self.send("b", promoting=None)])
        return
        await self.sleep(days(99))

    async def _of_my_own(self, count: int) -> None:
        """Takes no step, so nothing of it is drawn."""


def test_what_is_no_word_of_the_vocabulary_stands_as_it_is_written() -> None:
    flow = flow_of(Plain.definition)
    calls = [(node.title, node.lines) for node in flow.nodes if node.kind is Kind.CALL]

    assert calls == [
        ("workflow.execute_activity('reserve', entry.product_id, start_to_close_timeout=PATIENCE)", ()),
        ("workflow.wait(…)", ("send a", "send b")),
    ]
    [tried] = [node for node in flow.nodes if node.title == "does it work?"]
    assert {edge.label for edge in flow.edges if edge.source == tried.id} == {"try", "on ValueError"}


def test_an_earlier_wait_is_still_known_by_what_was_waited_for() -> None:
    titles = [node.title for node in flow_of(Plain.definition).nodes]

    assert "no Order Delivered came and count?" in titles


def test_what_can_never_be_reached_is_left_out_and_no_result_is_an_outcome_too() -> None:
    flow = flow_of(Plain.definition)

    assert [node.title for node in flow.nodes if node.kind is Kind.END] == ["None"]
    assert "99 days" not in [node.title for node in flow.nodes]


def test_an_ending_that_cannot_be_asked_is_still_in_the_picture() -> None:
    [interrupt] = flow_of(Plain.definition).interrupts

    assert (interrupt.event, interrupt.outcome) == ("Order Completed", "ended")


class _AsStory(ast.NodeTransformer):
    """Any code as a story: every third call says a word, with whatever it was given; others are awaited."""

    def __init__(self) -> None:
        self._calls = count()
        self._words = sorted(WORDS)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        number = next(self._calls)
        word = ast.Attribute(
            ast.Name("self", ast.Load()), self._words[number // 3 % len(self._words)], ast.Load()
        )
        said = ast.Call(word, node.args, node.keywords) if number % 3 == 0 else node
        return said if number % 3 == 2 else ast.Await(said)


@pytest.mark.parametrize(
    "module", [argparse, asyncio.base_events, smtplib, tarfile, typing], ids=lambda module: module.__name__
)
def test_there_is_no_code_that_cannot_be_read(module: ModuleType) -> None:
    tree = _AsStory().visit(ast.parse(inspect.getsource(module)))
    code = code_of(Plain.definition)
    read = 0
    for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        methods = {node.name: node for node in cls.body if isinstance(node, Function)}
        for method in methods.values():
            run = ast.AsyncFunctionDef("run", method.args, method.body, [])
            story = replace(code, run=run, methods=methods)
            flow = FlowBuilder()
            entry = flow.add(Kind.ENTRY, "it begins", (), ())
            StatementReader(flow, Phrasing(story), OwnMethods(story)).read(run.body, (OpenEnd(entry),))
            read += len(flow.nodes)

    assert read > 50
