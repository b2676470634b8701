"""What each decision stood on, and by which policy, so that it can be made again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"

down_revision = "0003"

branch_labels = None

depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy",
        sa.Column("version", sa.Text(), primary_key=True),
        sa.Column("limits", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    # No default: what was decided before stands on nothing that is on record.
    op.add_column("decision", sa.Column("policy", sa.Text(), nullable=True))
    op.add_column("decision", sa.Column("basis", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("decision", "basis")
    op.drop_column("decision", "policy")
    op.drop_table("policy")
