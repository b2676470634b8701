"""Which channel suits a person: what is reachable, what they said, where they react, in this order."""

from itertools import permutations
from typing import Any

import pytest

from policy.channel_choice import rank_channels
from policy.verdict import Channel

EMAIL, SMS, PUSH = Channel.EMAIL, Channel.SMS, Channel.PUSH

ALL = (EMAIL, SMS, PUSH)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({}, (EMAIL, SMS, PUSH), id="nothing known: as the template has them"),
        pytest.param(
            {"engagement_counts": {SMS: 2, EMAIL: 1}}, (SMS, EMAIL, PUSH), id="where they react most"
        ),
        pytest.param(
            {"engagement_counts": {SMS: 1}}, (SMS, EMAIL, PUSH), id="a single reaction is more than none"
        ),
        pytest.param(
            {"engagement_counts": {SMS: 1, EMAIL: 1}}, (EMAIL, SMS, PUSH), id="a tie: as the template has"
        ),
        pytest.param({"preferred": "push"}, (PUSH, EMAIL, SMS), id="the channel they named"),
        pytest.param({"preferred": " SMS "}, (SMS, EMAIL, PUSH), id="however they wrote it"),
        pytest.param({"preferred": "fax"}, (EMAIL, SMS, PUSH), id="a channel that is none"),
        pytest.param({"preferred": ""}, (EMAIL, SMS, PUSH), id="no word"),
        pytest.param(
            {"preferred": "push", "engagement_counts": {SMS: 9}},
            (PUSH, SMS, EMAIL),
            id="their word before their habit",
        ),
        pytest.param(
            {"preferred": "sms", "refused": [SMS]}, (EMAIL, PUSH, SMS), id="a refusal outweighs their word"
        ),
        pytest.param({"reachable": [SMS, PUSH]}, (SMS, PUSH), id="without an address: not tried"),
        pytest.param({"preferred": "email", "reachable": [SMS]}, (SMS,), id="the named one has no address"),
        pytest.param(
            {"preferred": "sms", "reachable": []}, (EMAIL,), id="nothing reaches them: the first, to say so"
        ),
        pytest.param(
            {"reachable": [SMS], "refused": [SMS]},
            (SMS,),
            id="refused but reachable: the gate is to say no, not the ranking",
        ),
    ],
)
def test_the_channel_that_suits_comes_first(known: dict[str, Any], expected: tuple[Channel, ...]) -> None:
    assert rank_channels(ALL, **{"reachable": ALL, **known}) == expected


def test_of_what_is_known_the_order_of_the_candidates_decides_nothing() -> None:
    found = {
        rank_channels(order, reachable=[PUSH, SMS], preferred="push", engagement_counts={SMS: 1})
        for order in permutations(ALL)
    }

    assert found == {(PUSH, SMS)}


def test_none_comes_twice() -> None:
    assert rank_channels([SMS, EMAIL, SMS], reachable=ALL) == (SMS, EMAIL)
    assert rank_channels([], reachable=ALL, preferred="sms") == ()
