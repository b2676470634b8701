"""History: events that tell of the past when they arrive. By them nobody enters, until something new happens.

An event is history if its time lies more than ``MAX_EVENT_AGE`` before its arrival, whoever sends it and
however. It starts no run itself. A sweep, which finds people by what is known of them, passes over those of
whom the newest arrival is history: they are found again once they do something. An operator can start a run
for one of them.

A statement about somebody is nothing that they do. An account or a consent that is loaded along with old
orders, with the time of loading, therefore makes nobody new.
"""

from profiles.state.clock import MAX_EVENT_AGE

_NO_ACTS = ("Message Delivered", "Message Bounced")

_STATEMENTS = ("Identified", "Consent Changed")

_IS_OLD = f"e.time < e.at - interval '{MAX_EVENT_AGE.total_seconds():.0f} seconds'"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


IS_HISTORY_SQL = f"""COALESCE((SELECT {_IS_OLD} FROM event e
  WHERE e.profile_id = {{profile}} AND e.type NOT IN ({_listed(_NO_ACTS)})
    AND (e.type NOT IN ({_listed(_STATEMENTS)}) OR {_IS_OLD})
    AND (NOT starts_with(e.source, 'waypost/') OR e.source = 'waypost/preferences')
  ORDER BY e.at DESC, e.time DESC LIMIT 1), false)"""  # noqa: S608 - constant fragments
"""SQL: whether the newest arrival of the profile ``{profile}`` is history. Reads event_profile_at."""
