"""Everything that bears on a message, as one statement: for one message, or for several of several people.

Where a person is vouched for, neither a page's word on their address nor the time it names decides which of
their addresses is written to. A reading costs by the steps of its plan, whatever they find: so what is not
asked for is left out of the text, and rows come as they are, to be put in order by who reads them.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from profiles.changes import encode
from profiles.shelf import SHELF, names_of
from profiles.snapshot import Ask, address_type

READ_BACK = timedelta(days=31)
"""How far back sent messages are read where no cap looks further."""

COUNTED = ("claimed", "unknown", "unknown_final", "sent", "delivered", "bounced", "opened", "clicked")
"""Statuses of a message that counts against the caps."""

_SNAPSHOT = """
SELECT {place} CASE WHEN mine.vouched
    THEN p.traits - ARRAY[CASE WHEN p.origins #>> '{{email,rank}}' = '1' THEN 'email' END,
      CASE WHEN p.origins #>> '{{phone,rank}}' = '1' THEN 'phone' END]
    ELSE p.traits END::text AS traits, p.context_timezone, p.email_from_order, p.erased_at,
  p.profile_id, r.state AS run_state, r.profile_id AS run_of, r.journey, r.clock_offset_s,
  m.message_id, m.status, m.token, m.channel AS message_channel, m.reason AS message_reason,
  m.items AS message_items, COALESCE(m.planned_at, m.decided_at) AS message_planned_at, mine.addresses,
  ARRAY(SELECT json_build_array(c.channel, c.topic, c.state, c.source)::text FROM consent_state c
    WHERE c.profile_id = p.profile_id) AS consents,
  ARRAY(SELECT json_build_array(s.event_id, s.line, s.item, s.sku, s.until, s.scope, s.of, s.parts)::text
    FROM suppression s
    WHERE s.profile_id = p.profile_id AND s.lifted_at IS NULL AND (s.until IS NULL OR s.until > ask.at)
  ) AS suppressions,
  COALESCE((SELECT lines FROM cart WHERE profile_id = p.profile_id AND cart_id = ask.cart_id),
    (SELECT lines FROM cart WHERE profile_id = p.profile_id AND cart_id = r.key AND ask.cart_id IS NOT NULL)
  )::text AS cart,
  ARRAY(SELECT json_build_array(s.channel, s.claimed_at, s.journey, COALESCE(s.topic, 'marketing'),
      s.run_id, s.template, s.items)::text FROM message s
    WHERE s.profile_id = p.profile_id AND s.claimed_at > ask.since AND s.message_class = 'marketing'
      AND s.channel <> 'ads' AND s.status = ANY({counted}) AND (s.run_id, s.step) <> (ask.run_id, ask.step)
  ) AS sent,
  ARRAY(SELECT json_build_array(w.message_id, w.channel, w.journey, COALESCE(w.topic, 'marketing'),
      w.deferred_until, w.expires_at, COALESCE(w.planned_at, w.decided_at), w.value)::text
    FROM message w JOIN run o ON o.run_id = w.run_id AND o.state = 'running'
    WHERE w.profile_id = p.profile_id AND w.status = 'deferred' AND w.message_class = 'marketing'
      AND w.channel <> 'ads' AND w.expires_at > ask.at AND w.run_id <> ask.run_id) AS waiting,
  ARRAY(SELECT json_build_array(o.address, o.topic)::text FROM opt_out o
    WHERE o.channel = ask.channel AND o.address = ANY(mine.here) AND o.state = 'withdrawn') AS opt_outs,
  ARRAY(SELECT json_build_array(a.address, a.problem)::text FROM address_problem a
    WHERE a.channel = ask.channel AND a.address = ANY(mine.here)) AS problems,
  ARRAY(SELECT json_build_array(k.kind, k.name, k.since)::text FROM kill_switch k) AS stops,
  {shelf} AS shelf, {engaged}::text AS engaged, {claims}::int AS claims_last_minute
FROM {asked} JOIN run r ON r.run_id = ask.run_id JOIN profile p ON {whose}
  LEFT JOIN message m ON m.run_id = ask.run_id AND m.step = ask.step
  CROSS JOIN LATERAL (
    SELECT COALESCE(bool_or(vouched), false) AS vouched,
      COALESCE(array_agg(json_build_array(type, value, extract(epoch FROM
        CASE WHEN vouched THEN linked_at ELSE since END))::text)
        FILTER (WHERE type IN ('email', 'phone', 'push_token')), '{{}}') AS addresses,
      array_agg(value) FILTER (WHERE type = ask.type) AS here
    FROM identifier WHERE profile_id = p.profile_id) mine
"""

_ENGAGED = """(SELECT jsonb_object_agg(e.channel, e.count) FROM (SELECT channel, count(*) FROM message
  WHERE profile_id = p.profile_id AND engaged_at > ask.at - interval '90 days' GROUP BY channel) e)"""

_CLAIMS = """(SELECT count(*) FROM message b WHERE b.channel = ask.channel AND b.status = ANY({counted})
  AND b.claimed_at > ask.at - interval '1 minute' AND b.claimed_at < ask.at + interval '1 minute'
  AND (b.run_id, b.step) <> (ask.run_id, ask.step))"""

_OF_ONE = """(SELECT $2::uuid AS run_id, $3::text AS step, $4::text AS channel, $5::text AS type,
  $6::timestamptz AS at, $7::timestamptz AS since, $8::text AS cart_id, $9::text[] AS names) ask"""

_WHOSE_ONE = "p.profile_id = COALESCE($1::uuid, NULLIF(current_setting('waypost.locked', true), '')::uuid)"

_OF_SEVERAL = """jsonb_to_recordset($1) AS ask(place int, run_id uuid, step text, channel text, type text,
  at timestamptz, since timestamptz, cart_id text, names text[])"""

_WHOSE_SEVERAL = """p.profile_id = r.profile_id
  AND p.profile_id = ANY(string_to_array(current_setting('waypost.locked', true), ',')::uuid[])"""


@lru_cache
def reading(*, choosing: bool, budgeted: bool) -> str:
    """The statement for one message: of profile ``$1``, or where that is null, of the one locked."""
    return _text(_OF_ONE, _WHOSE_ONE, "", choosing, budgeted)


@lru_cache
def reading_of_several(*, choosing: bool, budgeted: bool) -> str:
    """The statement for several messages: a row for each whose run is of one of those locked."""
    return _text(_OF_SEVERAL, _WHOSE_SEVERAL, "ask.place,", choosing, budgeted)


def _text(asked: str, whose: str, place: str, choosing: bool, budgeted: bool) -> str:
    counted = f"'{{{','.join(COUNTED)}}}'::text[]"
    return _SNAPSHOT.format(
        asked=asked,
        whose=whose,
        place=place,
        counted=counted,
        shelf=SHELF.format("ask.names"),
        engaged=_ENGAGED if choosing else "NULL",
        claims=_CLAIMS.format(counted=counted) if budgeted else "NULL",
    )


def arguments(ask: Ask) -> dict[str, Any]:
    """What both statements ask with, by name; for ``reading`` it is ``$2`` and on, in this order."""
    return {
        "run_id": ask.run_id,
        "step": ask.step,
        "channel": ask.channel,
        "type": address_type(ask.channel),
        "at": ask.at,
        "since": ask.at - max(READ_BACK, ask.counting_back),
        "cart_id": ask.cart_id,
        "names": names_of(ask.promoted),
    }


def arguments_of_several(asks: Sequence[Ask]) -> str:
    """``$1`` of ``reading_of_several``; ``place`` is where the ask stands among them."""
    return encode([{"place": place, **arguments(ask)} for place, ask in enumerate(asks)])
