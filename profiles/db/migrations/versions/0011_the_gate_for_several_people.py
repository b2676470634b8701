"""The gate for several people in one transaction: whom to lock, and what to write down about them."""

from alembic import op

revision = "0011"

down_revision = "0010"

branch_labels = None

depends_on = None

# As for one profile, but without waiting: a profile that another transaction has locked is skipped, and its
# request is decided alone later. So no two of these transactions wait for each other.
_LOCK = """
CREATE FUNCTION lock_free_people_of_runs(
  runs uuid[], lock_timeout text, statement_timeout text, idle_timeout text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE locked text; said text;
BEGIN
  said := set_config('lock_timeout', lock_timeout, true)
    || set_config('statement_timeout', statement_timeout, true)
    || set_config('idle_in_transaction_session_timeout', idle_timeout, true)
    || set_config('plan_cache_mode', 'force_generic_plan', true);
  SELECT string_agg(free.profile_id::text, ',') INTO locked FROM (
    SELECT p.profile_id FROM profile p
    WHERE p.profile_id = ANY(ARRAY(SELECT r.profile_id FROM run r WHERE r.run_id = ANY(runs)))
    FOR NO KEY UPDATE SKIP LOCKED) free;
  said := set_config('waypost.locked', COALESCE(locked, ''), true);
  IF locked IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock_shared(hashtext('waypost: stops'));
  END IF;
END $$
"""

_WRITE = """
CREATE FUNCTION {name}(planned jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH p AS MATERIALIZED (SELECT * FROM {rows}(planned) AS p(
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


def upgrade() -> None:
    op.execute(_LOCK)
    op.execute(_WRITE.format(name="write_decisions", rows="jsonb_to_recordset"))
    op.execute("DROP FUNCTION write_decision(jsonb)")


def downgrade() -> None:
    op.execute(_WRITE.format(name="write_decision", rows="jsonb_to_record"))
    op.execute("DROP FUNCTION write_decisions(jsonb)")
    op.execute("DROP FUNCTION lock_free_people_of_runs(uuid[], text, text, text)")
