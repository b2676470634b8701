"""soft bounces and reopened addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def _timestamp(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.add_column("address_problem", _timestamp("reopened_at", nullable=True))
    op.create_table(
        "soft_bounce",
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        _timestamp("time"),
        _timestamp("at"),
        sa.Column("word", sa.Text(), server_default=sa.text("''"), nullable=False),
        _timestamp("lifted_at", nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("channel", "address", "ref"),
    )
    op.create_index("soft_bounce_time", "soft_bounce", ["time"])
    op.create_table(
        "address_log",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        _timestamp("at"),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("address_log_address", "address_log", ["channel", "address", "at"])
    op.execute(
        "CREATE TRIGGER address_log_stays BEFORE UPDATE OR DELETE ON address_log "
        "FOR EACH ROW EXECUTE FUNCTION ledger_stays()"
    )
    op.execute(
        "CREATE TRIGGER address_log_stays_whole BEFORE TRUNCATE ON address_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_stays()"
    )


def downgrade() -> None:
    op.drop_table("address_log")
    op.drop_table("soft_bounce")
    op.drop_column("address_problem", "reopened_at")
