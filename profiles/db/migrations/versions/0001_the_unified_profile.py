"""The unified profile: people, orders, consents, messages, runs and the queue to Temporal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"

down_revision = None

branch_labels = None

depends_on = None


def upgrade() -> None:
    op.create_table(
        "address_problem",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("channel", "address"),
    )
    op.create_table(
        "audience_member",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("member_id"),
    )
    op.create_index(op.f("ix_audience_member_profile_id"), "audience_member", ["profile_id"], unique=False)
    op.create_index(op.f("ix_audience_member_run_id"), "audience_member", ["run_id"], unique=False)
    op.create_table(
        "cart",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("cart_id", sa.Text(), nullable=False),
        sa.Column(
            "lines",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "cart_id"),
    )
    op.create_table(
        "consent",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(op.f("ix_consent_profile_id"), "consent", ["profile_id"], unique=False)
    op.create_table(
        "decision",
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column(
            "checks",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("items", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("items_removed", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("decision_id"),
    )
    op.create_index("decision_profile_at", "decision", ["profile_id", "at"], unique=False)
    op.create_index("decision_run", "decision", ["run_id"], unique=False)
    op.create_table(
        "event",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=True),
        sa.Column("cart_id", sa.Text(), nullable=True),
        sa.Column(
            "identifiers",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "properties",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "traits",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "context",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "problems",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
        sa.UniqueConstraint("source", "id", name="event_source_id"),
    )
    op.create_index("event_profile_at", "event", ["profile_id", "at"], unique=False)
    op.create_index(
        "event_undone_orders",
        "event",
        ["profile_id"],
        unique=False,
        postgresql_where=sa.text("type IN ('Order Refunded', 'Order Cancelled')"),
    )
    op.create_table(
        "identifier",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("type", "value"),
    )
    op.create_index(op.f("ix_identifier_profile_id"), "identifier", ["profile_id"], unique=False)
    op.create_table(
        "message",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("message_class", sa.Text(), nullable=False),
        sa.Column("items", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("claim_recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
        sa.UniqueConstraint("run_id", "step", name="message_send_key"),
    )
    op.create_index(
        "message_claims",
        "message",
        ["claim_recorded_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('claimed', 'unknown')"),
    )
    op.create_index("message_profile_claimed", "message", ["profile_id", "claimed_at"], unique=False)
    op.create_table(
        "opt_out",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("channel", "address", "topic"),
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("lane", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column(
            "payload",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("trigger", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rerouted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("outbox_lane", "outbox", ["lane"], unique=False)
    op.create_index(
        "outbox_queue", "outbox", ["seq"], unique=False, postgresql_where=sa.text("delivered_at IS NULL")
    )
    op.create_index(
        "outbox_undelivered",
        "outbox",
        ["lane", "seq"],
        unique=False,
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    op.create_table(
        "profile",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
        sa.Column(
            "traits",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("context_timezone", sa.Text(), nullable=True),
        sa.Column("email_from_order", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("last_order_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("orders", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lapsed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("profile_id"),
    )
    op.create_index(
        "profile_last_order",
        "profile",
        ["last_order_at"],
        unique=False,
        postgresql_where=sa.text("merged_into IS NULL"),
    )
    op.create_index(
        "profile_merged_into",
        "profile",
        ["merged_into"],
        unique=False,
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.create_table(
        "purchase",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("price", sa.Float(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("returned", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "line"),
    )
    op.create_index(op.f("ix_purchase_item"), "purchase", ["item"], unique=False)
    op.create_index(op.f("ix_purchase_profile_id"), "purchase", ["profile_id"], unique=False)
    op.create_table(
        "run",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("temporal_run_id", sa.Text(), nullable=True),
        sa.Column("entry_event", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("clock_offset_s", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("signals", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("run_journey_entered", "run", ["journey", "entered_at", "run_id"], unique=False)
    op.create_index(
        "run_one_live_per_key",
        "run",
        ["journey", "key"],
        unique=True,
        postgresql_where=sa.text("state <> 'ended'"),
    )
    op.create_index("run_profile", "run", ["profile_id", "journey", "entered_at"], unique=False)
    op.create_index("run_stuck", "run", ["state"], unique=False, postgresql_where=sa.text("state = 'stuck'"))
    op.create_table(
        "sandbox_audience",
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("audience", "member_id"),
    )
    op.create_table(
        "sandbox_message",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "headers",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_table(
        "suppression",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "event_id", "line"),
    )


def downgrade() -> None:
    op.drop_table("suppression")
    op.drop_table("sandbox_message")
    op.drop_table("sandbox_audience")
    op.drop_index("run_stuck", table_name="run", postgresql_where=sa.text("state = 'stuck'"))
    op.drop_index("run_profile", table_name="run")
    op.drop_index("run_one_live_per_key", table_name="run", postgresql_where=sa.text("state <> 'ended'"))
    op.drop_index("run_journey_entered", table_name="run")
    op.drop_table("run")
    op.drop_index(op.f("ix_purchase_profile_id"), table_name="purchase")
    op.drop_index(op.f("ix_purchase_item"), table_name="purchase")
    op.drop_table("purchase")
    op.drop_index(
        "profile_merged_into", table_name="profile", postgresql_where=sa.text("merged_into IS NOT NULL")
    )
    op.drop_index("profile_last_order", table_name="profile", postgresql_where=sa.text("merged_into IS NULL"))
    op.drop_table("profile")
    op.drop_index("outbox_undelivered", table_name="outbox", postgresql_where=sa.text("delivered_at IS NULL"))
    op.drop_index("outbox_queue", table_name="outbox", postgresql_where=sa.text("delivered_at IS NULL"))
    op.drop_index("outbox_lane", table_name="outbox")
    op.drop_table("outbox")
    op.drop_table("opt_out")
    op.drop_index("message_profile_claimed", table_name="message")
    op.drop_index(
        "message_claims", table_name="message", postgresql_where=sa.text("status IN ('claimed', 'unknown')")
    )
    op.drop_table("message")
    op.drop_index(op.f("ix_identifier_profile_id"), table_name="identifier")
    op.drop_table("identifier")
    op.drop_index(
        "event_undone_orders",
        table_name="event",
        postgresql_where=sa.text("type IN ('Order Refunded', 'Order Cancelled')"),
    )
    op.drop_index("event_profile_at", table_name="event")
    op.drop_table("event")
    op.drop_index("decision_run", table_name="decision")
    op.drop_index("decision_profile_at", table_name="decision")
    op.drop_table("decision")
    op.drop_index(op.f("ix_consent_profile_id"), table_name="consent")
    op.drop_table("consent")
    op.drop_table("cart")
    op.drop_index(op.f("ix_audience_member_run_id"), table_name="audience_member")
    op.drop_index(op.f("ix_audience_member_profile_id"), table_name="audience_member")
    op.drop_table("audience_member")
    op.drop_table("address_problem")
