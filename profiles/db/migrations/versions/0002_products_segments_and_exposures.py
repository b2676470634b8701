"""Products and their changes, segments, exposures, and ``person``: people as authors' queries see them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"

down_revision = "0001"

branch_labels = None

depends_on = None

_CASES = (
    "profile_id IS NOT NULL AND "
    "type NOT IN ('Page Viewed', 'Screen Viewed', 'Product Viewed', 'Product Added', 'Product Removed', "
    "'Cart Viewed', 'Message Delivered', 'Message Opened', 'Message Clicked')"
)

_NOT_LAPSED = (
    "merged_into IS NULL AND erased_at IS NULL AND (lapsed_after IS NULL OR lapsed_after < last_order_at)"
)

# Scalar subqueries only: those a query does not ask for are never run.
_PERSON = """
CREATE VIEW person AS SELECT
  p.profile_id,
  p.traits,
  p.orders,
  (SELECT COALESCE(round(sum(u.price * (u.quantity - u.returned))::numeric, 2), 0) FROM purchase u
    WHERE u.profile_id = p.profile_id) AS spent,
  (SELECT min(u.time) FROM purchase u WHERE u.profile_id = p.profile_id) AS first_order_at,
  p.last_order_at,
  floor(EXTRACT(epoch FROM now() - p.last_order_at) / 86400)::int AS days_since_order,
  (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) FROM (
    SELECT day - lag(day) OVER (ORDER BY day) AS gap FROM (
      SELECT DISTINCT (u.time AT TIME ZONE 'UTC')::date AS day FROM purchase u
      WHERE u.profile_id = p.profile_id) visit) between_visits
    HAVING count(gap) >= 2) AS median_gap_days,
  p.created_at,
  (SELECT max(e.at) FROM event e WHERE e.profile_id = p.profile_id) AS last_event_at,
  (SELECT COALESCE(sum(jsonb_array_length(c.lines)), 0)::int FROM cart c
    WHERE c.profile_id = p.profile_id AND c.closed_at IS NULL) AS open_cart_items,
  EXISTS (SELECT 1 FROM identifier i WHERE i.profile_id = p.profile_id AND i.type = 'email'
    AND NOT EXISTS (SELECT 1 FROM address_problem a
      WHERE a.channel = 'email' AND a.address = i.value)) AS reachable_email,
  EXISTS (SELECT 1 FROM identifier i WHERE i.profile_id = p.profile_id AND i.type = 'phone'
    AND NOT EXISTS (SELECT 1 FROM address_problem a
      WHERE a.channel = 'sms' AND a.address = i.value)) AS reachable_sms
FROM profile p WHERE p.merged_into IS NULL AND p.erased_at IS NULL
"""


def _stamp() -> sa.Column[object]:
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def upgrade() -> None:
    op.create_table(
        "exposure",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _stamp(),
        sa.PrimaryKeyConstraint("run_id", "experiment"),
    )
    op.create_index("exposure_experiment", "exposure", ["experiment", "arm"])
    op.create_index("ix_exposure_profile_id", "exposure", ["profile_id"])
    op.create_table(
        "segment",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=False),
        _stamp(),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "segment_member",
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        _stamp(),
        sa.PrimaryKeyConstraint("segment", "profile_id"),
    )
    op.create_index("ix_segment_member_profile_id", "segment_member", ["profile_id"])
    _products()
    op.add_column("message", sa.Column("engaged_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("event_cases", "event", ["profile_id", "type"], postgresql_where=sa.text(_CASES))
    # Old marks are instants of sweeps, which are later than the orders they were about: they stand.
    op.alter_column("profile", "lapsed_at", new_column_name="lapsed_after")
    op.create_index("profile_not_lapsed", "profile", ["last_order_at"], postgresql_where=sa.text(_NOT_LAPSED))
    op.create_index("purchase_profile_time", "purchase", ["profile_id", "time"])
    op.drop_index("ix_purchase_profile_id", table_name="purchase")
    op.create_index(
        "cart_open_lines",
        "cart",
        ["lines"],
        postgresql_using="gin",
        postgresql_ops={"lines": "jsonb_path_ops"},
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.execute(_PERSON)


def _products() -> None:
    op.create_table(
        "product",
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("price", sa.Float(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("in_stock", sa.Boolean(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("priced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stocked_at", sa.DateTime(timezone=True), nullable=True),
        _stamp(),
        sa.PrimaryKeyConstraint("item", "sku"),
    )
    op.create_table(
        "product_change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("was_price", sa.Float(), nullable=True),
        sa.Column("price", sa.Float(), nullable=True),
        sa.Column("was_in_stock", sa.Boolean(), nullable=True),
        sa.Column("in_stock", sa.Boolean(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=True),
        _stamp(),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(
        "product_change_unswept", "product_change", ["seq"], postgresql_where=sa.text("swept_at IS NULL")
    )


def downgrade() -> None:
    op.execute("DROP VIEW person")
    op.drop_index("cart_open_lines", table_name="cart")
    op.create_index("ix_purchase_profile_id", "purchase", ["profile_id"])
    op.drop_index("purchase_profile_time", table_name="purchase")
    op.drop_index("profile_not_lapsed", table_name="profile")
    op.alter_column("profile", "lapsed_after", new_column_name="lapsed_at")
    op.drop_index("event_cases", table_name="event")
    op.drop_column("message", "engaged_at")
    op.drop_table("product_change")
    op.drop_table("product")
    op.drop_table("segment_member")
    op.drop_table("segment")
    op.drop_table("exposure")
