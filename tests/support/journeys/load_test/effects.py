"""An author's own effect on a service that knows idempotency keys, and keeps a ledger of attempts."""

import os
from pathlib import Path

from temporalio import activity

LEDGER = "WAYPOST_POINTS_LEDGER"
"""Environment variable: the folder of the service."""


@activity.defn
async def give_points(key: str) -> int:
    """Give points once per key; the second time the service only says what it gave."""
    folder = Path(os.environ[LEDGER])
    with (folder / "attempts").open("a", encoding="utf-8") as attempts:
        attempts.write(f"{key}\n")
    try:
        with (folder / f"{key}.given").open("x", encoding="utf-8") as given:
            given.write("10")
    except FileExistsError:
        pass
    return 10
