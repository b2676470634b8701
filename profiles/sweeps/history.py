"""History: events of the past when they arrive. No profile enters a journey because of them.

An event is history if its time lies more than ``MAX_EVENT_AGE`` before its arrival, for any sender and any
way of sending. It starts no run itself. A sweep, which finds profiles by what is stored of them, passes
over those of which the newest arrival is history. They are found again after their next event that is not.
An operator can start a run for one of them.

A statement about a profile is no act of it. An account or a consent that is loaded along with old orders,
with the time of loading, therefore changes nothing.
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
