"""The facts a message is decided on, read under the profile's lock, and the claim that licenses the call.

Two statements, never one: the lock first, then the snapshot. A single statement that locks and reads has a
snapshot from before its wait, and misses the purchase it waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.message_facts import arguments, arguments_of_several, reading, reading_of_several
from profiles.patience import PATIENCE
from profiles.person import lock
from profiles.snapshot import Ask, Snapshot, Standing, snapshot_of

__all__ = [
    "Ask",
    "Planned",
    "Snapshot",
    "Standing",
    "decision_of",
    "lock_free_people_of",
    "lock_person_of",
    "read_snapshot",
    "read_those_locked",
    "read_under_lock",
]


def lock_person_of(ask: Ask) -> str:
    """The first of the gate's two statements, to begin the transaction with: see ``lock_person_of_run``."""
    return f"SELECT lock_person_of_run('{ask.run_id}', {PATIENCE})"


async def read_under_lock(connection: Any, ask: Ask) -> Snapshot | None:
    """Read under the lock that ``lock_person_of`` took; None where there is no such run.

    Holds the lock until COMMIT. Where the run has gone to somebody else meanwhile, by a merge or a split,
    they are locked and read instead; so is its person where nobody is locked yet.
    """
    snapshot = await read_snapshot(connection, None, ask)
    if snapshot is None:
        await connection.execute(lock_person_of(ask))
        snapshot = await read_snapshot(connection, None, ask)
    while snapshot is not None and snapshot.run_of != snapshot.profile_id:
        now = (await lock(connection, [snapshot.run_of]))[snapshot.run_of]
        if now == snapshot.profile_id:
            break
        snapshot = await read_snapshot(connection, now, ask)
    return snapshot


async def read_snapshot(connection: Any, profile_id: UUID | None, ask: Ask) -> Snapshot | None:
    """The second statement; call it only with the profile's lock held. None: the one locked to begin with."""
    text = reading(choosing=ask.choosing, budgeted=ask.budgeted)
    row = await connection.fetchrow(text, profile_id, *arguments(ask).values())
    return None if row is None else snapshot_of(row, ask)


def lock_free_people_of(asks: Sequence[Ask]) -> str:
    """The first statement for several messages: locks whom nobody else holds, and waits for no one."""
    runs = ",".join(str(ask.run_id) for ask in asks)
    return f"SELECT lock_free_people_of_runs('{{{runs}}}', {PATIENCE})"


async def read_those_locked(connection: Any, asks: Sequence[Ask]) -> list[Snapshot | None]:
    """Read for each ask under the lock that ``lock_free_people_of`` took; holds the locks until COMMIT.

    None where the person is not locked, or is whose ask came before: what is decided on that one has to be
    known first. Those ask again alone.
    """
    text = reading_of_several(
        choosing=any(ask.choosing for ask in asks), budgeted=any(ask.budgeted for ask in asks)
    )
    rows = {row["place"]: row for row in await connection.fetch(text, arguments_of_several(asks))}
    found: list[Snapshot | None] = []
    seen: set[UUID] = set()
    for place, ask in enumerate(asks):
        row = rows.get(place)
        if row is None or row["profile_id"] in seen:
            found.append(None)
        else:
            seen.add(row["profile_id"])
            found.append(snapshot_of(row, ask))
    return found


@dataclass(frozen=True, slots=True)
class Planned:
    """A message as it is written down: the row, and the decision about it."""

    message_id: UUID
    profile_id: UUID
    run_id: UUID
    step: str
    journey: str
    channel: str
    template: str
    message_class: str
    status: str
    """claimed, withheld or deferred."""
    verdict: str
    """allow, withhold or defer."""
    at: datetime
    items: tuple[str, ...] = ()
    items_removed: tuple[str, ...] = ()
    reason: str | None = None
    detail: str = ""
    checks: tuple[object, ...] = ()
    """Each of name, passed and detail."""
    until: datetime | None = None
    address: str | None = None
    token: UUID | None = None
    decision_id: UUID | None = None
    policy: str | None = None
    """Version of the policy."""
    basis: dict[str, Any] | None = None
    """What the verdict stood on; no address, no name."""
    topic: str | None = None
    value: float = 0.0
    """What the message is worth, to decide between equals that want one slot."""
    expires_at: datetime | None = None


def decision_of(*planned: Planned) -> str:
    """The claims (or refusals) and the decisions, as one statement to end the transaction with.

    Under the locks still held. Nothing that anybody typed ends the literal: no quotation mark is left in it.
    """
    document = orjson.dumps(planned, default=str).decode().replace("'", r"\u0027")
    return f"SELECT write_decisions('{document}')"
