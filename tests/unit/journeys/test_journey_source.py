"""The table of the vocabulary is derived from ``Journey``, and arguments of calls are found by it."""

import ast

import pytest

from journeys.cart_abandonment.story import CartAbandonment, Outcome
from journeys.post_purchase.story import PostPurchase
from journeys.source.reader import UNKNOWN, read_journey
from journeys.source.vocabulary import WORDS, Form, WordCall, word_call

DURATIONS = {
    "hold_while": ("within",),
    "perform": ("within", "attempt"),
    "quiet": ("length",),
    "retarget": ("until",),
    "send": ("expires",),
    "sleep": ("length",),
    "wait_for": ("within",),
    "wait_for_all": ("within",),
}


def call_of(code: str) -> WordCall:
    """The call of a word that an expression is."""
    call = word_call(ast.parse(code, mode="eval").body)
    assert call is not None
    return call


def test_every_public_member_of_a_journey_is_a_word_and_its_form_follows_from_the_class() -> None:
    forms = {form: {word.name for word in WORDS.values() if word.form is form} for form in Form}

    assert forms[Form.PROPERTY] == {"cart", "customer_id"}
    assert forms[Form.CALLED] == {"choose", "experiment", "forget", "now"}
    assert forms[Form.AWAITED] == {
        *DURATIONS,
        *("opt_out", "profile", "reports_deliveries", "sleep_until", "suggestions"),
    }


def test_parameters_annotated_as_a_length_of_time_are_durations() -> None:
    assert {word.name: word.durations for word in WORDS.values() if word.durations} == DURATIONS


@pytest.mark.parametrize(
    ("code", "parameter", "expected"),
    [
        ("self.retarget(items, 'sale', days(3))", "until", "days(3)"),
        ("self.retarget(items, audience='sale')", "audience", "'sale'"),
        ("self.sleep(*pause)", "length", "*pause"),
        ("self.retarget(*given, 'sale')", "audience", None),
        ("self.send('hello')", "promoting", None),
        ("self.wait_for(OrderCompleted, within=days(1))", "within", "days(1)"),
    ],
    ids=["by position", "by name", "unpacked itself", "after an unpacked one", "left out", "keyword only"],
)
def test_an_argument_is_found_by_name_or_by_its_position_in_the_signature(
    code: str, parameter: str, expected: str | None
) -> None:
    argument = call_of(code).argument(parameter)

    assert expected == (None if argument is None else ast.unparse(argument))


@pytest.mark.parametrize("code", ["self.remind()", "other.send()", "self.send", "send()"])
def test_other_code_is_no_call_of_a_word(code: str) -> None:
    assert word_call(ast.parse(code, mode="eval").body) is None


def test_the_source_of_a_journey_holds_every_function_that_its_run_reaches_and_their_words() -> None:
    source = read_journey(PostPurchase.definition)

    assert [getattr(each.node, "name", "") for each in source.functions] == [
        *("run", "is_missing", "kept", "ask_for_review")
    ]
    assert {"profile", "wait_for"} <= {call.word.name for _, call in source.word_calls()}


def test_names_are_resolved_through_the_imports_of_the_module() -> None:
    run = read_journey(CartAbandonment.definition).run
    assert run is not None
    expressions = {name: ast.parse(name, mode="eval").body for name in ("hours", "Outcome.NUDGED", "entry")}

    assert {name: run.qualified_name(each) for name, each in expressions.items()} == {
        "hours": "journeys.vocabulary.hours",
        "Outcome.NUDGED": "journeys.cart_abandonment.story.Outcome.NUDGED",
        "entry": "",
    }
    assert run.resolve(expressions["Outcome.NUDGED"]) is Outcome.NUDGED
    assert run.resolve(expressions["entry"]) is UNKNOWN
