"""Alembic's entry: runs on the connection that ``profiles.migrate`` hands over."""

from alembic import context
from sqlmodel import SQLModel

import profiles.tables  # noqa: F401 - fills SQLModel.metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations by `waypost migrate`, which brings the connection")
context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
