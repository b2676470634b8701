"""Column types that most tables use: timestamptz and jsonb."""

from typing import Any

from sqlalchemy import Column, DateTime, func, text
from sqlalchemy.dialects.postgresql import JSONB


def timestamp_column(*, nullable: bool = False, server_stamped: bool = False) -> Any:
    """Return a timestamptz column. Postgres fills in ``server_stamped`` ones."""
    return Column(
        DateTime(timezone=True), nullable=nullable, server_default=func.now() if server_stamped else None
    )


def jsonb_column(default: str) -> Any:
    """Return a jsonb column with a default, "{}" or "[]"."""
    return Column(JSONB, nullable=False, server_default=text(f"'{default}'::jsonb"))
