"""Bare counterparts of the gate: transactions with a lock and one narrow row, or with the gate's own rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.db.database import Database
from profiles.db.sql import encode_jsonb, new_id

_CREATE_NARROW_TABLE = """
CREATE TABLE bare_decision (id uuid PRIMARY KEY, profile_id uuid NOT NULL, at timestamptz NOT NULL)
"""
_CREATE_SAME_TABLES = """
CREATE TABLE same_decision (LIKE decision INCLUDING ALL);
CREATE TABLE same_message (LIKE message INCLUDING ALL)
"""
_LOCK_PROFILE = "SELECT merged_into FROM profile WHERE profile_id = $1 FOR NO KEY UPDATE"


@dataclass(frozen=True, slots=True)
class BareGate:
    """Both transactions, on a database where the gate has made at least one decision."""

    database: Database
    decision: Mapping[str, Any]
    message: Mapping[str, Any]
    """``decision`` and ``message``: rows that the gate wrote, to be inserted again."""
    insert_statements: tuple[str, str]
    """The two statements that insert them."""

    async def insert_narrow_row(self, profile_id: UUID, run_id: UUID, step: str, at: datetime) -> None:
        """Lock a row, read a row, insert a narrow row, commit."""
        async with self.database.transaction() as connection:
            await connection.fetchrow(_LOCK_PROFILE, profile_id)
            await connection.fetchrow("SELECT state, journey FROM run WHERE run_id = $1", run_id)
            await connection.execute(
                "INSERT INTO bare_decision VALUES ($1, $2, $3)", new_id(), profile_id, at
            )

    async def insert_same_rows(self, profile_id: UUID, run_id: UUID, step: str, at: datetime) -> None:
        """Lock a row, insert a decision and a message as the gate does, commit. Nothing is read."""
        named = {"message_id": new_id(), "profile_id": profile_id, "run_id": run_id, "step": step}
        decision = {**self.decision, **named, "decision_id": new_id(), "at": at}
        message = {**self.message, **named, "token": new_id(), "decided_at": at, "claimed_at": at}
        async with self.database.transaction() as connection:
            await connection.fetchrow(_LOCK_PROFILE, profile_id)
            await connection.execute(self.insert_statements[0], *decision.values())
            await connection.execute(self.insert_statements[1], *message.values())


async def create_bare_gate(database: Database) -> BareGate:
    """Create the tables of both transactions; those for the gate's rows have its columns and indexes."""
    async with database.transaction() as connection:
        await connection.execute(f"{_CREATE_NARROW_TABLE}; {_CREATE_SAME_TABLES}")
        decision = await connection.fetchrow("SELECT * FROM decision WHERE verdict = 'allow' LIMIT 1")
        message = await connection.fetchrow("SELECT * FROM message WHERE status = 'claimed' LIMIT 1")
    statements = (
        _insert_statement("same_decision", list(decision.keys())),
        _insert_statement("same_message", list(message.keys())),
    )
    as_text = {name: encode_jsonb(decision[name]) for name in ("checks", "basis")}
    return BareGate(database, {**decision, **as_text}, dict(message), statements)


def _insert_statement(table: str, columns: Sequence[str]) -> str:
    values = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"
