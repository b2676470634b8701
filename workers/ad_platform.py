"""The ad platform protocol, and delivery of one outbox row to it with confirmation."""

import asyncio
from typing import Protocol
from uuid import UUID

from profiles.messaging.audiences import Membership
from profiles.redaction import redact_text
from profiles.runs.outbox import OutboxRow

PLATFORM_TIMEOUT_S = 10.0
"""Seconds that a platform may take for one outbox row."""


class AdPlatform(Protocol):
    """Audiences at a platform. A member id identifies one membership; a later membership has another id.

    Calls may be repeated. An exception leads to a retry, so none is raised if the state exists already.
    """

    async def add(self, audience: str, member_id: UUID) -> None:
        """Add a member."""

    async def remove(self, audience: str, member_id: UUID) -> None:
        """Remove a member. Do nothing if the audience does not have it."""

    async def has_member(self, audience: str, member_id: UUID) -> bool:
        """Whether the platform has the member now. Called after a removal: False confirms it."""


class UnconfirmedMembership(Exception):
    """The platform has not done or not confirmed the change; it is retried."""


async def sync_member(platform: AdPlatform, row: OutboxRow, membership: Membership | None) -> None:
    """Deliver one outbox row to the platform; on return the change is confirmed. Idempotent.

    An ``add`` is dropped if the member is to be removed, or is erased (``membership`` None).
    It waits until an earlier removal of the same profile and item is confirmed, so that a late removal
    cannot end the new membership.

    Raises:
        UnconfirmedMembership: not done, not confirmed, or any error of the platform's client.
    """
    audience = row.payload["audience"]
    try:
        async with asyncio.timeout(PLATFORM_TIMEOUT_S):
            if row.name == "add":
                if membership is None or membership.state in ("leaving", "out"):
                    return
                if membership.awaits_earlier_removal:
                    raise UnconfirmedMembership("waits for the confirmation of an earlier removal")
                await platform.add(audience, row.lane)
                return
            await platform.remove(audience, row.lane)
            if await platform.has_member(audience, row.lane):
                raise UnconfirmedMembership("the platform took the removal, and still has the member")
    except UnconfirmedMembership:
        raise
    except Exception as error:  # any error of a platform's client leaves the membership unconfirmed
        raise UnconfirmedMembership(redact_text(repr(error))) from error
