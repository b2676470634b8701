"""Unverified events that a verified one took the place of, and rows that are refused one by one."""

import sqlalchemy as sa
from alembic import op

revision = "0012"

down_revision = "0011"

branch_labels = None

depends_on = None

# Every row is a subtransaction, so that one that is refused undoes no other. The text becomes JSON inside of
# it, since a text may be no JSON that Postgres stores. Deadlocks and all other errors are raised.
_EXECUTE_FOR_EACH = """
CREATE FUNCTION execute_for_each(statement text, rows text[])
RETURNS TABLE (row_number int, error text) LANGUAGE plpgsql AS $$
DECLARE element text;
BEGIN
  row_number := 0;
  FOREACH element IN ARRAY rows LOOP
    BEGIN
      EXECUTE statement USING element::jsonb;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
      error := SQLERRM;
      RETURN NEXT;
    END;
    row_number := row_number + 1;
  END LOOP;
END $$
"""


def upgrade() -> None:
    op.add_column("event", sa.Column("superseded_by", sa.Uuid(), nullable=True))
    op.add_column(
        "event", sa.Column("by_customer", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.execute(_EXECUTE_FOR_EACH)


def downgrade() -> None:
    op.execute("DROP FUNCTION execute_for_each(text, text[])")
    op.drop_column("event", "by_customer")
    op.drop_column("event", "superseded_by")
