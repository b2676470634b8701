"""The gate's lock and last word as functions; a ledger of switches; addresses that came with orders."""

import sqlalchemy as sa
from alembic import op

revision = "0010"

down_revision = "0009"

branch_labels = None

depends_on = None

# In this order: set the timeouts, lock the profile, lock the kill switches. The lock of the switches comes
# last, so that an operator who stops something does not wait behind a profile's queue. The locked profile's
# id is kept as a setting of the transaction, since statements that are sent with BEGIN return no rows.
# A generic plan: all statements of the gate look up one profile, and planning takes longer than running.
_LOCK = """
CREATE FUNCTION lock_person_of_run(run uuid, lock_timeout text, statement_timeout text, idle_timeout text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE locked uuid; said text;
BEGIN
  said := set_config('lock_timeout', lock_timeout, true)
    || set_config('statement_timeout', statement_timeout, true)
    || set_config('idle_in_transaction_session_timeout', idle_timeout, true)
    || set_config('plan_cache_mode', 'force_generic_plan', true);
  SELECT p.profile_id INTO locked FROM profile p
    WHERE p.profile_id = (SELECT r.profile_id FROM run r WHERE r.run_id = run) FOR NO KEY UPDATE;
  IF FOUND THEN
    said := set_config('waypost.locked', locked::text, true);
    PERFORM pg_advisory_xact_lock_shared(hashtext('waypost: stops'));
  END IF;
END $$
"""

_WRITE = """
CREATE FUNCTION write_decision(planned jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH p AS MATERIALIZED (SELECT * FROM jsonb_to_record(planned) AS p(
    decision_id uuid, message_id uuid, profile_id uuid, run_id uuid, step text, journey text, channel text,
    template text, message_class text, status text, verdict text, at timestamptz, items text[],
    items_removed text[], reason text, detail text, checks jsonb, until timestamptz, address text, token uuid,
    policy text, basis jsonb, topic text, value double precision, expires_at timestamptz)
  ), decided AS (
    INSERT INTO decision (decision_id, message_id, profile_id, run_id, step, journey, channel, template,
      verdict, reason, detail, checks, items, items_removed, until, at, policy, basis)
    SELECT decision_id, message_id, profile_id, run_id, step, journey, channel, template,
      verdict, reason, detail, checks, items, items_removed, until, at, policy, basis FROM p)
  INSERT INTO message (message_id, profile_id, run_id, step, journey, channel, template, message_class,
    items, address, status, reason, token, decided_at, claimed_at, claim_recorded_at,
    topic, value, expires_at, deferred_until, planned_at)
  SELECT message_id, profile_id, run_id, step, journey, channel, template, message_class,
    items, address, status, reason, token, at, CASE WHEN status = 'claimed' THEN at END,
    CASE WHEN status = 'claimed' THEN clock_timestamp() END,
    topic, value, expires_at, CASE WHEN status = 'deferred' THEN until END, at FROM p
  ON CONFLICT (run_id, step) DO UPDATE SET channel = excluded.channel, items = excluded.items,
    address = excluded.address, status = excluded.status, reason = excluded.reason, token = excluded.token,
    decided_at = excluded.decided_at, claimed_at = excluded.claimed_at,
    claim_recorded_at = excluded.claim_recorded_at, topic = excluded.topic, value = excluded.value,
    expires_at = excluded.expires_at, deferred_until = excluded.deferred_until;
END $$
"""

_STAYED = """
CREATE FUNCTION kill_switch_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'kill_switch_log is append-only: write another row'; END $$
"""


def upgrade() -> None:
    op.add_column("profile", sa.Column("email_ordered", sa.Integer(), server_default="0", nullable=False))
    op.execute(
        "UPDATE profile SET email_ordered = CASE WHEN sure_checkout_at IS NULL THEN 1 ELSE 2 END "
        "WHERE email_from_order"
    )
    op.execute(_LOCK)
    op.execute(_WRITE)
    op.execute("DROP TRIGGER kill_switch_log_stays ON kill_switch_log")
    op.execute("DROP FUNCTION kill_switch_log_stays")
    op.execute(
        "CREATE TRIGGER kill_switch_log_stays BEFORE UPDATE OR DELETE ON kill_switch_log "
        "FOR EACH ROW EXECUTE FUNCTION ledger_stays()"
    )
    op.execute(
        "CREATE TRIGGER kill_switch_log_stays_whole BEFORE TRUNCATE ON kill_switch_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_stays()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER kill_switch_log_stays_whole ON kill_switch_log")
    op.execute("DROP TRIGGER kill_switch_log_stays ON kill_switch_log")
    op.execute(_STAYED)
    op.execute(
        "CREATE TRIGGER kill_switch_log_stays BEFORE UPDATE OR DELETE ON kill_switch_log "
        "FOR EACH ROW EXECUTE FUNCTION kill_switch_log_stays()"
    )
    op.execute("DROP FUNCTION write_decision(jsonb)")
    op.execute("DROP FUNCTION lock_person_of_run(uuid, text, text, text)")
    op.drop_column("profile", "email_ordered")
