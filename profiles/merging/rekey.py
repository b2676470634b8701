"""Live runs of people who were joined or parted: under which key they go on, and which of two stays."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.events import END_RUN_SIGNAL
from profiles.runs.routing import MAX_SIGNALS_PER_RUN, ON_MERGE_END, event_payload
from profiles.state.cart import CartLines
from profiles.state.event_records import StoredEvent
from profiles.state.profile_state import ProfileState, original_cart_key
from profiles.state.unit_of_work import UnitOfWork

MERGED_OUTCOME = "merged"
"""Outcome of a run that ended because another run goes on for it."""

QUARANTINED_OUTCOME = "quarantined"
"""Outcome of a run that was begun under an identifier which is nobody's."""

_SELECT_LIVE_RUNS = """
SELECT r.run_id, r.journey, r.key, r.profile_id, r.entered_at, r.signals, r.workflow_id, r.on_merge,
  e.cart_id AS began_in
FROM run r LEFT JOIN event e ON e.event_id = r.entry_event
WHERE r.profile_id = ANY($1) AND r.state <> 'ended' ORDER BY r.entered_at, r.run_id
"""

_SELECT_KEYS_IN_USE = """
SELECT journey, key FROM run WHERE key = ANY($2) AND profile_id <> ALL($1) AND state <> 'ended'
"""

_END_RUN_AND_SIGNAL = """
WITH ended AS (
  UPDATE run SET state = 'ended', outcome = $2, detail = $3, ended_at = $4
  WHERE run_id = $1 AND state <> 'ended' RETURNING run_id)
INSERT INTO outbox (lane, kind, name, payload)
SELECT run_id, 'signal', $5::text, jsonb_build_object('outcome', $2::text, 'reason', $3::text) FROM ended
"""

# Two steps, since two runs may take each other's keys, and no two live ones ever have the same.
_REKEY_LIVE_RUNS = (
    "UPDATE run SET key = run_id::text WHERE run_id = ANY($1)",
    "UPDATE run r SET key = k.key FROM unnest($1::uuid[], $2::text[]) AS k(run_id, key) "
    "WHERE r.run_id = k.run_id",
)

# Re-entry counts the runs of a key, those that have ended too.
_REKEY_ENDED_RUNS = """
UPDATE run SET key = profile_id::text WHERE profile_id = ANY($1) AND state = 'ended' AND key = ANY($2)
  AND key <> profile_id::text
"""


@dataclass(frozen=True, slots=True)
class MergedProfiles:
    """People as they are by now."""

    states: dict[UUID, ProfileState]
    events: dict[UUID, list[StoredEvent]]
    """Each person's events that leave a trace, in their order."""
    quarantine_profiles: Collection[UUID]

    def key_for(self, run: Any, profiles: Collection[str], *, of_a_cart: bool) -> str:
        """The key that a run goes by: its person, its cart as that is called by now, or what it was."""
        key: str = run["key"]
        if key in profiles:
            return str(run["profile_id"])
        person = self.states[run["profile_id"]]
        # The one it began in is its own: it went by somebody else's while the two were one person.
        began = person.renamed_carts.get(run["began_in"], run["began_in"])
        if of_a_cart and began in person.carts:
            return str(began)
        return key if key in person.carts else person.renamed_carts.get(key, key)


