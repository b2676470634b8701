"""Kill switches with their log, complaints about a message, and the index that rates and budgets count by."""

import sqlalchemy as sa
from alembic import op

revision = "0007"

down_revision = "0006"

branch_labels = None

depends_on = None


def upgrade() -> None:
    op.create_table(
        "kill_switch",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
        sa.CheckConstraint("(kind = 'all') = (name = 'all')", name="kill_switch_all"),
    )
    op.create_table(
        "kill_switch_log",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("done", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("kill_switch_log_name", "kill_switch_log", ["kind", "name", "at"])
    op.execute(
        """
        CREATE FUNCTION kill_switch_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'kill_switch_log is append-only: write another row'; END $$
        """
    )
    op.execute(
        "CREATE TRIGGER kill_switch_log_stays BEFORE UPDATE OR DELETE ON kill_switch_log "
        "FOR EACH ROW EXECUTE FUNCTION kill_switch_log_stays()"
    )
    op.add_column("message", sa.Column("complained_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "message_channel_claimed",
        "message",
        ["channel", "claimed_at"],
        postgresql_where=sa.text("claimed_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("message_channel_claimed", table_name="message")
    op.drop_column("message", "complained_at")
    op.drop_table("kill_switch_log")
    op.execute("DROP FUNCTION kill_switch_log_stays")
    op.drop_table("kill_switch")
