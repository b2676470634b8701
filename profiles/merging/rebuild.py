"""Rebuild projections, runs, consents and suppressions of profiles after a merge or a split."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.commerce.reversals import to_distinct_returns
from profiles.commerce.suppressions import sync_suppressions
from profiles.consent import effective
from profiles.db.sql import encode_jsonb
from profiles.merging.rekey import MergedProfiles, PreMergeState, rekey_runs
from profiles.messaging.audiences import leave_audiences
from profiles.projection import computed, replay
from profiles.projection.apply import ORDER_SENSITIVE_EVENT_TYPES
from profiles.state import bounds
from profiles.state.bounds import bound_properties
from profiles.state.cart import parse_lines
from profiles.state.profile_state import MAX_REFUNDS, CartState, ProfileState, Reversal, load_profile_states
from profiles.state.run_keys import RUN_KEY_SQL
from profiles.state.unit_of_work import APPLY_RETURNS, UnitOfWork

_SELECT_CARTS = "SELECT profile_id, cart_id, lines::text AS lines FROM cart WHERE profile_id = ANY($1)"

_SELECT_LIVE_RUNS = f"""
SELECT r.run_id, r.profile_id, {RUN_KEY_SQL} AS key FROM run r
WHERE r.profile_id = ANY($1) AND r.state <> 'ended'
"""  # noqa: S608 - constant fragment

_SELECT_EVENT_OWNERS = "SELECT event_id, profile_id FROM event WHERE profile_id = ANY($1) AND type = ANY($2)"

_UPDATE_LAPSED_AFTER = """
UPDATE profile p SET lapsed_after = l.lapsed_after
FROM jsonb_to_recordset($1) AS l(profile_id uuid, lapsed_after timestamptz)
WHERE p.profile_id = l.profile_id AND p.lapsed_after IS DISTINCT FROM l.lapsed_after
"""

_SELECT_REFUNDS = """
SELECT e.profile_id, e.source, e.type, e.at, e.verified, e.properties::text AS properties
FROM (SELECT r.*, sum(CASE WHEN r.verified THEN 0 ELSE length(r.properties::text) END)
      OVER (PARTITION BY r.profile_id ORDER BY r.verified DESC, r.at DESC ROWS UNBOUNDED PRECEDING) AS size
  FROM unnest($1::uuid[]) AS p(profile_id) CROSS JOIN LATERAL (
    SELECT profile_id, source, id, type, at, verified, properties FROM event
    WHERE profile_id = p.profile_id AND type IN ('Order Refunded', 'Order Cancelled')
      AND superseded_by IS NULL
    ORDER BY verified DESC, at DESC LIMIT $2) r) e
