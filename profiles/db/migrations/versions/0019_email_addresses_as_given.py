"""email addresses as given."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identifier", sa.Column("given", sa.Text(), nullable=True))
    op.add_column("identifier", sa.Column("given_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "identifier",
        sa.Column("given_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("identifier", "given_verified")
    op.drop_column("identifier", "given_at")
    op.drop_column("identifier", "given")
