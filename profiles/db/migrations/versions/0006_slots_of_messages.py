"""What caps by topic count, and what a message that waits for its turn wants: its value, and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0006"

down_revision = "0005"

branch_labels = None

depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("topic", sa.Text(), nullable=True))
    op.add_column("message", sa.Column("value", sa.Float(), server_default=sa.text("0"), nullable=False))
    for name in ("expires_at", "deferred_until", "planned_at"):
        op.add_column("message", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "message_deferred", "message", ["profile_id"], postgresql_where=sa.text("status = 'deferred'")
    )


def downgrade() -> None:
    op.drop_index("message_deferred", table_name="message")
    for name in ("planned_at", "deferred_until", "expires_at", "value", "topic"):
        op.drop_column("message", name)
