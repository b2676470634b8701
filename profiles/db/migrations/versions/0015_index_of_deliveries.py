"""index of deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_WHERE = sa.text("type = 'Order Delivered' AND verified")


def upgrade() -> None:
    op.create_index("event_deliveries", "event", ["at"], unique=False, postgresql_where=_WHERE)


def downgrade() -> None:
    op.drop_index("event_deliveries", table_name="event", postgresql_where=_WHERE)
