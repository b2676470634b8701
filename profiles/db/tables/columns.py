"""Columns that most tables have: timestamptz, jsonb, text[], identity, and the stamp of a new row."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel


class RecordedTable(SQLModel):
    """A table of which Postgres stamps every new row."""

    recorded_at: datetime | None = Field(
        default=None,
        sa_type=DateTime(timezone=True),
        nullable=False,
        sa_column_kwargs={"server_default": func.now()},
    )


def timestamp_column(*, nullable: bool = False) -> Any:
    """Return a timestamptz column."""
    return Column(DateTime(timezone=True), nullable=nullable)


def jsonb_column(default: str) -> Any:
    """Return a jsonb column with a default, "{}" or "[]"."""
    return Column(JSONB, nullable=False, server_default=text(f"'{default}'::jsonb"))


def text_array_column(default: str | None = None) -> Any:
    """Return a text[] column, with a default such as "{}" or without one."""
    return Column(ARRAY(Text), nullable=False, server_default=default)


def identity_column() -> Any:
    """Return a primary key of which Postgres counts the values."""
    return Column(BigInteger, Identity(always=True), primary_key=True)