async def rekey_runs(
    connection: Any,
    merged_profiles: MergedProfiles,
    pre_merge: "PreMergeState",
    profile_ids: Collection[UUID],
    at: datetime,
    unit_of_work: UnitOfWork,
) -> None:
    """Let every live run go on where it belongs, or end, as its journey said when it began.

    Of two that go on with one key the older stays, and the other ends.
    """
    profiles = {str(who) for who in profile_ids}
    people = sorted(merged_profiles.states)
    oldest: dict[tuple[str, str], Any] = {}
    runs = await connection.fetch(_SELECT_LIVE_RUNS, people)
    keys = {
        run["run_id"]: merged_profiles.key_for(
            run, profiles, of_a_cart=pre_merge.cart_lines(run["run_id"]) is not None
        )
        for run in runs
    }
    # Two strangers may give their carts one name, but only one of them has a run that goes by it.
    taken = {tuple(row) for row in await connection.fetch(_SELECT_KEYS_IN_USE, people, list(keys.values()))}
    for run in runs:
        own = keys[run["run_id"]]
        key = run["key"] if (run["journey"], own) in taken else own
        ending = _end_of_run(merged_profiles, pre_merge, run)
        if ending is None and oldest.setdefault((run["journey"], key), run) is not run:
            ending = MERGED_OUTCOME, "the person has an older run of the same key"
        if ending is not None:
            await connection.execute(_END_RUN_AND_SIGNAL, run["run_id"], *ending, at, END_RUN_SIGNAL)
    renamed = {run["run_id"]: key for (_, key), run in oldest.items() if key != run["key"]}
    if renamed:
        free, take = _REKEY_LIVE_RUNS
        await connection.execute(free, list(renamed))
        await connection.execute(take, list(renamed), list(renamed.values()))
    for (_, key), run in oldest.items():
        _signal_changed_cart(merged_profiles, pre_merge, run, key, unit_of_work)
    await connection.execute(_REKEY_ENDED_RUNS, people, sorted(profiles))


def _end_of_run(standing: MergedProfiles, was: "PreMergeState", run: Any) -> tuple[str, str] | None:
    """Outcome and reason of a run that goes on for nobody; None: it goes on."""
    if run["profile_id"] in standing.quarantine_profiles:
        return QUARANTINED_OUTCOME, "it was begun under an identifier that so many share that it is nobody's"
    former, _ = was.runs.get(run["run_id"], (run["profile_id"], ""))
    # Where the former person lives on the two were parted, and the run is whose it has always been.
    if run["on_merge"] == ON_MERGE_END and former != run["profile_id"] and former not in standing.states:
        return MERGED_OUTCOME, "its person turned out to be another, and the journey ends on a merge"
    return None


def _signal_changed_cart(
    standing: MergedProfiles, was: "PreMergeState", run: Any, key: str, changes: UnitOfWork
) -> None:
    """A run whose cart is another by now hears the last event that was not its person's until now."""
    person = standing.states[run["profile_id"]]
    lines = was.cart_lines(run["run_id"])
    cart = person.carts.get(key)
    if lines is None or (cart.lines if cart else ()) == lines or run["signals"] + 1 >= MAX_SIGNALS_PER_RUN:
        return
    former = was.runs[run["run_id"]][0]
    news = [
        taken
        for taken in standing.events[person.profile_id]
        if was.event_owners.get(taken.event_id) != former
    ]
    if not news or news[-1].event is None:
        return
    changes.signal_counts[run["run_id"]] = run["signals"] + 1
    changes.inserts["outbox"].append(
        {
            "lane": run["run_id"],
            "kind": "signal",
            "name": news[-1].incoming.type,
            "event_id": news[-1].event_id,
            "payload": event_payload(
                news[-1], person, key, original_key=original_cart_key(key, run["workflow_id"])
            ),
            "trigger": False,
        }
    )


@dataclass(slots=True)
class PreMergeState:
    """What live runs went by until now, and whose events were whose."""

    carts: dict[tuple[UUID, str], CartLines] = field(default_factory=dict)
    runs: dict[UUID, tuple[UUID, str]] = field(default_factory=dict)
    """Live run → its profile and key."""
    event_owners: dict[UUID, UUID] = field(default_factory=dict)
    """Event → its profile."""

    def cart_lines(self, run_id: UUID) -> CartLines | None:
        """What lay in a run's cart; None where it had none."""
        return self.carts.get(self.runs[run_id]) if run_id in self.runs else None
