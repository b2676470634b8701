"""Read the person on a run's behalf; nothing that names them leaves the activity."""

from datetime import datetime
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clock import run_now
from activities.read_contracts import Bought, ProfileRead, ReadProfile
from policy.verdict import Channel
from policy.zones import resolve_zone
from profiles.database import Database
from profiles.profile_reading import ProfileFacts, read_profile

_MARKETING = ("marketing", "all")


class ProfileActivities:
    """Reads of the profile on a run's behalf."""

    def __init__(self, database: Database, *, default_zone: str = "UTC") -> None:
        self._database = database
        self._default_zone = default_zone

    @activity.defn(name="read_profile")
    async def read_profile(self, request: ReadProfile) -> ProfileRead:
        """The person now; a read, so it may be repeated."""
        at = run_now(request.clock_offset_s)
        try:
            async with self._database.transaction() as connection:
                facts = await read_profile(connection, UUID(request.run_id), traits=request.traits, at=at)
        except ValueError as error:
            raise ApplicationError(str(error), type="PersonalTrait", non_retryable=True) from error
        if facts is None:
            # Erased, or no such run: a story learns that nothing is known, and the gate sends nothing.
            return ProfileRead(at=at, zone=self._default_zone)
        return _told(facts, at, self._default_zone)


def _told(facts: ProfileFacts, at: datetime, default_zone: str) -> ProfileRead:
    zone = resolve_zone(facts.timezone, facts.context_timezone, facts.phone_for_zone, default_zone)
    said = {channel: granted for channel, topic, granted in facts.consents if topic in _MARKETING}
    return ProfileRead(
        at=at,
        zone=zone.zone,
        zone_source=zone.source,
        language=facts.language,
        since=facts.created_at,
        orders=facts.orders,
        spent=facts.spent,
        first_order_at=facts.first_order_at,
        last_order_at=facts.last_order_at,
        median_gap_days=facts.median_gap_days,
        purchases=tuple(
            Bought(
                item=one.item,
                name=one.name,
                price=one.price,
                quantity=max(one.quantity - one.returned, 0),
                at=one.at,
                channel=one.channel,
                order_id=one.order_id,
            )
            for one in facts.purchases
        ),
        open_carts=facts.open_carts,
        reachable=tuple(Channel(name) for name in facts.reachable),
        granted=tuple(channel for channel in Channel if said.get(channel.value, said.get("all"))),
        refused=tuple(channel for channel in Channel if said.get(channel.value, said.get("all")) is False),
        engaged_at={Channel(name): last for name, last in facts.engaged_at.items()},
        traits=facts.traits,
    )
