"""Keys of runs, as they are stored: unique among all live runs of a journey, while a key is one per person.

Order numbers of two shops may be equal, so two people may each have a live run of one key. An index holds
each stored key once. The second run therefore stores its key with its run id, behind a separator that no key
of an event contains. Processes of an earlier version, which rely on that index, may run beside this one.
"""

from uuid import UUID

_SEPARATOR = "\x1f"
"""Does not print, so that no key of an event contains it (``profiles.runs.routing.key_fault``)."""

RUN_KEY_SQL = "split_part(r.key, chr(31), 1)"
"""The key of a row ``r`` of ``run``, without what makes the stored key unique."""


def run_key(stored_key: str) -> str:
    """Return the key of a run, without what makes the stored one unique."""
    return stored_key.partition(_SEPARATOR)[0]


def distinct_key(key: str, run_id: UUID) -> str:
    """Return the stored key of a run if a live run of another profile has the plain key."""
    return f"{key}{_SEPARATOR}{run_id}"
