"""Devices linked by pages."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identifier", sa.Column("page_only", sa.Boolean(), nullable=True))
    op.add_column(
        "identifier",
        sa.Column("linked_by_page", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column(
        "identity_link",
        sa.Column("accepts_device", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("identity_link", "accepts_device")
    op.drop_column("identifier", "linked_by_page")
    op.drop_column("identifier", "page_only")
