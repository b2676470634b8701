"""What a text means for a declared type, fault by fault: nothing is passed over, nothing is said twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal

import pytest

from policy.config.toml_reader import ConfigError, Place, decode_toml, line_of, lines_of
from policy.verdict import Channel
from tests.support.builders.gate import HOUR


@dataclass(frozen=True)
class Slot:
    size: int
    name: str | None = None

    def __post_init__(self) -> None:
        if self.size > 9:
            raise ValueError("size: expected 9 or less")
        if self.size == 7 and self.name == "seven":
            raise ValueError("size and name: expected not both of the same")
        if self.size == 8:
            raise ValueError("no slot is of that kind")


@dataclass(frozen=True)
class ShopSettings:
    slots: tuple[Slot, ...] = ()
    first: Slot | None = None
    pair: tuple[int, str] = (1, "one")
    numbers: dict[int, int] = field(default_factory=lambda: {1: 1, 2: 2})
    waits: dict[Channel, timedelta] = field(default_factory=lambda: {Channel.SMS: HOUR})
    names: dict[str, str] = field(default_factory=dict)
    percent: Annotated[float, "of people"] = 1.0
    kind: Literal["big", "small"] = "big"
    window: timedelta | None = HOUR
    maybe: int | None = None
    words: Mapping[str, int] = field(default_factory=dict)


def read(raw: dict[str, Any]) -> tuple[ShopSettings, list[ConfigError]]:
    return decode_toml(ShopSettings(), raw, {})


def faults(raw: dict[str, Any]) -> list[str]:
    return [fault.words for fault in read(raw)[1]]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, ShopSettings()),
        ({"percent": 3}, ShopSettings(percent=3.0)),
        ({"kind": "small"}, ShopSettings(kind="small")),
        ({"window": " For Good "}, ShopSettings(window=None)),
        ({"window": "NONE"}, ShopSettings(window=None)),
        ({"window": "2h"}, ShopSettings(window=2 * HOUR)),
        ({"maybe": "none"}, ShopSettings(maybe=None)),
        ({"maybe": 3}, ShopSettings(maybe=3)),
        ({"pair": [2, "two"]}, ShopSettings(pair=(2, "two"))),
        ({"numbers": {"2": 5, "3": 6}}, ShopSettings(numbers={1: 1, 2: 5, 3: 6})),
        ({"numbers": {"1": "none"}}, ShopSettings(numbers={2: 2})),
        ({"waits": {"sms": "none", "email": "2h"}}, ShopSettings(waits={Channel.EMAIL: 2 * HOUR})),
        ({"names": {"a": "none"}}, ShopSettings(names={"a": "none"})),
        ({"slots": []}, ShopSettings()),
        ({"slots": [{"size": 1}, {"size": 2, "name": "two"}]}, ShopSettings(slots=(Slot(1), Slot(2, "two")))),
        ({"first": {"size": 4}}, ShopSettings(first=Slot(4))),
        ({"first": "none"}, ShopSettings()),
    ],
)
def test_what_is_sound_is_read(raw: dict[str, Any], expected: ShopSettings) -> None:
    assert read(raw) == (expected, [])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            {"window": "forever"},
            [
                'window: expected a length of time with its unit, such as "25d", "12h", "90m" or '
                '"2w", or "for good", got "forever"'
            ],
        ),
        ({"maybe": "x"}, ['maybe: expected a whole number, or "none", got "x"']),
        ({"kind": "smal"}, ["kind: expected one of big, small, got \"smal\"; did you mean 'small'?"]),
        ({"pair": [1]}, ["pair[2]: expected a value for [2], got nothing"]),
        ({"pair": ["x", 2]}, ['pair[1]: expected a whole number, got "x"', "pair[2]: expected text, got 2"]),
        ({"pair": 7}, ["pair: expected a list, got 7"]),
        ({"pair": {}}, ["pair: expected a list, got a table"]),
        ({"slots": {"size": 1}}, ["slots: expected [[slots]] for each one, got a table"]),
        ({"slots": 3}, ["slots: expected a list, got 3"]),
        ({"slots": [7]}, ["slots[1]: expected a table with size, name, got 7"]),
        ({"slots": [{}]}, ["slots[1].size: expected a value for size, got nothing"]),
        ({"slots": [{"size": 10}]}, ["slots[1].size: expected 9 or less"]),
        ({"slots": [{"size": 8}]}, ["slots[1]: no slot is of that kind"]),
        (
            {"slots": [{"size": 7, "name": "seven"}]},
            ["slots[1].size: size and name: expected not both of the same"],
        ),
        ({"first": {"size": "x"}}, ['first.size: expected a whole number, got "x"']),
        ({"first": {"size": 10}}, ["first.size: expected 9 or less"]),
        (
            {"numbers": {"x": 1, "y": "z"}},
            [
                "unknown key 'numbers.x'; known: a whole number",
                "unknown key 'numbers.y'; known: a whole number",
            ],
        ),
        (
            {"numbers": {"1": "x", "2": "y"}},
            ['numbers.1: expected a whole number, got "x"', 'numbers.2: expected a whole number, got "y"'],
        ),
        (
            {"waits": {"emial": "1h"}},
            ["unknown key 'waits.emial'; known: email, sms, push, ads; did you mean 'email'?"],
        ),
        ({"waits": 1}, ["waits: expected a table, got 1"]),
        (
            {"percnt": 1},
            [
                "unknown key 'percnt'; known: slots, first, pair, numbers, waits, names, percent, kind, "
                "window, maybe, words; did you mean 'percent'?"
            ],
        ),
        (
            {"qqq": 1, "percent": "x"},
            [
                "unknown key 'qqq'; known: slots, first, pair, numbers, waits, names, percent, "
                "kind, window, maybe, words",
                'percent: expected a number, got "x"',
            ],
        ),
    ],
)
def test_what_is_not_is_told_in_full(raw: dict[str, Any], expected: list[str]) -> None:
    assert sorted(faults(raw)) == sorted(expected)


def test_a_fault_in_one_entry_hides_none_in_the_next() -> None:
    assert len(faults({"slots": [{"size": 10}, {"size": "x"}, {"size": 11}]})) == 3
    assert len(faults({"first": {"size": 10}, "numbers": {"1": "x"}, "kind": 7, "percent": True})) == 4


def test_a_fault_stands_on_its_line_or_on_that_of_what_holds_it() -> None:
    text = "percent = 1\n\n[numbers]\n# a comment\n1 = 2\n[[slots]]\nsize = 1\n[[slots]]\nname = 'x'\n"
    lines = lines_of(text)

    assert [line_of(lines, at) for at in (("percent",), ("numbers", "1"), ("slots", 1, "size"))] == [1, 5, 8]
    assert line_of(lines, ("nowhere",)) is None
    assert [fault.line for fault in decode_toml(ShopSettings(), {"nowhere": 1}, lines)[1]] == [1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = [\n  1,\n  2,\n]\n", {("a",): 1, ("a", 0): 2, ("a", 1): 3}),
        ("a = [1, 2]\n", {("a",): 1, ("a", 0): 1, ("a", 1): 1}),
        ("a = [\n]\n", {("a",): 1}),
        ("  # c\n \t \na = 1\n", {("a",): 3}),
        ("  [t]\n  b = 1\n", {("t",): 1, ("t", "b"): 2}),
        (
            "a = [[1, 2],\n [3]]\n",
            {("a",): 1, ("a", 0): 1, ("a", 1): 2, ("a", 0, 0): 1, ("a", 0, 1): 1, ("a", 1, 0): 2},
        ),
        (
            "[[t]]\nb = [\n1]\n\n[[t]]\n",
            {("t",): 1, ("t", 0): 1, ("t", 0, "b"): 2, ("t", 0, "b", 0): 3, ("t", 1): 5},
        ),
        ("a.b.c = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 1}),
        ('a = """\n# no comment\n"""\nb = 2\n', {("a",): 1, ("b",): 4}),
    ],
)
def test_every_key_and_element_has_its_line(text: str, expected: dict[Any, int]) -> None:
    assert lines_of(text) == expected


