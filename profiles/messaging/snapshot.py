"""The gate's snapshot: the data that one message is decided on, as plain values, and its SQL."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from profiles.commerce.catalog import CATALOG_SQL, CatalogEntry, catalog_keys, sold_out, to_entries
from profiles.db.sql import encode_jsonb, from_row
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL, normalize_identifier
from profiles.messaging.recipients import (
    CONSENTED_ADDRESSES_SQL,
    CONTACT_TYPES,
    NAMING_CONTACTS_SQL,
    RUN_CONTACTS_SQL,
    Contact,
    read_contacts,
    recipient_address,
    recipient_names,
    stated_address,
)
from profiles.state.unit_of_work import ACCEPTED_STATUSES

DEFAULT_LOOKBACK = timedelta(days=31)
"""How far back sent messages are read where no cap looks further."""

COUNTED_STATUSES = ("claimed", "unknown", "unknown_final", *ACCEPTED_STATUSES)
"""Statuses of the messages that count against the caps."""


SPOKEN_TRAITS = ("first_name", "firstName", "name", "currency")
"""Traits of which a message shows the value itself."""


@dataclass(frozen=True, slots=True)
class SnapshotQuery:
    """The message to decide on, and which optional data its decision needs."""

    run_id: UUID
    step: str
    channel: str
    at: datetime
    cart_id: str | None = None
    promoted_items: tuple[tuple[str, str | None], ...] = ()
    """Key and stock keeping unit of the items it would promote."""
    needs_engagement: bool = False
    """Whether the decision needs the channels on which the profile engages."""
    lookback: timedelta = timedelta(0)
    """How far back the decision needs sent messages."""
    needs_claim_rate: bool = False
    """Whether the decision needs the channel's claims of the last minute."""
    shown_items: tuple[tuple[str, str | None], ...] = ()
    """The same of the items that it would show without promoting them."""
    is_marketing: bool = True
    """Whether the message is marketing, which goes to an address that consented."""


@dataclass(frozen=True, slots=True)
class ExistingMessage:
    """The existing message row of this send key."""

    message_id: UUID
    status: str
    token: UUID | None
    channel: str
    reason: str | None
    items: tuple[str, ...]
    planned_at: datetime | None = None
    """When it was first requested, by the run's clock."""


