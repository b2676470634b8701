"""What the person behind a preference link takes on which channel, and how they can be named."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from profiles.identity.component import load_canonical_id
from profiles.messaging.preference_tokens import PreferenceClaim
from profiles.views.profile import (
    ConsentView,
    IdentifierView,
    OptOutView,
    list_consents,
    list_identifiers,
    list_opt_outs,
)

MARKETING_TOPIC = "marketing"

_ANY = "all"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The person behind a link, as the preference page sees them."""

    identifiers: tuple[IdentifierView, ...] = ()
    """Empty: no longer on file."""
    consents: tuple[ConsentView, ...] = ()
    opt_outs: tuple[OptOutView, ...] = ()
    message_known: bool = False
    """The message that carried the link is on file."""
    last_grant: int | None = None
    """Number of the person's latest grant on the link's channel."""
    email_from_order: bool = False
    """Their email address came with an order."""

    def accepts_marketing(self, channel: str) -> bool:
        """Whether marketing on a channel is what they agreed to, as far as their own word goes."""
        if any(o.channel in (channel, _ANY) and o.topic in (MARKETING_TOPIC, _ANY) for o in self.opt_outs):
            return False
        words = [
            c for c in self.consents if c.channel in (channel, _ANY) and c.topic in (MARKETING_TOPIC, _ANY)
        ]
        if not words:
            return channel == "email" and self.email_from_order
        return all(word.state == "granted" for word in words)


_SELECT_LAST_GRANT = """
SELECT max(seq) FROM consent WHERE profile_id = $1 AND channel IN ($2, 'all') AND state = 'granted'
"""


# Whoever has the address by now: the two may have been taken to be one when the message went out.
_SELECT_LINK_OWNER = """
SELECT COALESCE((SELECT i.profile_id FROM identifier i
    WHERE i.type = CASE m.channel WHEN 'email' THEN 'email' WHEN 'sms' THEN 'phone' END
      AND i.value = m.address), m.profile_id) FROM message m WHERE m.message_id = $1
"""


async def load_subscriber(connection: Any, claim: PreferenceClaim) -> Subscriber:
    """The person a token was made for, through merges; an empty one where nobody is left."""
    message_id, given = _parse_uuid(claim.message_id), _parse_uuid(claim.profile_id)
    owner = await connection.fetchval(_SELECT_LINK_OWNER, message_id)
    profile_id = owner or (await load_canonical_id(connection, given) if given else None)
    if profile_id is None:
        return Subscriber()
    return Subscriber(
        identifiers=tuple(await list_identifiers(connection, profile_id)),
        consents=tuple(await list_consents(connection, profile_id)),
        opt_outs=tuple(await list_opt_outs(connection, profile_id)),
        message_known=owner is not None,
        last_grant=await connection.fetchval(_SELECT_LAST_GRANT, profile_id, claim.channel),
        email_from_order=await connection.fetchval(
            "SELECT email_from_order FROM profile WHERE profile_id = $1", profile_id
        ),
    )


def _parse_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
