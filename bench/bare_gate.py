"""Transactions that decide nothing: the least that a lock and a row cost, and what the gate's rows cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.db.database import Database
from profiles.db.sql import encode, new_id

_NARROW = """
CREATE TABLE bare_decision (id uuid PRIMARY KEY, profile_id uuid NOT NULL, at timestamptz NOT NULL)
"""
_SAME = """
CREATE TABLE same_decision (LIKE decision INCLUDING ALL);
CREATE TABLE same_message (LIKE message INCLUDING ALL)
"""
_LOCK = "SELECT merged_into FROM profile WHERE profile_id = $1 FOR NO KEY UPDATE"


@dataclass(frozen=True, slots=True)
class BareGate:
    """Both, on a database where the gate has decided at least once."""

    database: Database
    decision: Mapping[str, Any]
    message: Mapping[str, Any]
    """Rows that the gate wrote, to be written again."""
    into: tuple[str, str]
    """The two statements that write them."""

    async def one_row(self, profile_id: UUID, run_id: UUID, step: str, at: datetime) -> None:
        """Lock a row, read a row, insert a narrow row, commit."""
        async with self.database.transaction() as connection:
            await connection.fetchrow(_LOCK, profile_id)
            await connection.fetchrow("SELECT state, journey FROM run WHERE run_id = $1", run_id)
            await connection.execute(
                "INSERT INTO bare_decision VALUES ($1, $2, $3)", new_id(), profile_id, at
            )

    async def same_rows(self, profile_id: UUID, run_id: UUID, step: str, at: datetime) -> None:
        """Lock a row, insert a decision and a message as the gate writes them, commit: nothing is read."""
        named = {"message_id": new_id(), "profile_id": profile_id, "run_id": run_id, "step": step}
        decision = {**self.decision, **named, "decision_id": new_id(), "at": at}
        message = {**self.message, **named, "token": new_id(), "decided_at": at, "claimed_at": at}
        async with self.database.transaction() as connection:
            await connection.fetchrow(_LOCK, profile_id)
            await connection.execute(self.into[0], *decision.values())
            await connection.execute(self.into[1], *message.values())


async def beside_the_gate(database: Database) -> BareGate:
    """With tables for both, which have the gate's own columns and indexes where it is about the same rows."""
    async with database.transaction() as connection:
        await connection.execute(f"{_NARROW}; {_SAME}")
        decision = await connection.fetchrow("SELECT * FROM decision WHERE verdict = 'allow' LIMIT 1")
        message = await connection.fetchrow("SELECT * FROM message WHERE status = 'claimed' LIMIT 1")
    into = _into("same_decision", list(decision.keys())), _into("same_message", list(message.keys()))
    as_text = {name: encode(decision[name]) for name in ("checks", "basis")}
    return BareGate(database, {**decision, **as_text}, dict(message), into)


def _into(table: str, columns: Sequence[str]) -> str:
    values = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"
