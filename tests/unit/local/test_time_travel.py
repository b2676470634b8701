"""How a length of time is written on the command line."""

from datetime import timedelta

import pytest

from local.time_travel import TravelError, parse_duration, require_local_stack
from workers.settings import WorkerSettings


@pytest.mark.parametrize(
    ("words", "length"),
    [
        pytest.param("3d", timedelta(days=3), id="one unit"),
        pytest.param("2h30m", timedelta(hours=2, minutes=30), id="several units"),
        pytest.param("1w", timedelta(days=7), id="weeks"),
        pytest.param(" 90S ", timedelta(seconds=90), id="case and spaces do not matter"),
        pytest.param("1d1d", timedelta(days=2), id="a unit said twice adds up"),
    ],
)
def test_a_length_of_time_is_read(words: str, length: timedelta) -> None:
    assert parse_duration(words) == length


@pytest.mark.parametrize("words", ["", "3", "d", "three days", "-3d", "0d", "3d!", "1y"])
def test_anything_else_is_refused_with_an_example(words: str) -> None:
    with pytest.raises(TravelError, match="such as 3d"):
        parse_duration(words)


def test_time_travel_is_refused_outside_a_local_stack() -> None:
    with pytest.raises(TravelError, match="local stack only"):
        require_local_stack(WorkerSettings(waypost_local=False))
