"""How often a journey may be entered for one key."""

from datetime import UTC, datetime

import pytest

from policy.reentry import After, AtMost, Once, Reentry, Unlimited
from tests.support.builders.gate import DAY

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "entries", "may"),
    [
        pytest.param(Unlimited(), (0, 0, 0), True, id="always"),
        pytest.param(Once(), (), True, id="once: the first time"),
        pytest.param(Once(), (400,), False, id="once: never again"),
        pytest.param(After(3 * DAY), (), True, id="after: the first time"),
        pytest.param(After(3 * DAY), (3,), True, id="after: to the instant"),
        pytest.param(After(3 * DAY), (9, 2), False, id="after: counts from the last entry"),
        pytest.param(After(3 * DAY), (2, 9), False, id="after: whatever their order"),
        pytest.param(After(3 * DAY), (-1,), False, id="after: an entry that is ahead counts too"),
        pytest.param(AtMost(2), (9,), True, id="at most: one more"),
        pytest.param(AtMost(2), (9, 1), False, id="at most: no more"),
    ],
)
def test_reentry(rule: Reentry, entries: tuple[int, ...], may: bool) -> None:
    assert rule.may_enter([NOW - days * DAY for days in entries], NOW) is may
