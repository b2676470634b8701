"""The plain values of a policy file, at their edges: what is read, what is refused, and in which words."""

from dataclasses import make_dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from policy.config.policy_file import PolicyFaults, in_toml, read_policy
from policy.config.toml_reader import decode_toml, expected, shown, spelling
from policy.limits import (
    MAX_CAP_WINDOW,
    BreakerRule,
    Budget,
    Cap,
    Limits,
    SuppressionRule,
    TemplateStopThresholds,
)
from policy.verdict import Channel
from tests.support.builders.gate import DAY

SECOND = timedelta(seconds=1)


def read(hint: Any, raw: Any) -> tuple[Any, list[str]]:
    """The one value of a table, read as a type, and what is wrong with it."""
    table = make_dataclass("Table", [("value", hint, None)])
    value, faults = decode_toml(table(), {"value": raw}, {})
    return value.value, [fault.expected for fault in faults]


@pytest.mark.parametrize(
    ("words", "clock"),
    [
        ("24:00", time(0)),
        ("24:00:00", time(0)),
        (" 08:30 ", time(8, 30)),
        ("23:59:59", time(23, 59, 59)),
        ("0:00", time(0)),
        ("7:05", time(7, 5)),
    ],
)
def test_a_time_of_day_is_read(words: str, clock: time) -> None:
    assert read(time, words) == (clock, [])


@pytest.mark.parametrize("words", ["24:01", "24:00:01", "25:00", "23:60", "23:59:60", "8", "08.30", "-1:00"])
def test_a_time_of_day_that_is_none_is_refused(words: str) -> None:
    assert read(time, words) == (None, ['a time of day from "00:00" to "24:00", such as "08:00"'])


@pytest.mark.parametrize(
    ("hint", "raw"),
    [
        (bool, True),
        (int, 7),
        (float, 2.5),
        (str, "win-back"),
        (datetime, datetime(2026, 11, 27, 8)),  # noqa: DTZ001 - as TOML has it
        (date, date(2026, 11, 27)),
        (time, time(8)),
    ],
)
def test_what_toml_reads_itself_is_taken_as_it_is(hint: Any, raw: Any) -> None:
    value, faults = read(hint, raw)

    assert (value, faults) == (raw, [])
    assert type(value) is type(raw)


@pytest.mark.parametrize(
    ("hint", "raw"),
    [
        (int, True),
        (float, True),
        (str, " "),
        (date, datetime(2026, 11, 27, 8)),  # noqa: DTZ001 - as TOML has it
        (float, float("inf")),
        (int, date(2026, 11, 27)),
        (int, time(8)),
        (bool, 1),
    ],
)
def test_a_value_of_another_type_is_refused(hint: Any, raw: Any) -> None:
    assert read(hint, raw) == (None, [expected(hint)])


def test_every_type_says_what_it_looks_like() -> None:
    assert expected(datetime) == "a time with its offset such as 2026-11-27T08:00:00+01:00"
    assert expected(Channel) == "one of email, sms, push, ads"
    assert expected(timedelta | None).endswith('such as "25d", "12h", "90m" or "2w", or "for good"')
    assert expected(tuple[str, ...] | None) == 'a list, or "none"'


def test_only_the_closest_word_is_asked_about() -> None:
    assert spelling("holdouts", ["holdout", "holdouts2", "hold"]) == "did you mean 'holdouts2'?"
    assert spelling("quite different", ["holdout"]) == ""
    assert spelling(7, ["holdout"]) == ""


def test_what_came_is_shown_as_it_was_written() -> None:
    assert [shown(raw) for raw in (None, {}, [1, 2], "Köln", True, 2.5)] == [
        "nothing",
        "a table",
        "a list of 2",
        '"Köln"',
        "true",
        "2.5",
    ]


def test_a_value_is_told_as_the_file_would_say_it() -> None:
    values = (True, False, "Köln", 2.0, 10.34375, 3, Channel.SMS, time(8, 0, 5))

    assert [in_toml(value) for value in values] == [
        "true",
        "false",
        '"Köln"',
        "2",
        "10.34375",
        "3",
        '"sms"',
        '"08:00:05"',
    ]
    assert in_toml(Cap(1, DAY)) == '{ limit = 1, window = "1d" }'
    assert in_toml(None, timedelta | None) == '"for good"'