TEXT = '''# a comment

title = "x"
[quiet."odd key"]   # a header
opens = "08:00"
note = """
[not.a.header]
closes = 1
"""
dotted.key.one = 1

[[caps]]
limit = 1
inline = { window = "1d", deep = { er = 2 } }

[[caps]]
limit = 2
[caps.more]
x = 3
[after]
list = [
  1,  # one
  2, 3,

  { four = 4 },
]
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        pytest.param(("title",), 3, id="a key"),
        pytest.param(("quiet",), 4, id="a header opens its outer table"),
        pytest.param(("quiet", "odd key", "opens"), 5, id="a key under a quoted header"),
        pytest.param(("quiet", "odd key", "note"), 6, id="a text of several lines begins"),
        pytest.param(("quiet", "odd key", "dotted", "key", "one"), 10, id="a dotted key"),
        pytest.param(("caps", 0), 12, id="the first of a list of tables"),
        pytest.param(("caps", 0, "inline", "deep", "er"), 14, id="inside an inline table"),
        pytest.param(("caps", 1, "limit"), 17, id="a key of the second"),
        pytest.param(("caps", 1, "more", "x"), 19, id="a table of the second"),
        pytest.param(("after", "list"), 21, id="a list of several lines"),
        pytest.param(("after", "list", 0), 22, id="its first element"),
        pytest.param(("after", "list", 2), 23, id="two elements on one line"),
        pytest.param(("after", "list", 3, "four"), 25, id="a table in a list"),
    ],
)
def test_a_key_is_found_on_its_line(place: Place, line: int) -> None:
    assert line == lines_of(TEXT)[place]


def test_what_a_text_only_looks_like_is_not_found() -> None:
    found = lines_of(TEXT)

    assert ("not",) not in found
    assert ("quiet", "odd key", "closes") not in found
