"""A policy file overrides what it names, and everything that is wrong with it is said at once, by line."""

import tomllib
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from typing import Annotated, Literal

import pytest

from policy.config.policy_file import PolicyFaults, in_toml, read_policy, settings_of
from policy.config.toml_reader import decode_toml
from policy.hours.windows import QuietHours
from policy.limits import Cap, Limits
from policy.verdict import Channel
from tests.support.builders.gate import DAY

FAULTY = """\
suppression_window = "for ever"
holdout = 120
holdouts = 3
kill_switches = "all"
[quiet_hours.sms]
opens = "25:00"
[quiet_hours.smss]
opens = "08:00"
[quiet_hours.email]
opens = "09:00"
[[caps]]
limit = -1
window = "400d"
chanel = "sms"
[[caps]]
limit = true
window = 25
channel = "smss"
"""


def limits(text: str) -> Limits:
    return read_policy(text).limits


def told(text: str) -> list[str]:
    with pytest.raises(PolicyFaults) as refused:
        read_policy(text, "shop.toml")
    assert str(refused.value).startswith("shop.toml cannot be used:\n")
    return [str(fault) for fault in refused.value.faults]


def test_an_empty_text_overrides_nothing() -> None:
    assert Limits() == limits("# nothing yet\n")


def test_a_table_overrides_what_it_names_and_a_list_replaces_the_default() -> None:
    read = limits(
        'suppression_window = "2w"\n[quiet_hours]\nsms.opens = "9:30"\n'
        'email = { opens = 22:00:00, closes = "24:00" }\n'
        '[[caps]]\nlimit = 3\nwindow = "36h"\n'
    )

    assert read == Limits(
        suppression_window=14 * DAY,
        quiet_hours={
            Channel.SMS: QuietHours(time(9, 30), time(21)),
            Channel.PUSH: QuietHours(time(8), time(21)),
            Channel.EMAIL: QuietHours(time(22), time(0)),
        },
        caps=(Cap(3, 1.5 * DAY),),
    )


def test_a_window_may_be_for_good_and_an_entry_may_be_taken_out() -> None:
    read = limits('suppression_window = "for good"\ncaps = []\nquiet_hours.push = "none"\n')

    assert read.suppression_window is None
    assert read.caps == ()
    assert list(read.quiet_hours) == [Channel.SMS]


def test_every_fault_is_told_at_once_with_line_path_what_was_expected_and_what_came() -> None:
    assert told(FAULTY) == [
        'line 1: suppression_window: expected a length of time with its unit, such as "25d", "12h", "90m" '
        'or "2w", or "for good", got "for ever"',
        "line 2: holdout: expected a percentage from 0 to 100, got 120",
        "line 3: unknown key 'holdouts'; known: " + ", ".join(Limits.__dataclass_fields__)
        + "; did you mean 'holdout'?",
        'line 4: kill_switches: expected a list, got "all"',
        'line 6: quiet_hours.sms.opens: expected a time of day from "00:00" to "24:00", such as "08:00", '
        'got "25:00"',
        "line 7: unknown key 'quiet_hours.smss'; known: email, sms, push, ads; did you mean 'sms'?",
        "line 9: quiet_hours.email.closes: expected a value for closes, got nothing",
        "line 12: caps[1].limit: expected 0 messages or more, got -1; 0 stops what the cap matches",
        "line 13: caps[1].window: expected more than no time and at most 366d, got 400d",
        "line 14: unknown key 'caps[1].chanel'; known: " + ", ".join(Cap.__dataclass_fields__)
        + "; did you mean 'channel'?",
        "line 16: caps[2].limit: expected a whole number, got true",
        'line 17: caps[2].window: expected a length of time with its unit, such as "25d", "12h", "90m" '
        'or "2w", or "for good", got 25',
        'line 18: caps[2].channel: expected one of email, sms, push, ads, or "none", got "smss"; '
        "did you mean 'sms'?",
    ]  # fmt: skip