@dataclass(frozen=True, slots=True)
class DeferredMessage:
    """A deferred message that will pass the gate again."""

    channel: str
    journey: str
    topic: str
    until: datetime
    expires_at: datetime
    planned_at: datetime
    value: float
    message_id: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All data that one message is decided on, from one consistent read."""

    profile_id: UUID
    traits: dict[str, Any]
    context_timezone: str | None
    email_from_order: bool
    erased: bool
    run_state: str
    run_profile_id: UUID
    """The profile of the run in this read: another one than ``profile_id`` after a merge or a split."""
    addresses: dict[str, tuple[str, ...]]
    """email and phone, newest first, in their normal form."""
    consents: tuple[tuple[str, str, str, str], ...]
    """channel, topic, state, source of each effective consent."""
    suppressions: tuple[tuple[str, str | None, datetime | None, str, str, str | None, tuple[str, ...]], ...]
    """item, sku, until, event, scope, value of the scope, parts of a bundle."""
    cart: tuple[dict[str, Any], ...] | None
    sent_messages: tuple[tuple[str, datetime, str, str, str, str, tuple[str, ...]], ...]
    """Channel, when, journey, topic, run, template, items."""
    cart_url: str | None = None
    """Where the shop opens this cart, as its own events stated last; it may let its holder see an address."""
    given_emails: dict[str, str] = field(default_factory=dict)
    """Normal form of an email address → as its owner gave it, where that is known."""
    opt_outs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Address → topics it is opted out of."""
    address_problems: dict[str, str] = field(default_factory=dict)
    """Address → bounced, complained or bounced_reopened."""
    soft_bounces: dict[str, tuple[datetime, ...]] = field(default_factory=dict)
    """Address → when messages to it bounced softly, in the last 90 days."""
    existing_message: ExistingMessage | None = None
    out_of_stock: frozenset[str] = frozenset()
    """The promoted items that are sold out, by the catalog."""
    catalog: tuple[CatalogEntry, ...] = ()
    """The catalog entries of the promoted and the shown items."""
    engagement_counts: dict[str, int] = field(default_factory=dict)
    """Channel → messages opened or clicked in the last 90 days; empty where the query does not need it."""
    confirmed_addresses: tuple[str, ...] = ()
    """Addresses of the channel that a verified event, or a verified grant, has named."""
    unverified_grant: bool = False
    """Whether unverified events alone have granted the channel."""
    unverified_checkout: bool = False
    """Whether unverified orders and checkouts alone came with the email address."""
    run_verified: bool = False
    """Whether a verified event started the run, or could have: it came while the run was live."""
    deferred_messages: tuple[DeferredMessage, ...] = ()
    """Deferred marketing of the profile's other live runs."""
    kill_switches: tuple[tuple[str, str, datetime], ...] = ()
    """kind, name, since of every kill switch that is on."""
    claims_last_minute: int | None = None
    """On the channel; None where the query does not need it."""
    unverified_traits: frozenset[str] = frozenset()
    """The traits among ``SPOKEN_TRAITS`` that no verified event stated; a message does not show them."""
    run_contacts: tuple[Contact, ...] = ()
    """What the events of the run state of whom they are about: verified ones first, then the newest."""
    naming_contacts: tuple[Contact, ...] | None = None
    """The events that gave the profile its names; None where it has no two addresses of one kind."""
    consented_addresses: tuple[str, ...] = ()
    """Addresses that consented to marketing on the channel, the latest first; empty where it has only one."""
    vouched_addresses: frozenset[str] | None = None
    """Addresses that a verified event has named; None where no identifier of the profile is."""
    is_marketing: bool = True

    def address(self, channel: str) -> str | None:
        """Return the address that the message goes to on a channel; None: the profile has none there.

        That is the address that came with the run's order or cart, for marketing one that consented, else the
        address in the traits if it is one of the profile's identifiers, else the newest one.
        """
        kind = address_type(channel)
        newest_first = self.addresses.get(kind, ())
        named = _normal_address(kind, self.traits.get(kind))
        preferred = named if named in newest_first else next(iter(newest_first), None)
        if kind not in CONTACT_TYPES or len(newest_first) < 2:
            return preferred
        trusted = None if self.vouched_addresses is None else tuple(self.vouched_addresses)
        return recipient_address(
            stated=stated_address(self.run_contacts, kind, newest_first, trusted=trusted),
            consented=[address for address in self.consented_addresses if address in newest_first],
            preferred=preferred,
            is_marketing=self.is_marketing,
        )

    def names_for(self, channel: str) -> tuple[dict[str, Any], ...]:
        """Return the names that may greet on a channel, the best first. Verified events stated them."""
        traits = {name: value for name, value in self.traits.items() if name not in self.unverified_traits}
        return tuple(
            dict(names)
            for names in recipient_names(
                self.address(channel), address_type(channel), self.run_contacts, self.naming_contacts, traits
            )
        )

    def delivery_address(self, address: str) -> str:
        """Return an address as its owner gave it. Opt-outs and records are by the normal form."""
        return self.given_emails.get(address, address)


def _normal_address(kind: str, stated: object) -> str:
    """Return the normal form of an address in the traits; empty where there is none that can be read."""
    if not isinstance(stated, str) or not stated.strip():
        return ""
    try:
        return normalize_identifier(kind, stated)
    except ValueError:
        return stated.strip().lower()


