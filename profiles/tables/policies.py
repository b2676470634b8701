"""Policies by version, as a Postgres table."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant, json_column


class Policy(SQLModel, table=True):
    """What the shop had set while decisions were made by this version; never changed."""

    version: str = Field(primary_key=True)
    limits: dict[str, Any] = Field(default_factory=dict, sa_column=json_column("{}"))
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))