def test_a_fault_inside_a_list_stands_on_its_own_line_and_hides_none_beside_it() -> None:
    text = """\
[jurisdictions.fr]
weekdays = []
[jurisdictions.de]
weekdays = []
saturday = [
  { opens = "10:00", closes = "09:00" },
  { opens = "x" },
]
[quiet_hours.fax]
opens = 8
[[caps]]
limit = -1
[[caps]]
channel = "fax"
[breaker]
first = "20m"
longest = "15m"
"""
    place = "jurisdictions: expected an ISO 3166 code such as FR or US-FL, got"
    clock = 'expected a time of day from "00:00" to "24:00", such as "08:00"'

    assert told(text) == [
        f"line 1: {place} 'fr'",
        f"line 1: {place} 'de'",
        "line 6: jurisdictions.de.saturday[1]: expected a window that ends after it begins, got 10:00:00 to "
        "09:00:00; write one that crosses midnight as two: until 00:00, and from 00:00",
        "line 7: jurisdictions.de.saturday[2].closes: expected a value for closes, got nothing",
        f'line 7: jurisdictions.de.saturday[2].opens: {clock}, got "x"',
        "line 9: unknown key 'quiet_hours.fax'; known: email, sms, push, ads",
        "line 11: caps[1].window: expected either a window or a calendar period (per), got neither",
        "line 12: caps[1].limit: expected 0 messages or more, got -1; 0 stops what the cap matches",
        "line 13: caps[2].limit: expected a value for limit, got nothing",
        'line 14: caps[2].channel: expected one of email, sms, push, ads, or "none", got "fax"',
        "line 16: breaker.first: expected more than no time and no more than longest, got 20m and 15m; "
        "the defaults are 30s and 10m",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"holdout = 1{'0' * 400}", "line 1: holdout: expected a number, got 1000"),
        ('quiet_hours.sms.opens = "08:60"', "line 1: quiet_hours.sms.opens: expected a time of day"),
        ('quiet_hours.sms.opens = "24:01"', "line 1: quiet_hours.sms.opens: expected a time of day"),
        ("quiet_hours.sms.opens = 8", "line 1: quiet_hours.sms.opens: expected a time of day"),
        ("holdout = -0.5", "line 1: holdout: expected a percentage from 0 to 100, got -0.5"),
        ("holdout = nan", "line 1: holdout: expected a number, got nan"),
        ('holdout = "10"', 'line 1: holdout: expected a number, got "10"'),
        ('suppression_window = "0d"', "line 1: suppression_window: expected more than no time"),
        ('suppression_window = "-2d"', "line 1: suppression_window: expected more than no time"),
        ('suppression_window = "2 fortnights"', "line 1: suppression_window: expected a length of time"),
        ("suppression_window = 365", "line 1: suppression_window: expected a length of time"),
        ('[caps]\nlimit = 1\nwindow = "1d"', "line 1: caps: expected [[caps]] for each one, got a table"),
        ('caps = [\n  { limit = 1, window = "1d" },\n  { limit = -1, window = "1d" },\n]',
         "line 3: caps[2].limit: expected 0 messages or more, got -1"),
        ('kill_switches = ["sms", 3]', "line 1: kill_switches[2]: expected text, got 3"),
        ("quiet_hours = 3", "line 1: quiet_hours: expected a table, got 3"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_line(text: str, said: str) -> None:
    [fault] = told(text)

    assert fault.startswith(said)


def test_it_is_known_which_values_the_file_sets() -> None:
    policy = read_policy(
        '\nholdout = 5\n[quiet_hours.sms]\nopens = "09:00"\n[[caps]]\nlimit = 1\nwindow = "1d"\n'
    )
    by = {setting.path: setting.set_by for setting in settings_of(policy)}

    assert by["holdout"] == "line 2"
    assert by["quiet_hours.sms.opens"] == "line 4"
    assert by["quiet_hours.sms.closes"] == "default"
    assert by["caps"] == "line 5"
    assert by["suppression_window"] == "default"


def test_what_is_shown_as_in_force_is_a_file_that_says_the_same() -> None:
    policy = read_policy(SOUND)
    shown = "\n".join(map(str, settings_of(policy)))

    assert policy.limits != Limits()
    assert policy.limits == limits(shown)


SOUND = """\
suppression_window = "never"
holdout = 2.5
kill_switches = ["win-back", 'say "no"']
[quiet_hours.ads]
opens = "08:00:30"
closes = "24:00"
[[caps]]
limit = 1
window = "1d 12h"
channel = "push"
"""


@dataclass(frozen=True)
class Spread:
    """A part with defaults."""

    least: timedelta = timedelta(hours=1)
    most: timedelta = timedelta(hours=5)
    pause: timedelta | None = timedelta(hours=9)

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError("least must not be above most")


@dataclass(frozen=True)
class Everything:
    """One field of each kind that limits may be made of."""

    flag: bool = False
    count: int = 1
    share: float = 0.5
    word: Annotated[str, "a word"] = "a"
    mode: Literal["soft", "hard"] = "soft"
    day: date = date(2026, 11, 27)
    span: tuple[time, time] = (time(8), time(9))
    names: frozenset[str] = frozenset()
    maybe: Spread | None = None
    spread: Spread = Spread()
    by_channel: dict[Channel, tuple[Cap, ...]] = field(default_factory=dict)
    by_number: dict[int, str] = field(default_factory=dict)
    nested: dict[str, dict[str, timedelta | None]] = field(default_factory=dict)


SAID = Everything(
    flag=True, count=2, share=3.0, word="b", mode="hard", day=date(2027, 1, 1), span=(time(1), time(2)),
    names=frozenset({"x", "y"}), maybe=Spread(most=2 * DAY, pause=None),
    spread=Spread(2 * DAY, 3 * DAY),
    by_channel={Channel.SMS: (Cap(1, DAY),)}, by_number={5: "five"}, nested={"a": {"b": None, "c": DAY}},
)  # fmt: skip


def everything(text: str) -> tuple[Everything, list[str]]:
    value, faults = decode_toml(Everything(), tomllib.loads(text), {})
    return value, [fault.words for fault in faults]


def test_every_kind_of_value_is_read() -> None:
    lines = [f"{name} = {in_toml(getattr(SAID, name))}" for name in SAID.__dataclass_fields__]
    text = "\n".join(lines).replace('b = "none"', 'b = "for good"')

    assert everything(text) == (SAID, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flag = 1", "flag: expected true or false, got 1"),
        ("count = 1.5", "count: expected a whole number, got 1.5"),
        ('word = " "', 'word: expected text, got " "'),
        ('mode = "hrd"', 'mode: expected one of soft, hard, got "hrd"; did you mean \'hard\'?'),
        ("day = 2026-11-27T08:00:00", "day: expected a date such as 2026-11-27, got 2026-11-27 08:00:00"),
        ('span = ["08:00"]', "span[2]: expected a value for [2], got nothing"),
        ('maybe.mst = "1d"', "unknown key 'maybe.mst'; known: least, most, pause; did you mean 'most'?"),
        ('spread.least = "6h"', "spread.least: least must not be above most"),
        ('by_number.five = "5"', "unknown key 'by_number.five'; known: a whole number"),
        ('nested.a."b.c" = 3', "nested.a.\"b.c\": expected a length of time with its unit, such as"),
    ],
)  # fmt: skip
def test_every_kind_of_value_is_refused_in_words(text: str, said: str) -> None:
    _, [fault] = everything(text)

    assert fault.startswith(said)


def test_values_that_fit_together_only_are_set_together() -> None:
    read, faults = everything('spread = { least = "6h", most = "7h" }')

    assert faults == []
    assert read.spread == Spread(timedelta(hours=6), timedelta(hours=7))
