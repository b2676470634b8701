"""Evidence beside each word on consent, reviews of doubtful replies, ledgers that are only added to."""

import sqlalchemy as sa
from alembic import op

revision = "0008"

down_revision = "0007"

branch_labels = None

depends_on = None

_EVIDENCE = ("text_version", "method", "jurisdiction")

# Privileges do not bind owners and superusers, so a trigger protects the ledgers as well. Its arguments name
# the columns that may change: ``profile_id``, which is no part of a declaration. An erasure switches the
# trigger off for its transaction.
_STAYS = """
CREATE FUNCTION ledger_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('waypost.erasing', true) = 'on' THEN
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
  END IF;
  IF TG_OP = 'UPDATE' AND TG_NARGS > 0 AND to_jsonb(NEW) - TG_ARGV[0] = to_jsonb(OLD) - TG_ARGV[0] THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% is append-only: % refused; write another row, which says what is so now',
    TG_TABLE_NAME, TG_OP
    USING HINT = 'Only the erasure of a person changes rows, under the setting waypost.erasing.';
END $$
"""

_LEDGERS = {"consent": "'profile_id'", "decision": "'profile_id'", "identity_log": ""}
"""Table → the column that follows the person."""


def upgrade() -> None:
    for table in ("consent", "consent_state"):
        for name in _EVIDENCE:
            op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
    op.add_column("consent", sa.Column("reviews", sa.BigInteger(), nullable=True))
    op.create_index(
        "consent_reviews",
        "consent",
        ["reviews"],
        unique=True,
        postgresql_where=sa.text("reviews IS NOT NULL"),
    )
    op.create_index(
        "consent_doubtful",
        "consent",
        ["at", "seq"],
        postgresql_where=sa.text("method = 'reply_doubtful'"),
    )
    op.execute("DROP TRIGGER identity_log_stays ON identity_log")
    op.execute("DROP FUNCTION identity_log_stays")
    op.execute(_STAYS)
    for table, may_move in _LEDGERS.items():
        op.execute(
            f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION ledger_stays({may_move})"
        )
        op.execute(
            f"CREATE TRIGGER {table}_stays_whole BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_stays()"
        )


def downgrade() -> None:
    for table in _LEDGERS:
        op.execute(f"DROP TRIGGER {table}_stays_whole ON {table}")
        op.execute(f"DROP TRIGGER {table}_stays ON {table}")
    op.execute("DROP FUNCTION ledger_stays")
    op.execute(
        """
        CREATE FUNCTION identity_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'identity_log is append-only: write another row'; END $$
        """
    )
    op.execute(
        "CREATE TRIGGER identity_log_stays BEFORE UPDATE OR DELETE ON identity_log "
        "FOR EACH ROW EXECUTE FUNCTION identity_log_stays()"
    )
    op.drop_index("consent_doubtful", table_name="consent")
    op.drop_index("consent_reviews", table_name="consent")
    op.drop_column("consent", "reviews")
    for table in ("consent", "consent_state"):
        for name in _EVIDENCE:
            op.drop_column(table, name)
