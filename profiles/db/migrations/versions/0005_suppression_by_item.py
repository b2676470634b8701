"""How far a purchase suppresses, what the feed says of groups and bundles, messages that it overtook."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0005"

down_revision = "0004"

branch_labels = None

depends_on = None


def _texts(name: str) -> sa.Column[list[str]]:
    return sa.Column(name, ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'"))


def upgrade() -> None:
    """What was bought so far suppresses its product, as before."""
    op.add_column(
        "suppression", sa.Column("scope", sa.Text, nullable=False, server_default=sa.text("'product'"))
    )
    op.add_column("suppression", sa.Column("of", sa.Text))
    op.add_column("suppression", _texts("parts"))
    op.add_column("product", sa.Column("category", sa.Text))
    op.add_column("product", sa.Column("item_group", sa.Text))
    op.add_column("product", _texts("bundle"))
    op.create_index("product_sku", "product", ["sku"])
    op.add_column("message", sa.Column("overtaken_by", sa.Uuid))


def downgrade() -> None:
    """Every purchase suppresses its product again."""
    op.drop_column("message", "overtaken_by")
    op.drop_index("product_sku", table_name="product")
    for column in ("bundle", "item_group", "category"):
        op.drop_column("product", column)
    for column in ("parts", "of", "scope"):
        op.drop_column("suppression", column)
