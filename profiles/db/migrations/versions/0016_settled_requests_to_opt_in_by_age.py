"""Settled requests to opt in by age."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "opt_in_request_settled",
        "opt_in_request",
        ["settled_at"],
        unique=False,
        postgresql_where=sa.text("state <> 'waiting'"),
    )


def downgrade() -> None:
    op.drop_index("opt_in_request_settled", table_name="opt_in_request")