WHERE e.size <= $3
ORDER BY e.at, e.source, e.id
"""

# Of all orders, or of those in $2.
_RESET_RETURNS = (
    "UPDATE purchase SET returned = 0 WHERE profile_id = ANY($1) AND returned > 0 "
    "AND ($2::text[] IS NULL OR order_id = ANY($2))",
    "UPDATE suppression s SET lifted_at = NULL FROM purchase p WHERE p.profile_id = ANY($1) "
    "AND ($2::text[] IS NULL OR p.order_id = ANY($2)) "
    "AND s.event_id = p.event_id AND s.line = p.line AND s.lifted_at IS NOT NULL",
)


async def capture_pre_merge_state(connection: Any, involved_ids: Collection[UUID]) -> PreMergeState:
    """Read the carts, live runs and event owners of profiles. Called before any row moves."""
    profile_ids = sorted(involved_ids)
    event_types = list(ORDER_SENSITIVE_EVENT_TYPES)
    carts = await connection.fetch(_SELECT_CARTS, profile_ids)
    runs = await connection.fetch(_SELECT_LIVE_RUNS, profile_ids)
    events = await connection.fetch(_SELECT_EVENT_OWNERS, profile_ids, event_types)
    return PreMergeState(
        {(profile_id, cart_id): parse_lines(orjson.loads(lines)) for profile_id, cart_id, lines in carts},
        {run_id: (profile_id, key) for run_id, profile_id, key in runs},
        dict(events),
    )


async def rebuild_profiles(
    connection: Any,
    profile_ids: Collection[UUID],
    involved_ids: Collection[UUID],
    pre_merge: PreMergeState,
    profile_by_key: dict[str, UUID],
    quarantine_profiles: Collection[UUID],
    at: datetime,
) -> int:
    """Rebuild profiles from their events, and signal their live runs what changed.

    Returns what it cost, in events of the usual size. Carts are computed from a ``CartWindow``: those that it
    does not hold are closed, so that no run reminds of them.

    ``involved_ids``: the profiles and those that they replace. ``quarantine_profiles``: profiles of
    quarantined keys, on which no run continues. Replayed events start no run. Locks held: all profiles'.
    """
    await sync_suppressions(connection, involved_ids, profile_by_key, quarantine_profiles)
    await connection.execute("DELETE FROM cart WHERE profile_id = ANY($1)", sorted(involved_ids))
    persons = await load_profile_states(connection, sorted(profile_ids))
    for person in persons.values():
        _clear_derived_state(person)
    history = await replay.load_history(connection, sorted(profile_ids))
    for profile_id, window in history.items():
        replay.replay_events(persons[profile_id], window.events)
        if window.since is not None:
            _close_carts_before_window(persons[profile_id], pre_merge, at)
    await replay.reload_last_seen(connection, persons)
    unit_of_work = UnitOfWork()
    for person in persons.values():
        for cart in person.carts.values():
            unit_of_work.save_cart(person, cart)
    past = {profile_id: [stored for stored, _ in window.events] for profile_id, window in history.items()}
    merged_profiles = MergedProfiles(persons, past, quarantine_profiles)
    await rekey_runs(connection, merged_profiles, pre_merge, involved_ids, at, unit_of_work)
    await unit_of_work.write(connection, persons)
    await _write_lapsed_after(connection, sorted(profile_ids))
    await reapply_refunds(connection, sorted(persons))
    await computed.refresh_computed_traits(connection, sorted(profile_ids))
    await effective.refresh_consents(connection, sorted(involved_ids), at)
    await leave_audiences(connection, profile_ids, at)
    return sum(window.cost for window in history.values())


def _close_carts_before_window(person: ProfileState, pre_merge: PreMergeState, at: datetime) -> None:
    """Give a profile the carts that were known before, but are not in its window, as closed ones."""
    current = {*person.carts, *person.renamed_carts}
    for cart_id in {cart_id for _, cart_id in pre_merge.carts} - current:
        person.carts[cart_id] = CartState(cart_id, (), at, closed_at=at)


def _clear_derived_state(person: ProfileState) -> None:
    """Reset the fields that are rebuilt from events."""
    person.traits, person.origins, person.last_seen, person.carts = {}, {}, {}, {}
    person.context_timezone = person.context_locale = None
    person.last_checkout_at = person.sure_checkout_at = person.carts_sort_key = None
    person.email_ordered = 0
    person.is_dirty = True


async def _write_lapsed_after(connection: Any, profile_ids: list[UUID]) -> None:
    lapsed_orders = await replay.load_lapsed_orders(connection, profile_ids)
    rows = [{"profile_id": each, "lapsed_after": lapsed_orders.get(each)} for each in profile_ids]
    await connection.execute(_UPDATE_LAPSED_AFTER, encode_jsonb(rows))


async def reapply_refunds(
    connection: Any, profile_ids: Collection[UUID], order_ids: Collection[str] | None = None
) -> None:
    """Apply refunds and cancellations again, to the purchases that the profiles have now.

    ``order_ids``: of these orders alone; None: of all. Reads at most ``MAX_REFUNDS`` events of each profile,
    and unverified ones up to ``MAX_UNVERIFIED_REFUND_SIZE``.
    Locks held: those of the profiles.
    """
    limits = (MAX_REFUNDS, bounds.MAX_UNVERIFIED_REFUND_SIZE)
    rows = await connection.fetch(_SELECT_REFUNDS, sorted(profile_ids), *limits)
    concerned = None if order_ids is None else sorted(order_ids)
    for statement in _RESET_RETURNS:
        await connection.execute(statement, sorted(profile_ids), concerned)
    reversals: dict[UUID, list[Reversal]] = {}
    for row in rows:
        properties = bound_properties(
            orjson.loads(row["properties"]), [], verified=row["verified"], event_type=row["type"]
        )
        reversal = Reversal(row["type"], properties, row["verified"], row["source"], row["at"])
        if order_ids is None or reversal.order_id in order_ids:
            reversals.setdefault(row["profile_id"], []).append(reversal)
    returns = [row for each, told in reversals.items() for row in to_distinct_returns(each, told)]
    if returns:
        await connection.execute(APPLY_RETURNS, encode_jsonb(returns))
