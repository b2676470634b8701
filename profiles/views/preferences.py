"""What the profile behind a preference link has agreed to, and its identifiers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.consent.declarations import MARKETING_TOPIC
from profiles.identity.component import load_canonical_id
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL
from profiles.messaging.preference_tokens import PreferenceClaim
from profiles.views.profile import (
    ConsentView,
    IdentifierView,
    OptOutView,
    list_consents,
    list_identifiers,
    list_opt_outs,
)

_ANY = "all"

_SELECT_EMAIL_FROM_ORDER = "SELECT email_from_order FROM profile WHERE profile_id = $1"

_SELECT_LAST_GRANT = """
SELECT max(seq) FROM consent WHERE profile_id = $1 AND channel IN ($2, 'all') AND state = 'granted'
"""

# The profile that has the message's address now, as profiles may have been merged or split since.
_SELECT_LINK_OWNER = """
SELECT COALESCE(i.profile_id, m.profile_id) AS profile_id, a.type,
  CASE WHEN a.type IS NOT NULL THEN m.address END AS value, m.profile_id AS message_profile
FROM message m CROSS JOIN LATERAL (SELECT CASE WHEN m.address IS NULL THEN NULL
    WHEN m.channel = 'email' THEN 'email' WHEN m.channel = 'sms' THEN 'phone' END AS type) a
  LEFT JOIN identifier i ON i.type = a.type AND i.value = m.address
WHERE m.message_id = $1
"""

_SELECT_OPTED_OUT = """
SELECT EXISTS (SELECT 1 FROM opt_out WHERE channel = $1 AND address = $2 AND state = 'withdrawn'
  AND topic IN ('marketing', 'all'))
"""

_SELECT_RECORDED = "SELECT EXISTS (SELECT 1 FROM consent WHERE event_id = $1)"

_SELECT_CONFIRMATION_LINK = """
SELECT message_id, channel, address, COALESCE(sent_at, claimed_at, decided_at) AS sent_at
FROM message WHERE message_id = $1 AND address IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class ConfirmationLink:
    """What a link to confirm a consent confirms."""

    message_id: UUID
    channel: str
    address: tuple[str, str]
    """Type and value of the address that the message with the link went to."""
    topic: str
    sent_at: datetime
    """By the run's clock."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The profile behind a link, as the preference page shows it."""

    identifiers: tuple[IdentifierView, ...] = ()
    """Empty: the profile no longer exists."""
    address: tuple[str, str] | None = None
    """Type and value of the address that the message went to, whatever became of it. None: not known."""
    other_identifiers: tuple[IdentifierView, ...] = ()
    """Those of the profile that the message was sent to, if the address is no longer of that profile."""
    consents: tuple[ConsentView, ...] = ()
    opt_outs: tuple[OptOutView, ...] = ()
    message_known: bool = False
    """Whether the message with the link is stored."""
    last_grant: int | None = None
    """Number (``seq``) of the latest grant on the link's channel."""
    email_from_order: bool = False
    """Whether the email address came with an order."""

    def accepts_marketing(self, channel: str) -> bool:
        """Return whether the profile's own declarations allow marketing on a channel.

        Without declarations an email address that came with an order allows email.
        """
        if any(o.channel in (channel, _ANY) and o.topic in (MARKETING_TOPIC, _ANY) for o in self.opt_outs):
            return False
        declarations = [
            c for c in self.consents if c.channel in (channel, _ANY) and c.topic in (MARKETING_TOPIC, _ANY)
        ]
        if not declarations:
            return channel == "email" and self.email_from_order
        return all(declaration.state == "granted" for declaration in declarations)


async def load_subscriber(connection: Any, claim: PreferenceClaim) -> Subscriber:
    """Read the profile that a token was made for, through merges; an empty one if it no longer exists."""
    message_id, given = _parse_uuid(claim.message_id), _parse_uuid(claim.profile_id)
    link = await connection.fetchrow(_SELECT_LINK_OWNER, message_id)
    owner = None if link is None else link["profile_id"]
    profile_id = owner or (await load_canonical_id(connection, given) if given else None)
    if profile_id is None:
        return Subscriber()
    other = () if link is None or link["message_profile"] == profile_id else (link["message_profile"],)
    return Subscriber(
        other_identifiers=tuple([each for one in other for each in await list_identifiers(connection, one)]),
        identifiers=tuple(await list_identifiers(connection, profile_id)),
        address=None if link is None or link["type"] is None else (link["type"], link["value"]),
        consents=tuple(await list_consents(connection, profile_id)),
        opt_outs=tuple(await list_opt_outs(connection, profile_id)),
        message_known=owner is not None,
        last_grant=await connection.fetchval(_SELECT_LAST_GRANT, profile_id, claim.channel),
        email_from_order=await connection.fetchval(_SELECT_EMAIL_FROM_ORDER, profile_id),
    )


async def is_opted_out(connection: Any, channel: str, address: str) -> bool:
    """Return whether an address is opted out of marketing on a channel."""
    return bool(await connection.fetchval(_SELECT_OPTED_OUT, channel, address))


async def is_recorded(connection: Any, event_id: UUID) -> bool:
    """Return whether an event declared a consent that the ledger has recorded."""
    return bool(await connection.fetchval(_SELECT_RECORDED, event_id))


async def load_confirmation_link(connection: Any, claim: PreferenceClaim) -> ConfirmationLink | None:
    """Return what a token confirms; None if its message is unknown, or went to no address."""
    row = await connection.fetchrow(_SELECT_CONFIRMATION_LINK, _parse_uuid(claim.message_id))
    kind = ADDRESS_TYPE_BY_CHANNEL.get(row["channel"]) if row is not None else None
    if row is None or kind is None or row["channel"] != claim.channel:
        return None
    address = (kind, row["address"])
    return ConfirmationLink(row["message_id"], row["channel"], address, claim.topic, row["sent_at"])


def _parse_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
