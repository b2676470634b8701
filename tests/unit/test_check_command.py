"""``waypost check`` where nothing can be checked, and its shapes without a server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STORY = """
from journeys.vocabulary import Journey, days, journey
from profiles.events import ProductAdded


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Nap(Journey):
    async def run(self, entry: ProductAdded) -> str:
        await self.sleep(days(1))
        return "slept"


JOURNEYS = (Nap,)
"""


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
        (("--shapes", "--journey", "win-bak"), {}, "did you mean 'win-back'?"),
        ((), {"WAYPOST_JOURNEYS": "no_such_shop"}, "WAYPOST_JOURNEYS"),
        ((), {"WAYPOST_LOCAL": "perhaps"}, "WAYPOST_LOCAL"),
    ],
    ids=["no server", "no such journey", "no such shape", "no such module", "a setting that cannot be read"],
)
def test_what_cannot_be_checked_is_said_and_is_exit_code_2(
    words: tuple[str, ...], environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = check(*words, folder=tmp_path, **environment)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_shapes_of_an_authors_own_package_are_recorded_and_compared_without_a_server(tmp_path: Path) -> None:
    story = tmp_path / "napping.py"
    story.write_text(STORY)
    shop = {"WAYPOST_JOURNEYS": "napping", "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    new = check("--shapes", folder=tmp_path, **shop)
    recorded = check("--record", folder=tmp_path, **shop)
    same = check("--shapes", folder=tmp_path, **shop)
    story.write_text(STORY.replace("        return", "        await self.suggestions()\n        return"))
    other = check("--shapes", folder=tmp_path, **shop)
    as_json = check("--shapes", "--json", folder=tmp_path, **shop)

    assert [new.returncode, recorded.returncode, same.returncode, other.returncode] == [0, 0, 0, 1]
    assert "nap: no recorded shape yet" in new.stdout
    assert (tmp_path / "napping.shape").read_text().splitlines()[-3:] == [
        "run:", "    sleep  # days(1)", "    return",
    ]  # fmt: skip
    assert "napping.py:10: added: suggestions, after sleep (days(1))" in other.stdout
    assert json.loads(as_json.stdout)["changed"][0]["journey"] == "nap"
