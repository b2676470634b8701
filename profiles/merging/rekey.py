"""Re-key or end live runs after a merge or split. Of two runs with one key the older one continues."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.events import END_RUN
from profiles.runs.routing import MAX_SIGNALS_PER_RUN, ON_MERGE_END, event_payload
from profiles.state.cart import CartLines
from profiles.state.event_records import StoredEvent
from profiles.state.profile_state import ProfileState, original_cart_key
from profiles.state.run_keys import RUN_KEY_SQL, distinct_key
from profiles.state.unit_of_work import OutboxKind, UnitOfWork

MERGED_OUTCOME = "merged"
"""Outcome of a run that a merge ended: an older run has its key, or its journey ends on a merge."""

QUARANTINED_OUTCOME = "quarantined"
"""Outcome of a run that was started under an identifier which is quarantined now."""

_SELECT_LIVE_RUNS = f"""
SELECT r.run_id, r.journey, {RUN_KEY_SQL} AS key, r.key AS stored_key, r.profile_id, r.entered_at, r.signals,
  r.workflow_id, r.on_merge, e.cart_id AS began_in
FROM run r LEFT JOIN event e ON e.event_id = r.entry_event
WHERE r.profile_id = ANY($1) AND r.state <> 'ended' ORDER BY r.verified DESC, r.entered_at, r.run_id
"""  # noqa: S608 - constant fragment

_SELECT_KEYS_IN_USE = """
SELECT journey, key FROM run WHERE key = ANY($2) AND profile_id <> ALL($1) AND state <> 'ended'
"""

_END_RUN_AND_SIGNAL = f"""
WITH ended AS (
  UPDATE run SET state = 'ended', outcome = $2, detail = $3, ended_at = $4
  WHERE run_id = $1 AND state <> 'ended' RETURNING run_id)
INSERT INTO outbox (lane, kind, name, payload)
SELECT run_id, '{OutboxKind.SIGNAL}', $5::text, jsonb_build_object('outcome', $2::text, 'reason', $3::text)
FROM ended
"""  # noqa: S608 - constant names

# Two steps, since two runs may exchange their keys, and two live runs must never have the same key.
_REKEY_LIVE_RUNS = (
    "UPDATE run SET key = run_id::text WHERE run_id = ANY($1)",
    "UPDATE run r SET key = k.key FROM unnest($1::uuid[], $2::text[]) AS k(run_id, key) "
    "WHERE r.run_id = k.run_id",
)

# Re-entry rules count the runs of a key, also the ended ones.
_REKEY_ENDED_RUNS = """
UPDATE run SET key = profile_id::text WHERE profile_id = ANY($1) AND state = 'ended' AND key = ANY($2)
  AND key <> profile_id::text
"""


@dataclass(slots=True)
class PreMergeState:
    """Carts, live runs and owners of events before a merge or a split."""

    carts: dict[tuple[UUID, str], CartLines] = field(default_factory=dict)
    """(profile, cart id) → the lines of the cart."""
    runs: dict[UUID, tuple[UUID, str]] = field(default_factory=dict)
    """Live run → its profile and key."""
    event_owners: dict[UUID, UUID] = field(default_factory=dict)
    """Event → its profile."""

    def cart_lines(self, run_id: UUID) -> CartLines | None:
        """Return the lines of a run's cart; None if it had no cart."""
        return self.carts.get(self.runs[run_id]) if run_id in self.runs else None


@dataclass(frozen=True, slots=True)
class MergedProfiles:
    """Profiles after a merge or a split."""

    states: dict[UUID, ProfileState]
    """Profile id → its rebuilt state."""
    events: dict[UUID, list[StoredEvent]]
    """Profile id → its events that change the projection, in canonical order."""
    quarantine_profiles: Collection[UUID]
    """Profiles of quarantined keys."""

    def key_for(self, run: Any, profiles: Collection[str], *, of_a_cart: bool) -> str:
        """Return the key of a run now: its profile, its cart by its current id, or the key that it had.

        ``profiles``: ids of all profiles involved, as keys. ``of_a_cart``: whether the run had a cart.
        """
        key: str = run["key"]
        if key in profiles:
            return str(run["profile_id"])
        person = self.states[run["profile_id"]]
        # After a split the run returns to the cart of its entry event; a merge had given it another one.
        entry_cart = person.renamed_carts.get(run["began_in"], run["began_in"])
        if of_a_cart and entry_cart in person.carts:
            return str(entry_cart)
        return key if key in person.carts else person.renamed_carts.get(key, key)


