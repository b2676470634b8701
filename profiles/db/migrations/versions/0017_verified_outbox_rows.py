"""outbox rows of verified events are delivered first."""

import sqlalchemy as sa
from alembic import op

revision = "0017"

down_revision = "0016"

branch_labels = None

depends_on = None


def upgrade() -> None:
    # True for the rows that are there, and for those of an older release: they keep their place in the order.
    op.add_column("outbox", sa.Column("verified", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.create_index(
        "outbox_queue_by_trust",
        "outbox",
        ["verified", "seq"],
        postgresql_where=sa.text("delivered_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("outbox_queue_by_trust", table_name="outbox")
    op.drop_column("outbox", "verified")
