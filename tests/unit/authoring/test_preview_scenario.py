"""Scenarios of a preview in YAML: what is read, and how all faults of a file are told at once."""

import inspect
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

import journeys
from authoring.preview.scenario import (
    SAMPLE_SCENARIO,
    VERBS,
    InvalidScenario,
    ScenarioStep,
    convert_value,
    parse_scenario,
    read_scenario,
)
from authoring.testing.shopper import Shopper
from journeys.registry import load_journeys
from workers.errors import UserError


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(InvalidScenario) as refused:
        parse_scenario(text, "mine.yaml")
    return list(refused.value.faults)


def story(lines: str) -> tuple[ScenarioStep, ...]:
    return parse_scenario(f"story:\n{lines}").story


def test_a_scenario_is_read_as_it_reads() -> None:
    found = parse_scenario(
        """
shopper: {name: Ben, timezone: Asia/Tokyo, consents: {email: true, sms: false}, phone: null}
starts_at: 20:30
products: {lamp: {name: Aria lamp, price: 39.0}}
also_runs: [post-purchase]
effects: {points: 250}
story:
  - adds: lamp
  - waits: 2h30m
  - clicks
"""
    )

    consents = {"email": True, "sms": False}
    assert found.shopper == {"name": "Ben", "timezone": "Asia/Tokyo", "consents": consents, "phone": None}
    assert (found.starts_at, found.also_runs) == (time(20, 30), ("post-purchase",))
    assert (found.products, found.effects) == (
        {"lamp": {"name": "Aria lamp", "price": 39.0}},
        {"points": 250},
    )
    assert found.story == (
        ScenarioStep(8, "adds", ("lamp",)),
        ScenarioStep(9, "waits", (timedelta(hours=2, minutes=30),)),
        ScenarioStep(10, "clicks"),
    )


@pytest.mark.parametrize(
    ("lines", "step"),
    [
        pytest.param("- buys: [lamp, chair]", ScenarioStep(2, "buys", ("lamp", "chair")), id="several"),
        pytest.param(
            "- buys: lamp\n  where: store",
            ScenarioStep(2, "buys", ("lamp",), {"where": "store"}),
            id="by name",
        ),
        pytest.param(
            "- adds: lamp\n  quantity: 2", ScenarioStep(2, "adds", ("lamp",), {"quantity": 2}), id="a number"
        ),
        pytest.param("- cancels: 17", ScenarioStep(2, "cancels", ("17",)), id="an order is a text"),
        pytest.param("- clicks:", ScenarioStep(2, "clicks"), id="nothing said"),
        pytest.param(
            "- waits_until: 12:30", ScenarioStep(2, "waits_until", (time(12, 30),)), id="not sexagesimal"
        ),
        pytest.param(
            "- waits_until: 2031-06-03T09:00Z",
            ScenarioStep(2, "waits_until", (datetime(2031, 6, 3, 9, tzinfo=UTC),)),
            id="an instant",
        ),
        pytest.param(
            "- identifies: {plan: gold, age: 7}",
            ScenarioStep(2, "identifies", (), {"plan": "gold", "age": 7}),
            id="traits",
        ),
        pytest.param(
            "- happens: Star Given\n  properties: {stars: 3}",
            ScenarioStep(2, "happens", ("Star Given",), {"properties": {"stars": 3}}),
            id="an event of one's own",
        ),
    ],
)
def test_each_way_of_saying_something(lines: str, step: ScenarioStep) -> None:
    assert story(lines) == (step,)


def test_all_faults_are_told_at_once_each_with_its_line_and_what_there_is() -> None:
    found = faults(
        """shoper: {}
story:
  - ads: lamp
  - waits: 2
  - buys: lamp
    wher: store
  - buys: lamp
    where: moon
  - adds
  - waits: 1h
    waits: 2h
  - {}
"""
    )

    assert [line for line, _ in found] == [1, 3, 4, 6, 8, 9, 11, 12]
    said = [words for _, words in found]
    assert said[0].startswith(
        "there is no 'shoper' in a scenario (did you mean 'shopper'?); it has: shopper,"
    )
    assert said[1].startswith("a shopper cannot 'ads' (did you mean 'adds'?); they can: waits, waits_until,")
    assert said[2] == "`waits`: expected a length of time such as 3d, 2h30m or 45m; got '2'"
    assert said[3] == "`buys` knows no 'wher' (did you mean 'where'?); it has: where, order"
    assert said[4] == "`buys`: expected one of web, store, app; got 'moon'"
    assert said[5] == "`adds` needs product, such as `- adds: lamp`"
    assert said[6] == "'waits' is there twice"
    assert said[7] == "expected one thing the shopper does, such as `- adds: lamp`"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "expected a mapping with a `story`"),
        ("- adds: lamp", 1, "expected a mapping with a `story`"),
        ("shopper: {}", 1, "there is no `story`"),
        ("story: []", 1, "expected a list of what the shopper does"),
        ("story:\n- [1]", 2, "expected one thing the shopper does"),
        ("story:\n- adds: [", 2, "no YAML"),
        ("story:\n- waits_until: soon", 2, "expected a time such as 09:00"),
        ("story:\n- waits_until: 2031-06-03T09:00", 2, "expected a time such as 09:00"),
        ("story:\n- adds: lamp\n  quantity: two", 3, "expected a whole number; got 'two'"),
        ("story:\n- clicks: [a, b]", 2, "`clicks` takes one value, no list"),
        ("starts_at: noon\nstory:\n- clicks", 1, "`starts_at`: expected a time such as 09:00"),
        ("products: {lamp: 39}\nstory:\n- clicks", 1, "`products`: say of lamp what it is"),
        ("shopper: ada\nstory:\n- clicks", 1, "`shopper`: expected names and values"),
        ("effects: {x: !!python/name:os.system }\nstory:\n- clicks", 1, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_told_says_where_and_why(text: str, line: int, said: str) -> None:
    [(where, words)] = faults(text)

    assert where == line
    assert said in words


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml cannot be read"):
        read_scenario(tmp_path / "none.yaml")


def test_every_awaited_verb_of_a_shopper_can_be_said() -> None:
    awaited = {
        name
        for name, method in inspect.getmembers(Shopper, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }

    assert awaited - set(VERBS) == {"profile_id", "reload"}


@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS.values() if verb.required_parameters], ids=lambda verb: verb.name
)
def test_the_example_of_every_verb_can_be_told(verb: object) -> None:
    assert len(story(verb.example)) == 1  # type: ignore[attr-defined]


def test_a_word_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a whole number"):
        convert_value("two", int)


def test_the_sample_and_every_scenario_beside_a_shipped_journey_can_be_read() -> None:
    assert len(parse_scenario(SAMPLE_SCENARIO).story) == 3
    for definition in load_journeys().values():
        assert read_scenario(definition.folder / "preview.yaml").story
    assert Path(journeys.__file__).parent.is_dir()
