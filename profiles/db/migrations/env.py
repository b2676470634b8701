"""Alembic's entry point: runs on the connection that ``profiles.db.migrate`` passes."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import String
from sqlmodel import AutoString, SQLModel

import profiles.db.tables  # noqa: F401 - the import registers the tables that Alembic compares


def types_differ(*given: Any) -> bool | None:
    """Return False for two text types, which are one type in Postgres; otherwise let Alembic compare."""
    return False if all(isinstance(getattr(kind, "impl", kind), String) for kind in given[-2:]) else None


def as_source(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Return SQLModel's text type as the migrations write it; otherwise let Alembic render."""
    return "sa.Text()" if kind == "type" and isinstance(item, AutoString) else False


connection = context.config.attributes.get("connection")

if connection is None:
    raise SystemExit("run migrations by `waypost migrate`, which brings the connection")

context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    compare_type=types_differ,
    compare_server_default=True,
    render_item=as_source,
)

with context.begin_transaction():
    context.run_migrations()
