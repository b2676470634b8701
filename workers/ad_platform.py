"""An ad platform, and telling it one thing so that what it confirms is what is recorded."""

import asyncio
from typing import Protocol
from uuid import UUID

from profiles.messaging.audiences import Membership
from profiles.runs.outbox import OutboxRow

PLATFORM_TIMEOUT_S = 10.0
"""What a platform may take for one thing."""


class AdPlatform(Protocol):
    """Audiences at a platform. Each place is told by an id of ours and used once: who comes back has another.

    Every call may come twice. Whatever is raised is tried again, so nothing is to be raised for what is
    already so.
    """

    async def add(self, audience: str, member_id: UUID) -> None:
        """Take a member in."""

    async def remove(self, audience: str, member_id: UUID) -> None:
        """Take a member out; one that is not there is out."""

    async def has_member(self, audience: str, member_id: UUID) -> bool:
        """Whether the platform's own books have the member now. Asked after a removal: False confirms it."""


class UnconfirmedMembership(Exception):
    """The platform has not done it, or not said so: to be tried again."""


async def sync_member(platform: AdPlatform, row: OutboxRow, membership: Membership | None) -> None:
    """Tell the platform one outbox row; on return it is confirmed. Raises ``Unconfirmed``. Idempotent.

    Nobody enters who is to leave, or is erased (``standing`` None); and nobody comes back before their
    earlier removal is confirmed, so that a late one cannot take the new place with it.
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
    except Exception as error:  # whatever a platform's client raises keeps the place unconfirmed
        raise UnconfirmedMembership(repr(error)[:500]) from error
