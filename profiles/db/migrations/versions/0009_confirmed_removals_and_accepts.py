"""Removals from ad audiences that wait for their confirmation, and when a provider took a message."""

import sqlalchemy as sa
from alembic import op

revision = "0009"

down_revision = "0008"

branch_labels = None

depends_on = None


def upgrade() -> None:
    op.add_column("audience_member", sa.Column("leaving_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE audience_member a SET leaving_at = COALESCE((SELECT min(o.recorded_at) FROM outbox o "
        "WHERE o.lane = a.member_id AND o.name = 'remove'), now()) WHERE a.state = 'leaving'"
    )
    op.create_index(
        "audience_member_leaving",
        "audience_member",
        ["leaving_at"],
        postgresql_where=sa.text("state = 'leaving'"),
    )
    op.add_column("outbox", sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("message", sa.Column("accept_recorded_at", sa.DateTime(timezone=True), nullable=True))
    # A btree, which costs each accept some 85 bytes of WAL, and is read as one range. BRIN would cost less,
    # but later words on old messages free room in old blocks, new messages go there, and it reads them all.
    op.create_index(
        "message_accepted",
        "message",
        ["channel", "accept_recorded_at"],
        postgresql_where=sa.text("accept_recorded_at IS NOT NULL"),
    )
    op.alter_column("purchase", "recorded_at", server_default=sa.text("clock_timestamp()"))
    # Purchases stay where they are written, so that BRIN is enough here.
    op.create_index("purchase_recorded", "purchase", ["recorded_at"], postgresql_using="brin")


def downgrade() -> None:
    op.drop_index("purchase_recorded", table_name="purchase")
    op.alter_column("purchase", "recorded_at", server_default=sa.text("now()"))
    op.drop_index("message_accepted", table_name="message")
    op.drop_column("message", "accept_recorded_at")
    op.drop_column("outbox", "retry_at")
    op.drop_index("audience_member_leaving", table_name="audience_member")
    op.drop_column("audience_member", "leaving_at")
