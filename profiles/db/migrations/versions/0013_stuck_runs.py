"""When a run was parked, and the log of what operators did to runs."""

import sqlalchemy as sa
from alembic import op

revision = "0013"

down_revision = "0012"

branch_labels = None

depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_log",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("done", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("run_log_run", "run_log", ["run_id", "seq"])
    op.execute(
        "CREATE TRIGGER run_log_stays BEFORE UPDATE OR DELETE ON run_log "
        "FOR EACH ROW EXECUTE FUNCTION ledger_stays()"
    )
    op.execute(
        "CREATE TRIGGER run_log_stays_whole BEFORE TRUNCATE ON run_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_stays()"
    )
    op.add_column("run", sa.Column("stuck_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("run", "stuck_at")
    op.drop_table("run_log")
