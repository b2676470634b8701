"""``waypost check`` where nothing can be checked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def check(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder whose modules it can load."""
    paths = os.pathsep.join([os.getcwd(), str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "check", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200", "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


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
    done = check(*words, folder=tmp_path, **environment)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
