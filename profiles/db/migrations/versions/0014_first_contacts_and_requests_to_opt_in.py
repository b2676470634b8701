"""first contacts and requests to opt in."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


# An unverified grant permits nothing any more. Where a verified one is on file too, the next event of the
# profile computes which is effective; until then the gate compares the address with the verified grants.
_DELETE_UNVERIFIED_GRANTS = """
DELETE FROM consent_state s WHERE s.state = 'granted' AND s.channel <> 'push'
  AND EXISTS (SELECT 1 FROM consent c WHERE c.profile_id = s.profile_id AND c.channel = s.channel
    AND c.topic = s.topic AND c.state = 'granted' AND NOT c.verified)
  AND NOT EXISTS (SELECT 1 FROM consent c WHERE c.profile_id = s.profile_id AND c.channel = s.channel
    AND c.topic = s.topic AND c.state = 'granted' AND c.verified)
"""


def upgrade() -> None:
    op.create_table(
        "first_contact",
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("first_contact_address", "first_contact", ["channel", "address", "at"], unique=False)
    op.create_index("first_contact_at", "first_contact", ["at"], unique=False)
    op.create_table(
        "opt_in_request",
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("channel", "address"),
    )
    op.create_index(
        "opt_in_request_asked",
        "opt_in_request",
        ["settled_at"],
        unique=False,
        postgresql_where=sa.text("state = 'asked'"),
    )
    op.create_index(
        "opt_in_request_waiting",
        "opt_in_request",
        ["at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.add_column("event", sa.Column("sender", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("event", "sender")
    op.drop_index(
        "opt_in_request_waiting", table_name="opt_in_request", postgresql_where=sa.text("state = 'waiting'")
    )
    op.drop_index(
        "opt_in_request_asked", table_name="opt_in_request", postgresql_where=sa.text("state = 'asked'")
    )
    op.drop_table("opt_in_request")
    op.drop_index("first_contact_at", table_name="first_contact")
    op.drop_index("first_contact_address", table_name="first_contact")
    op.drop_table("first_contact")
