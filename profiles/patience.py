"""How long the gate's transaction may take: a slow database means no send, not a late one."""

PATIENCE = "lock_timeout => '5s', statement_timeout => '5s', idle_timeout => '10s'"
"""Arguments of ``lock_person_of_run``: in this transaction nobody waits longer than 5 s for a lock or, from
the next statement on, for a statement: a claim that took longer could not be used any more. Postgres ends a
session that freezes between two. It costs no round trip, and is set before the wait."""

GIVE_UP_S = 6.0
"""By the caller's own clock, where Postgres does not even say that it waits."""
