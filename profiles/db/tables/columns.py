"""The two kinds of column that every table has."""

from typing import Any

from sqlalchemy import Column, DateTime, func, text
from sqlalchemy.dialects.postgresql import JSONB


def timestamp_column(*, nullable: bool = False, server_stamped: bool = False) -> Any:
    """A timestamptz column; ``stamped`` ones are filled in by Postgres."""
    return Column(
        DateTime(timezone=True), nullable=nullable, server_default=func.now() if server_stamped else None
    )


def jsonb_column(default: str) -> Any:
    """A jsonb column with a default, "{}" or "[]"."""
    return Column(JSONB, nullable=False, server_default=text(f"'{default}'::jsonb"))
