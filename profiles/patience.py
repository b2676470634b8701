"""How long the gate's transaction may take: a slow database means no send, not a late one."""

PATIENCE = (
    "set_config('lock_timeout', '5s', true) || set_config('statement_timeout', '5s', true) "
    "|| set_config('idle_in_transaction_session_timeout', '10s', true) <> ''"
)
"""True; and in this transaction nobody waits longer than 5 s for a lock or, from the next statement on, for a
statement: a claim that took longer could not be used any more. Postgres ends a session that freezes between
two. A condition on the way to the row that is locked: it costs no round trip, and is set before the wait."""

GIVE_UP_S = 6.0
"""By the caller's own clock, where Postgres does not even say that it waits."""