async def rekey_runs(
    connection: Any,
    merged_profiles: MergedProfiles,
    pre_merge: PreMergeState,
    profile_ids: Collection[UUID],
    at: datetime,
    unit_of_work: UnitOfWork,
) -> None:
    """Re-key every live run, or end it according to its ``on_merge``.

    Of two runs with one key the older continues, and the other ends; but one that a verified event started
    continues rather than one of an unverified event. Runs with a changed cart get a signal.
    ``profile_ids``: all profiles involved, also those that ended. Locks held: all these profiles'.
    """
    profiles = {str(who) for who in profile_ids}
    people = sorted(merged_profiles.states)
    oldest: dict[tuple[str, str], Any] = {}
    runs = await connection.fetch(_SELECT_LIVE_RUNS, people)
    keys = {}
    for run in runs:
        of_a_cart = pre_merge.cart_lines(run["run_id"]) is not None
        keys[run["run_id"]] = merged_profiles.key_for(run, profiles, of_a_cart=of_a_cart)
    # Carts and orders of two unrelated profiles may have one id. The stored key is then made distinct.
    taken = {tuple(row) for row in await connection.fetch(_SELECT_KEYS_IN_USE, people, list(keys.values()))}
    for run in runs:
        key = keys[run["run_id"]]
        ending = _end_of_run(merged_profiles, pre_merge, run)
        if ending is None and oldest.setdefault((run["journey"], key), run) is not run:
            ending = MERGED_OUTCOME, "the person has an older run of the same key"
        if ending is not None:
            await connection.execute(_END_RUN_AND_SIGNAL, run["run_id"], *ending, at, END_RUN)
    renamed = {
        run["run_id"]: distinct_key(key, run["run_id"]) if (journey, key) in taken else key
        for (journey, key), run in oldest.items()
        if key != run["key"]
    }
    if renamed:
        free, take = _REKEY_LIVE_RUNS
        await connection.execute(free, list(renamed))
        await connection.execute(take, list(renamed), list(renamed.values()))
    for (_, key), run in oldest.items():
        _signal_changed_cart(merged_profiles, pre_merge, run, key, unit_of_work)
    await connection.execute(_REKEY_ENDED_RUNS, people, sorted(profiles))


def _end_of_run(
    merged_profiles: MergedProfiles, pre_merge: PreMergeState, run: Any
) -> tuple[str, str] | None:
    """Return outcome and reason of a run that ends; None if it continues."""
    if run["profile_id"] in merged_profiles.quarantine_profiles:
        return QUARANTINED_OUTCOME, "it was begun under an identifier that so many share that it is nobody's"
    former, _ = pre_merge.runs.get(run["run_id"], (run["profile_id"], ""))
    # If the former profile still exists, this is a split, and the run keeps its customer.
    moved = former != run["profile_id"] and former not in merged_profiles.states
    if moved and run["on_merge"] == ON_MERGE_END:
        return MERGED_OUTCOME, "its person turned out to be another, and the journey ends on a merge"
    return None


def _signal_changed_cart(
    merged_profiles: MergedProfiles, pre_merge: PreMergeState, run: Any, key: str, unit_of_work: UnitOfWork
) -> None:
    """Signal a run with a changed cart the last event that came to its profile by the merge or split."""
    person = merged_profiles.states[run["profile_id"]]
    lines = pre_merge.cart_lines(run["run_id"])
    cart = person.carts.get(key)
    if lines is None or (cart.lines if cart else ()) == lines or run["signals"] + 1 >= MAX_SIGNALS_PER_RUN:
        return
    former = pre_merge.runs[run["run_id"]][0]
    owner, events = pre_merge.event_owners, merged_profiles.events[person.profile_id]
    gained_events = [
        event for event in events if not event.is_superseded and owner.get(event.event_id) != former
    ]
    if not gained_events or gained_events[-1].event is None:
        return
    last_event = gained_events[-1]
    unit_of_work.signal_counts[run["run_id"]] = run["signals"] + 1
    original_key = original_cart_key(key, run["workflow_id"])
    payload = event_payload(last_event, person, key, original_key=original_key)
    unit_of_work.add_outbox_row(
        OutboxKind.SIGNAL, run["run_id"], last_event.incoming.type, payload, event_id=last_event.event_id
    )