_SELECT_SNAPSHOT = """
SELECT {place} CASE WHEN known.vouched
    THEN p.traits - ARRAY[CASE WHEN p.origins #>> '{{email,rank}}' = '1' THEN 'email' END,
      CASE WHEN p.origins #>> '{{phone,rank}}' = '1' THEN 'phone' END]
    ELSE p.traits END::text AS traits,
  ARRAY(SELECT spoken FROM unnest({spoken}) spoken WHERE p.traits ? spoken
    AND p.origins #>> ARRAY[spoken, 'rank'] IS DISTINCT FROM '2') AS unverified_traits,
  p.context_timezone, p.email_from_order,
  p.erased_at IS NOT NULL AS erased, p.profile_id, r.state AS run_state, r.profile_id AS run_profile_id,
  m.message_id, m.status, m.token, m.channel AS message_channel, m.reason AS message_reason,
  m.items AS message_items, COALESCE(m.planned_at, m.decided_at) AS message_planned_at, known.addresses,
  ARRAY(SELECT json_build_array(c.channel, c.topic, c.state, c.source)::text FROM consent_state c
    WHERE c.profile_id = p.profile_id) AS consents,
  ARRAY(SELECT json_build_array(s.event_id, s.line, s.item, s.sku, s.until, s.scope, s.of, s.parts)::text
    FROM suppression s
    WHERE s.profile_id = p.profile_id AND s.lifted_at IS NULL AND (s.until IS NULL OR s.until > ask.at)
  ) AS suppressions,
  COALESCE((SELECT lines FROM cart WHERE profile_id = p.profile_id AND cart_id = ask.cart_id),
    (SELECT lines FROM cart WHERE profile_id = p.profile_id AND cart_id = split_part(r.key, chr(31), 1)
      AND ask.cart_id IS NOT NULL)
  )::text AS cart,
  CASE WHEN ask.cart_id IS NOT NULL THEN ({cart_url}) END AS cart_url,
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
    WHERE o.channel = ask.channel AND o.address = ANY(known.here) AND o.state = 'withdrawn') AS opt_outs,
  ARRAY(SELECT json_build_array(a.address, CASE WHEN a.problem = 'bounced' AND a.reopened_at IS NOT NULL
      THEN 'bounced_reopened' ELSE a.problem END)::text FROM address_problem a
    WHERE a.channel = ask.channel AND a.address = ANY(known.here)) AS problems,
  ARRAY(SELECT json_build_array(b.address, b.time)::text FROM soft_bounce b
    WHERE b.channel = ask.channel AND b.address = ANY(known.here) AND b.lifted_at IS NULL
      AND b.time > ask.at - interval '90 days' ORDER BY b.time DESC LIMIT 200) AS soft_bounces,
  ARRAY(SELECT json_build_array(k.kind, k.name, k.since)::text FROM kill_switch k) AS stops,
  ARRAY(SELECT i.value FROM identifier i WHERE i.profile_id = p.profile_id AND i.type = ask.type
    AND CASE WHEN i.vouched THEN true ELSE EXISTS (SELECT 1 FROM consent c
      WHERE c.profile_id = p.profile_id AND c.verified AND c.state = 'granted'
        AND i.type || ':' || i.value = ANY(c.named)) END) AS confirmed_addresses,
  CASE WHEN EXISTS (SELECT 1 FROM consent_state c
      WHERE c.profile_id = p.profile_id AND c.channel IN (ask.channel, 'all')) THEN false
    ELSE EXISTS (SELECT 1 FROM consent c WHERE c.profile_id = p.profile_id AND NOT c.verified
      AND c.state = 'granted' AND c.channel IN (ask.channel, 'all')) END AS unverified_grant,
  NOT p.email_from_order AND p.last_checkout_at IS NOT NULL
    AND (p.email_ordered = 1 OR p.sure_checkout_at IS NULL) AS unverified_checkout,
  EXISTS (SELECT 1 FROM event e WHERE e.event_id = r.entry_event AND e.verified)
    OR EXISTS (SELECT 1 FROM outbox o WHERE o.lane = r.run_id AND o.trigger AND o.verified) AS run_verified,
  {run_contacts} AS run_contacts, {naming_contacts} AS naming_contacts, {consented} AS consented_addresses,
  CASE WHEN known.vouched THEN known.vouched_addresses END AS vouched_addresses,
  {shelf} AS shelf, {engaged}::text AS engaged, {claims}::int AS claims_last_minute
FROM {asked} JOIN run r ON r.run_id = ask.run_id JOIN profile p ON {profile}
  LEFT JOIN message m ON m.run_id = ask.run_id AND m.step = ask.step
  CROSS JOIN LATERAL (
    SELECT COALESCE(bool_or(vouched), false) AS vouched,
      COALESCE(array_agg(json_build_array(type, value, extract(epoch FROM
        CASE WHEN vouched THEN linked_at ELSE since END), given)::text)
        FILTER (WHERE type IN ('email', 'phone', 'push_token')), '{{}}') AS addresses,
      array_agg(value) FILTER (WHERE type = ask.type) AS here,
      COALESCE(array_agg(value) FILTER (WHERE vouched AND type IN ('email', 'phone')), '{{}}')
        AS vouched_addresses,
      count(*) FILTER (WHERE type = 'email') > 1 OR count(*) FILTER (WHERE type = 'phone') > 1 AS several
    FROM identifier WHERE profile_id = p.profile_id) known
"""

