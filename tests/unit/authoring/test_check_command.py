"""``waypost check`` where nothing can be checked."""

from pathlib import Path

import pytest

from tests.support.environments.command import call_waypost


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        ((), {"TEMPORAL_ADDRESS": "127.0.0.1:1"}, "Check TEMPORAL_ADDRESS"),
        (("--journey", "cart-abandonmint"), {}, "did you mean 'cart-abandonment'?"),
        (("--shapes",), {}, "--shapes and --record no longer exist"),
        (("--record", "--journey", "win-back"), {}, "run `waypost check` against the live server"),
        ((), {"WAYPOST_JOURNEYS": "no_such_shop"}, "WAYPOST_JOURNEYS"),
        ((), {"WAYPOST_LOCAL": "perhaps"}, "WAYPOST_LOCAL"),
    ],
    ids=[
        "no server",
        "no such journey",
        "shapes",
        "recorded shapes",
        "no such module",
        "a setting that cannot be read",
    ],
)
def test_what_cannot_be_checked_is_said_and_is_exit_code_2(
    words: tuple[str, ...], environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = call_waypost("check", *words, folder=tmp_path, **environment)

    assert done.exit_code == 2
    assert said in done.stderr
