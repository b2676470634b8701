"""Alembic's entry: runs on the connection that ``profiles.db.migrate`` hands over."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import String
from sqlmodel import AutoString, SQLModel


def types_differ(*given: Any) -> bool | None:
    """False for two types of text, which are one type in Postgres; otherwise Alembic compares."""
    return False if all(isinstance(getattr(kind, "impl", kind), String) for kind in given[-2:]) else None


def as_source(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """SQLModel's type of text as the migrations write it; otherwise Alembic's own form."""
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