# An order of a few events is enough, and bounds the search of a busy profile.
_CART_URL_SUBQUERY = """SELECT stated.url FROM (
    SELECT cart_id, at, event_id, COALESCE(properties ->> 'cart_url', properties ->> 'cartUrl',
      properties ->> 'checkout_url', properties ->> 'checkoutUrl', properties ->> 'abandoned_checkout_url',
      properties ->> 'recovery_url') AS url
    FROM event WHERE profile_id = p.profile_id AND verified AND superseded_by IS NULL
    ORDER BY at DESC LIMIT 50) stated
  WHERE stated.cart_id IN (ask.cart_id, r.key) AND stated.url <> ''
  ORDER BY stated.at DESC, stated.event_id DESC LIMIT 1"""

_ENGAGEMENT_SUBQUERY = """(SELECT jsonb_object_agg(e.channel, e.count) FROM (
  SELECT channel, count(*) FROM message WHERE profile_id = p.profile_id
    AND engaged_at > ask.at - interval '90 days' GROUP BY channel) e)"""

_CLAIM_RATE_SUBQUERY = """(SELECT count(*) FROM message b
  WHERE b.channel = ask.channel AND b.status = ANY({counted})
  AND b.claimed_at > ask.at - interval '1 minute' AND b.claimed_at < ask.at + interval '1 minute'
  AND (b.run_id, b.step) <> (ask.run_id, ask.step))"""

_SINGLE_QUERY_SOURCE = """(SELECT $2::uuid AS run_id, $3::text AS step, $4::text AS channel, $5::text AS type,
  $6::timestamptz AS at, $7::timestamptz AS since, $8::text AS cart_id, $9::text[] AS names) ask"""

_SINGLE_PROFILE_CONDITION = (
    "p.profile_id = COALESCE($1::uuid, NULLIF(current_setting('waypost.locked', true), '')::uuid)"
)

_BATCH_QUERY_SOURCE = """jsonb_to_recordset($1) AS ask(
  place int, run_id uuid, step text, channel text, type text, at timestamptz,
  since timestamptz, cart_id text, names text[])"""

_BATCH_PROFILE_CONDITION = """p.profile_id = r.profile_id
  AND p.profile_id = ANY(string_to_array(current_setting('waypost.locked', true), ',')::uuid[])"""


def address_type(channel: str) -> str:
    """Return the identifier type that a channel writes to; empty where it writes to none."""
    return ADDRESS_TYPE_BY_CHANNEL.get(channel, "")


def to_snapshot(row: Any, query: SnapshotQuery) -> Snapshot:
    """Convert one row of ``snapshot_sql`` or ``batch_snapshot_sql``."""

    def rows(name: str) -> list[list[Any]]:
        return [orjson.loads(text) for text in row[name]]

    addresses: dict[str, tuple[str, ...]] = {}
    given_emails: dict[str, str] = {}
    for kind, value, _, given in sorted(rows("addresses"), key=lambda fields: (-fields[2], fields[1])):
        addresses[kind] = (*addresses.get(kind, ()), value)
        if given:
            given_emails[value] = given
    opt_outs: dict[str, tuple[str, ...]] = {}
    for address, topic in rows("opt_outs"):
        opt_outs[address] = (*opt_outs.get(address, ()), topic)
    soft_bounces: dict[str, tuple[datetime, ...]] = {}
    for address, time in sorted(rows("soft_bounces")):
        soft_bounces[address] = (*soft_bounces.get(address, ()), datetime.fromisoformat(time))
    shelf = to_entries(rows("shelf"))
    suppressions = sorted(rows("suppressions"), key=lambda fields: (fields[0], fields[1]))
    return from_row(
        Snapshot,
        row,
        traits=orjson.loads(row["traits"]),
        unverified_traits=frozenset(row["unverified_traits"]),
        addresses=addresses,
        given_emails=given_emails,
        consents=tuple(tuple(fields) for fields in rows("consents")),
        confirmed_addresses=tuple(row["confirmed_addresses"]),
        run_contacts=read_contacts(row["run_contacts"]),
        naming_contacts=None if row["naming_contacts"] is None else read_contacts(row["naming_contacts"]),
        consented_addresses=tuple(row["consented_addresses"] or ()),
        vouched_addresses=(None if row["vouched_addresses"] is None else frozenset(row["vouched_addresses"])),
        is_marketing=query.is_marketing,
        suppressions=tuple(
            (item, sku, datetime.fromisoformat(until) if until else None, event_id, scope, of, tuple(parts))
            for event_id, _, item, sku, until, scope, of, parts in suppressions
        ),
        cart=None if row["cart"] is None else tuple(orjson.loads(row["cart"])),
        sent_messages=tuple(
            (channel, datetime.fromisoformat(at), journey, topic, run, template, tuple(items))
            for channel, at, journey, topic, run, template, items in rows("sent")
        ),
        opt_outs=opt_outs,
        address_problems=dict(rows("problems")),
        soft_bounces=soft_bounces,
        existing_message=_to_existing_message(row),
        catalog=shelf,
        out_of_stock=sold_out(shelf, query.promoted_items),
        engagement_counts=orjson.loads(row["engaged"] or "{}"),
        deferred_messages=tuple(_to_deferred_message(*fields) for fields in sorted(rows("waiting"))),
        kill_switches=tuple(
            (kind, name, datetime.fromisoformat(since)) for kind, name, since in rows("stops")
        ),
    )


