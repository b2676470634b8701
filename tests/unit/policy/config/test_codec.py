"""Values of a decision as JSON and back: which form each has, and what is refused."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Annotated, Any, Literal

import pytest

from policy.config.codec import decode_value, encode_value, field_types, union_members
from policy.facts import Plan, SentFact
from policy.hours.places import Place
from policy.verdict import Channel, MessageClass


@dataclass(frozen=True)
class Sizes:
    """A field of each kind that is hard to tell apart."""

    pair: tuple[int, str] = (1, "a")
    many: tuple[float, ...] = ()
    names: frozenset[str] = frozenset()
    by_number: dict[int, timedelta] = field(default_factory=dict)
    mode: Literal["soft", "hard"] = "soft"
    word: Annotated[str, "a word"] = "a"
    either: int | time | None = None
    made: str = field(default="made", init=False)


class Level(Enum):
    """An enum of numbers."""

    LOW = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (10.0, 10),
        (0.5, 0.5),
        (Level.LOW, 1),
        (Channel.SMS, "sms"),
        (datetime(2026, 11, 21, 12, tzinfo=UTC), "2026-11-21T12:00:00+00:00"),
        (date(2026, 11, 21), "2026-11-21"),
        (time(8, 30), "08:30:00"),
        (timedelta(days=1, hours=2), "1d 2h"),
        ((1, "a"), [1, "a"]),
        ([time(8)], ["08:00:00"]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({Channel.SMS: timedelta(hours=1), 3: None}, {"sms": "1h", "3": None}),
        (Place("US"), {"country": "US"}),
        ((Sizes(many=(1.0,)),), [{"many": [1]}]),
    ],
)
def test_each_kind_of_value_has_one_form(value: Any, expected: Any) -> None:
    encoded = encode_value(value)

    assert expected == encoded
    assert type(expected) is type(encoded)


def test_defaults_are_written_where_all_of_it_is_asked_for() -> None:
    assert encode_value((Place("US"), {"a": Place("DE")}, [Place("FR")]), full=True) == [
        {"country": "US", "region": "", "source": ""},
        {"a": {"country": "DE", "region": "", "source": ""}},
        [{"country": "FR", "region": "", "source": ""}],
    ]


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (Sizes, {"pair": [2, "b"]}, Sizes(pair=(2, "b"))),
        (Sizes, {"many": [1, 0.5]}, Sizes(many=(1.0, 0.5))),
        (Sizes, {"names": ["x"]}, Sizes(names=frozenset({"x"}))),
        (Sizes, {"by_number": {"3": "1h"}}, Sizes(by_number={3: timedelta(hours=1)})),
        (Sizes, {"mode": "hard", "word": "b"}, Sizes(mode="hard", word="b")),
        (Sizes, {"either": 3}, Sizes(either=3)),
        (Sizes, {"either": "08:00:00"}, Sizes(either=time(8))),
        (Sizes, {"either": None}, Sizes()),
        (Sizes, {"made": "of the code alone"}, Sizes()),
        (date, "2026-11-21", date(2026, 11, 21)),
        (float, 1, 1.0),
        (bool, True, True),
    ],
)
def test_what_was_written_is_read_as_its_type(kind: type, raw: Any, expected: Any) -> None:
    found = decode_value(kind, raw)

    assert expected == found
    assert type(expected) is type(found)


@pytest.mark.parametrize(
    ("kind", "raw", "said"),
    [
        (Sizes, [], "Sizes: Input should be a dictionary or an instance of Sizes, got []"),
        (SentFact, {}, "SentFact.channel: Field required; SentFact.at: Field required"),
        (Sizes, {"pair": [1]}, "Sizes.pair.1: Field required"),
        (Sizes, {"pair": [1, 2]}, "Sizes.pair.1: Input should be a valid string, got 2"),
        (Sizes, {"names": "xy"}, "Sizes.names: Input should be a valid frozenset, got 'xy'"),
        (Sizes, {"names": {"x": 1}}, "Sizes.names: Input should be a valid frozenset, got {'x': 1}"),
        (Sizes, {"by_number": ["3"]}, "Sizes.by_number: Input should be a valid dictionary, got ['3']"),
        (Sizes, {"by_number": {"x": "1h"}}, "Sizes.by_number.x.[key]: Input should be a valid integer"),
        (
            Sizes,
            {"either": True},
            "Sizes.either.int: Input should be a valid integer, got True; Sizes.either",
        ),
        (Sizes, {"many": [True]}, "Sizes.many.0: Input should be a valid number, got True"),
        (Sizes, {"many": ["1"]}, "Sizes.many.0: Input should be a valid number, got '1'"),
        (bool, 1, "bool: Input should be a valid boolean, got 1"),
        (int, True, "int: Input should be a valid integer, got True"),
        (str, 3, "str: Input should be a valid string, got 3"),
        (datetime, 3, "datetime: Input should be a valid datetime, got 3"),
        (
            SentFact,
            {"channel": "sms", "at": "soon"},
            "SentFact.at: Value error, Invalid isoformat string: 'soon'",
        ),
        (date, None, "date: Input should be a valid date, got None"),
        (time, 8, "time: Input should be a valid time, got 8"),
        (timedelta, 8, "timedelta: Input should be a valid timedelta, got 8"),
        (timedelta, "soon", "timedelta: Value error, expected a length of time such as 25d"),
        (Channel, "fax", "Channel: Input should be 'email', 'sms', 'push' or 'ads', got 'fax'"),
    ],
)
def test_what_is_no_such_value_is_refused_in_words(kind: type, raw: Any, said: str) -> None:
    with pytest.raises(ValueError) as refused:
        decode_value(kind, raw)

    assert str(refused.value).startswith(said)


def test_a_field_without_a_default_is_always_written() -> None:
    nothing = Plan(Channel.SMS, MessageClass.MARKETING, "", None, datetime(2026, 1, 1, tzinfo=UTC))

    assert encode_value(nothing) == {
        "channel": "sms",
        "message_class": "marketing",
        "topic": "",
        "promoting": None,
        "expires_at": "2026-01-01T00:00:00+00:00",
    }


def test_types_are_taken_apart() -> None:
    assert union_members(int | None) == (int, type(None))
    assert union_members(tuple[int, str]) == ()
    assert "made" not in field_types(Sizes)
    assert field_types(Place) == {"country": str, "region": str, "source": str}