@pytest.mark.parametrize(
    "sound",
    [
        lambda: Cap(0, MAX_CAP_WINDOW),
        lambda: Cap(1, SECOND),
        lambda: SuppressionRule(timedelta(0)),
        lambda: Budget(1),
        lambda: BreakerRule(failures=1, first=SECOND, longest=SECOND),
        lambda: TemplateStopThresholds(
            complaints=100, bounces=100, window=SECOND, at_least=1, least_reports=1
        ),
        lambda: Limits(duplicates_within=MAX_CAP_WINDOW),
        lambda: Limits(duplicates_within=timedelta(0)),
        lambda: Limits(holdout=100),
        lambda: Limits(holdout=0),
        lambda: Limits(suppression_window=SECOND),
        lambda: Limits(spread={Channel.SMS: timedelta(0)}),
    ],
)
def test_what_is_just_possible_is_taken(sound: Any) -> None:
    assert sound() == sound()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Cap(1, MAX_CAP_WINDOW + SECOND), "^window: expected more than no time and at most 366d"),
        (lambda: Cap(1, timedelta(0)), "^window: expected more than no time and at most 366d, got 0s$"),
        (lambda: BreakerRule(first=timedelta(0)), "^first: expected more than no time"),
        (
            lambda: BreakerRule(failures=0, first=timedelta(0)),
            "^failures: expected 1 or more, got 0; the default is 5\nfirst: expected more than no time and "
            "no more than longest, got 0s and 10m; the defaults are 30s and 10m$",
        ),
        (
            lambda: BreakerRule(first=timedelta(hours=1)),
            "^first: expected more than no time and no more than longest, got 1h and 10m;",
        ),
        (lambda: Budget(0), "expected a budget of 1 message a minute or more, got 0"),
        (lambda: TemplateStopThresholds(bounces=100.5), "^bounces: .* got 100.5$"),
        (
            lambda: TemplateStopThresholds(bounces=101, window=timedelta(0)),
            "^bounces: .* got 101\nwindow: expected more",
        ),
        (
            lambda: TemplateStopThresholds(complaints=0),
            "^complaints: expected above 0 and up to 100 percent, or none for never, got 0$",
        ),
        (
            lambda: TemplateStopThresholds(at_least=0, least_reports=0),
            "^at_least: expected 1 or more, got 0\nleast_reports: expected 1 or more, got 0$",
        ),
        (lambda: Limits(holdout=100.5), "^holdout: expected a percentage from 0 to 100, got 100.5$"),
        (lambda: Limits(spread={Channel.SMS: -SECOND}), "^spread: expected 0 or more on sms, got -1s$"),
        (
            lambda: Limits(suppression_window=timedelta(0), holdout=-1),
            "^suppression_window: expected more than no time, or None for good, got 0s\nholdout: expected",
        ),
    ],
)
def test_what_is_just_impossible_is_refused_each_fault_on_its_line(wrong: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wrong()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("holdout = 1\ncaps = [\n", 2, "not TOML: Invalid value"),
        ("holdout = 1\ncaps = [", 2, "not TOML: Invalid value"),
        ("holdout = 1\nholdout = 2\n", 2, "not TOML: Cannot overwrite a value"),
        ("holdout ? 1\n", 1, "not TOML: Expected '=' after a key in a key/value pair in column 9"),
        ("caps = 08:00", 1, "not TOML:"),
        ("\n\nholdout = \n", 3, "not TOML: Invalid value in column 11"),
    ],
)
def test_what_is_not_toml_is_told_with_line_and_column(text: str, line: int, said: str) -> None:
    with pytest.raises(PolicyFaults) as refused:
        read_policy(text, "shop.toml")
    [fault] = refused.value.faults

    assert str(refused.value) == f"shop.toml cannot be used:\n  * line {line}: {fault.words}"
    assert (fault.line, fault.path, fault.expected, fault.words) == (line, "", "TOML", fault.words)
    assert fault.words.startswith(said)


def test_two_faults_stand_on_two_lines() -> None:
    with pytest.raises(PolicyFaults) as refused:
        read_policy("holdout = 120\nsuppression_window = 5\n", "shop.toml")

    assert str(refused.value).splitlines() == [
        "shop.toml cannot be used:",
        "  * line 1: holdout: expected a percentage from 0 to 100, got 120",
        '  * line 2: suppression_window: expected a length of time with its unit, such as "25d", "12h", '
        '"90m" or "2w", or "for good", got 5',
    ]


def test_a_value_within_a_list_is_set_where_the_list_is() -> None:
    policy = read_policy('\n[[caps]]\nlimit = 1\nwindow = "1d"\n')

    assert policy.line_of(("caps",)) is not None
    assert policy.line_of(("caps", "0", "limit")) == policy.line_of(("caps",))
    assert policy.line_of(("holdout",)) is None
    assert policy.set_by(("holdout",)) == "default"