@lru_cache
def snapshot_sql(*, needs_engagement: bool, needs_claim_rate: bool) -> str:
    """Return the statement for one message: of profile ``$1``; if that is null, of the locked one."""
    return _format_snapshot_sql(
        needs_engagement, needs_claim_rate, asked=_SINGLE_QUERY_SOURCE, profile=_SINGLE_PROFILE_CONDITION
    )


@lru_cache
def batch_snapshot_sql(*, needs_engagement: bool, needs_claim_rate: bool) -> str:
    """Return the statement for several messages: one row per query with a run of a locked profile."""
    sources = {"asked": _BATCH_QUERY_SOURCE, "profile": _BATCH_PROFILE_CONDITION, "place": "ask.place,"}
    return _format_snapshot_sql(needs_engagement, needs_claim_rate, **sources)


def snapshot_arguments(query: SnapshotQuery) -> dict[str, Any]:
    """Return the arguments of both statements; in ``snapshot_sql`` they are ``$2`` and on, in this order."""
    return {
        "run_id": query.run_id,
        "step": query.step,
        "channel": query.channel,
        "type": address_type(query.channel),
        "at": query.at,
        "since": query.at - max(DEFAULT_LOOKBACK, query.lookback),
        "cart_id": query.cart_id,
        "names": catalog_keys((*query.promoted_items, *query.shown_items)),
    }


def batch_snapshot_arguments(queries: Sequence[SnapshotQuery]) -> str:
    """Return ``$1`` of ``batch_snapshot_sql``; ``place`` is the position of a query in the list."""
    rows = [{"place": place, **snapshot_arguments(query)} for place, query in enumerate(queries)]
    return encode_jsonb(rows)


def _to_existing_message(row: Any) -> ExistingMessage | None:
    if row["message_id"] is None:
        return None
    return from_row(
        ExistingMessage,
        row,
        channel=row["message_channel"],
        reason=row["message_reason"],
        items=tuple(row["message_items"]),
        planned_at=row["message_planned_at"],
    )


def _to_deferred_message(
    message: str, channel: str, journey: str, topic: str, until: str, expires: str, planned: str, value: float
) -> DeferredMessage:
    again_at, expires_at, planned_at = map(datetime.fromisoformat, (until, expires, planned))
    return DeferredMessage(channel, journey, topic, again_at, expires_at, planned_at, value, message)


def _format_snapshot_sql(
    needs_engagement: bool, needs_claim_rate: bool, *, asked: str, profile: str, place: str = ""
) -> str:
    counted = f"'{{{','.join(COUNTED_STATUSES)}}}'::text[]"
    return _SELECT_SNAPSHOT.format(
        asked=asked,
        profile=profile,
        place=place,
        counted=counted,
        spoken=f"'{{{','.join(SPOKEN_TRAITS)}}}'::text[]",
        shelf=CATALOG_SQL.format("ask.names"),
        cart_url=_CART_URL_SUBQUERY,
        run_contacts=RUN_CONTACTS_SQL,
        naming_contacts=NAMING_CONTACTS_SQL,
        consented=CONSENTED_ADDRESSES_SQL,
        engaged=_ENGAGEMENT_SUBQUERY if needs_engagement else "NULL",
        claims=_CLAIM_RATE_SUBQUERY.format(counted=counted) if needs_claim_rate else "NULL",
    )
