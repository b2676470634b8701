"""Whom a message is for: of several addresses and names of one profile, those it is written to and greets.

Two people may share a profile, as two guests with one phone number do. A message about an order or a cart
goes to the address that came with it, and greets by the name that came with it. Marketing goes to an address
that consented.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

NAME_TRAITS = ("first_name", "firstName", "name")
"""Traits that hold a name for a greeting, the best first."""

CONTACT_TYPES = ("email", "phone")
"""Identifier types of addresses that events state. A push token belongs to a device and not to an order."""

MAX_RUN_EVENTS = 20
"""Events of a run of which the contacts are read: its entry, and the last ones that could have started it."""

MAX_NAMING_EVENTS = 50
"""Events of a profile with several addresses of which the names are read: the last ones."""

_NAMES = f"'{{{','.join(NAME_TRAITS)}}}'::text[]"

_CONTACT = f"""json_build_array(e.verified, e.identifiers -> 'email', e.identifiers -> 'phone',
  COALESCE(e.identifiers -> 'user_id', '[]') || COALESCE(e.identifiers -> 'loyalty_id', '[]'),
  (SELECT jsonb_object_agg(name, e.traits -> name) FROM unnest({_NAMES}) name WHERE e.traits ? name)
)::text"""  # noqa: S608 - constant fragments

# A verified event takes the place of an unverified one with the same id, and the run then concerns that one.
RUN_CONTACTS_SQL = f"""ARRAY(SELECT {_CONTACT}
    FROM (SELECT r.entry_event AS event_id UNION (SELECT o.event_id FROM outbox o
        WHERE o.lane = r.run_id AND o.trigger ORDER BY o.seq DESC LIMIT {MAX_RUN_EVENTS})) of_run
      JOIN event came ON came.event_id = of_run.event_id
      JOIN event e ON e.event_id = COALESCE(came.superseded_by, came.event_id)
    ORDER BY e.verified DESC, e.at DESC, e.time DESC, e.event_id DESC)"""  # noqa: S608 - constant fragments
"""The contacts that the events of run ``r`` state: verified events first, then the newest."""

NAMING_CONTACTS_SQL = f"""CASE WHEN known.several THEN ARRAY(SELECT {_CONTACT}
    FROM ((SELECT * FROM event WHERE profile_id = p.profile_id AND superseded_by IS NULL
          ORDER BY at DESC LIMIT {MAX_NAMING_EVENTS})
        UNION ALL (SELECT origin.* FROM unnest({_NAMES}) named(name) JOIN event origin
          ON origin.source = p.origins #>> ARRAY[named.name, 'source']
            AND origin.id = p.origins #>> ARRAY[named.name, 'event_id'])) e
    WHERE e.verified AND e.traits ?| {_NAMES}
    ORDER BY e.at DESC, e.time DESC, e.event_id DESC) END"""  # noqa: S608 - constant fragments
"""The contacts with a name that verified events of profile ``p`` state, the newest first; null where it has
no two addresses of one kind. The event of each name in the traits is among them."""

CONSENTED_ADDRESSES_SQL = """CASE WHEN cardinality(known.here) > 1 AND ask.type = ANY('{email,phone}') THEN
    ARRAY(SELECT last.value FROM (
        SELECT DISTINCT ON (here.value) here.value, c.state, c.verified, c.time, c.seq
        FROM unnest(known.here) here(value) JOIN consent c ON c.profile_id = p.profile_id
          AND c.channel IN (ask.channel, 'all') AND c.topic IN ('marketing', 'all')
          AND ask.type || ':' || here.value = ANY(c.named)
        ORDER BY here.value, c.time DESC, c.seq DESC) last
      WHERE last.state = 'granted' ORDER BY last.verified DESC, last.time DESC, last.seq DESC) END"""
"""Addresses of the channel of which the last declaration is a grant, the latest grant first; null where the
profile has no two addresses."""


@dataclass(frozen=True, slots=True)
class Contact:
    """The addresses and the names that one event states."""

    verified: bool
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """email and phone in normal form; a type is missing where the event names no such address."""
    names: Mapping[str, Any] = field(default_factory=dict)
    """``NAME_TRAITS`` of the event."""
    accounts: tuple[str, ...] = ()
    """Its user ids and loyalty ids."""

    def shares_address(self, other: Mapping[str, tuple[str, ...]]) -> bool:
        """Return whether one address is in both."""
        return any(set(other.get(kind, ())) & set(values) for kind, values in self.addresses.items())

    def contradicts(self, other: Mapping[str, tuple[str, ...]]) -> bool:
        """Return whether both state an address of one type, and none of that type is in both."""
        return any(
            kind in other and not set(other[kind]) & set(values) for kind, values in self.addresses.items()
        )


def read_contacts(texts: Sequence[str] | None) -> tuple[Contact, ...]:
    """Return the contacts in a column of ``RUN_CONTACTS_SQL`` or ``NAMING_CONTACTS_SQL``."""
    contacts = []
    for text in texts or ():
        verified, emails, phones, accounts, names = orjson.loads(text)
        addresses = {"email": emails, "phone": phones}
        stated = {kind: tuple(values) for kind, values in addresses.items() if values}
        contacts.append(Contact(verified, stated, names or {}, tuple(accounts)))
    return tuple(contacts)


def stated_address(
    contacts: Sequence[Contact], kind: str, own: Sequence[str], *, trusted: Sequence[str] | None
) -> str | None:
    """Return the address that the events of a run state, if it is among the profile's ``own``; else None.

    ``trusted``: the addresses that an unverified event may state; None: all of them.
    """
    for contact in contacts:
        for address in contact.addresses.get(kind, ()):
            if address in own and (contact.verified or trusted is None or address in trusted):
                return address
    return None


def recipient_address(
    *, stated: str | None, consented: Sequence[str], preferred: str | None, is_marketing: bool
) -> str | None:
    """Return the address that a message goes to.

    A transactional one goes to the address that came with its order or cart, else to the preferred one. So
    does marketing if that address consented, or no address of the profile did; else it goes to the address
    that consented last.
    """
    if is_marketing and consented and stated not in consented:
        return consented[0]
    return stated or preferred


def recipient_names(
    address: str | None,
    kind: str,
    run_contacts: Sequence[Contact],
    naming: Sequence[Contact] | None,
    traits: Mapping[str, Any],
) -> tuple[Mapping[str, Any], ...]:
    """Return the names that may greet at ``address``, the best first, as values of ``NAME_TRAITS``.

    First the name that came with the order or cart, then the last name that came with the address, then that
    of the profile. Where the profile has several addresses (``naming`` is not None), a name that came with
    another one is left out, unless it came with the account of the order or cart too. So is a name of which
    it is not known with which address it came.
    """
    reader: dict[str, tuple[str, ...]] = {kind: (address,)} if address else {}
    of_run = [each for each in run_contacts if address in each.addresses.get(kind, ())]
    for contact in of_run:
        for other, values in contact.addresses.items():
            reader.setdefault(other, values)
    found = [each.names for each in of_run if each.verified]
    stated = {name: traits[name] for name in NAME_TRAITS if name in traits}
    if naming is None:
        return (*found, stated)
    accounts = {account for contact in of_run or run_contacts for account in contact.accounts}
    fitting = [each for each in naming if accounts & {*each.accounts} or not each.contradicts(reader)]
    found += [each.names for each in fitting if each.shares_address(reader)]
    known = [(name, value) for each in fitting for name, value in each.names.items()]
    return (*found, {name: value for name, value in stated.items() if (name, value) in known})
