"""Unverified events that a verified one took the place of."""

import sqlalchemy as sa
from alembic import op

revision = "0012"

down_revision = "0011"

branch_labels = None

depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("superseded_by", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("event", "superseded_by")
