"""Caps: how many marketing messages a person gets in a rolling window."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policy.checks.frequency_caps import count_used_slots, under_caps
from policy.facts import Facts, Plan, SentFact
from policy.limits import Cap, Limits
from policy.verdict import Channel, MessageClass, Reason
from tests.support.builders.gate import DAY, NOW

TICK = timedelta(microseconds=1)

EMAIL = Plan(Channel.EMAIL, MessageClass.MARKETING, "marketing", None, NOW + DAY)

SMS = replace(EMAIL, channel=Channel.SMS)


def sent(*ages: timedelta, channel: Channel = Channel.EMAIL) -> tuple[SentFact, ...]:
    return tuple(SentFact(channel, NOW - age) for age in ages)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(DAY - TICK, 1, id="just inside the window"),
        pytest.param(DAY, 0, id="exactly at the edge: no longer counts"),
        pytest.param(DAY + TICK, 0, id="just outside"),
        pytest.param(timedelta(), 1, id="this instant"),
        pytest.param(-DAY, 1, id="ahead of now: still sent, so it counts"),
        pytest.param(-timedelta(days=4000), 1, id="far ahead: no upper bound"),
    ],
)
def test_a_window_excludes_its_far_edge_and_has_no_near_one(age: timedelta, expected: int) -> None:
    assert expected == count_used_slots(Cap(1, DAY), Facts(sent=sent(age)), NOW)


@pytest.mark.parametrize(
    ("plan", "history", "expected"),
    [
        pytest.param(SMS, (), None, id="nothing sent"),
        pytest.param(SMS, sent(DAY / 2, channel=Channel.SMS), Reason.CAPPED, id="one SMS a day"),
        pytest.param(SMS, sent(DAY, channel=Channel.SMS), None, id="an SMS a day ago"),
        pytest.param(SMS, sent(DAY / 2, DAY / 2), None, id="emails do not fill the SMS cap"),
        pytest.param(EMAIL, sent(DAY / 2), None, id="one email"),
        pytest.param(EMAIL, sent(DAY / 2, DAY / 3), Reason.CAPPED, id="two emails a day"),
        pytest.param(
            EMAIL,
            sent(*(n * DAY for n in (2, 3, 4)), channel=Channel.SMS)
            + sent(*(n * DAY for n in (5, 6)), channel=Channel.PUSH),
            Reason.CAPPED,
            id="five a week over all channels",
        ),
        pytest.param(EMAIL, sent(*(n * DAY for n in (2, 3, 4, 6, 7))), None, id="the fifth is a week old"),
        pytest.param(
            EMAIL, sent(*(n * DAY for n in (2, 3, 4, 5, 6)), channel=Channel.ADS), None, id="ads do not count"
        ),
        pytest.param(
            replace(EMAIL, message_class=MessageClass.TRANSACTIONAL),
            sent(DAY / 2, DAY / 2, DAY / 2, DAY / 2, DAY / 2),
            None,
            id="transactional mail is not capped",
        ),
        pytest.param(
            replace(EMAIL, channel=Channel.ADS),
            sent(DAY / 2, DAY / 2, DAY / 2, DAY / 2, DAY / 2),
            None,
            id="ads are not capped",
        ),
    ],
)
def test_the_default_caps(plan: Plan, history: tuple[SentFact, ...], expected: Reason | None) -> None:
    assert expected == under_caps(plan, Facts(sent=history), Limits(), NOW).reason
