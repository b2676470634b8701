"""trust in runs."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Processes of the version before write no value: their runs count as verified, as all did until now.
_MARK_UNVERIFIED_RUNS = """
UPDATE run r SET verified = false FROM event e WHERE e.event_id = r.entry_event AND NOT e.verified
"""


def upgrade() -> None:
    op.add_column(
        "run", sa.Column("unverified_signals", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("run", sa.Column("verified", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("run", sa.Column("entry_digest", sa.Text(), nullable=True))
    op.execute(_MARK_UNVERIFIED_RUNS)


def downgrade() -> None:
    op.drop_column("run", "entry_digest")
    op.drop_column("run", "verified")
    op.drop_column("run", "unverified_signals")
