"""Activities on a run's profile: reads without name and address, and the withdrawal of consent."""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contracts import (
    DeliveryReports,
    OpenHolds,
    ProfileSnapshot,
    PurchasedItem,
    ReadDeliveryReports,
    ReadHolds,
    ReadProfile,
    SuggestedItems,
    SuggestItems,
    WithdrawConsent,
    WithdrawConsentResult,
)
from activities.gate.decider import describe_open_holds
from activities.gate.mapping import MARKETING_TOPICS
from activities.run_context import no_such_run, run_now
from policy.hours.time_zones import resolve_zone
from policy.verdict import Channel
from profiles.commerce.deliveries import has_delivery_reports
from profiles.commerce.suggestions import suggest_items
from profiles.db.database import Database
from profiles.ingest.consent_withdrawal import withdraw_consent
from profiles.ingest.pipeline import Ingest
from profiles.runs.lifecycle import load_run_profile
from profiles.views.journey_profile import ProfileFacts, load_profile_facts


class ProfileActivities:
    """Activities on a run's profile."""

    def __init__(self, database: Database, ingest: Ingest, *, default_zone: str = "UTC") -> None:
        self._database, self._ingest, self._default_zone = database, ingest, default_zone

    @activity.defn(name="read_profile")
    async def read_profile(self, request: ReadProfile) -> ProfileSnapshot:
        """Read the profile; an empty snapshot where it is erased or the run does not exist.

        Raises ApplicationError for traits that a story may not read. Idempotent.
        """
        at = run_now(request.clock_offset_s)
        try:
            async with self._database.transaction() as connection:
                facts = await load_profile_facts(
                    connection, UUID(request.run_id), traits=request.traits, at=at
                )
        except ValueError as error:
            raise ApplicationError(str(error), type="PersonalTrait", non_retryable=True) from error
        if facts is None:
            # Erased, or no such run: the story gets an empty snapshot, and the gate allows no message.
            return ProfileSnapshot(at=at, zone=self._default_zone)
        return _to_profile_snapshot(facts, at, self._default_zone)

    @activity.defn(name="suggest_items")
    async def suggest_items(self, request: SuggestItems) -> SuggestedItems:
        """Return suggested items, best first. Idempotent."""
        async with self._database.transaction() as connection:
            items = await suggest_items(
                connection, UUID(request.run_id), limit=request.limit, at=run_now(request.clock_offset_s)
            )
        return SuggestedItems(items=items)

    @activity.defn(name="read_delivery_reports")
    async def read_delivery_reports(self, request: ReadDeliveryReports) -> DeliveryReports:
        """Return whether the shop's systems report deliveries. Idempotent."""
        async with self._database.transaction() as connection:
            found = await has_delivery_reports(connection, at=run_now(request.clock_offset_s))
        return DeliveryReports(any_recent=found)

    @activity.defn(name="read_holds")
    async def read_holds(self, request: ReadHolds) -> OpenHolds:
        """Return the open holds. Raises ``no_such_run``. Idempotent."""
        at = run_now(request.clock_offset_s)
        async with self._database.transaction() as connection:
            profile_id = await load_run_profile(connection, UUID(request.run_id))
            if profile_id is None:
                raise no_such_run(f"no run {request.run_id}")
            return OpenHolds(held=await describe_open_holds(connection, profile_id, request.hold_while, at))

    @activity.defn(name="withdraw_consent")
    async def withdraw_consent(self, request: WithdrawConsent) -> WithdrawConsentResult:
        """Withdraw consent, for the addresses too; no journey grants it. Idempotent per run and step."""
        done = await withdraw_consent(
            self._database,
            self._ingest,
            UUID(request.run_id),
            request.step,
            channel=request.channel.value,
            topic=request.topic,
            at=run_now(request.clock_offset_s),
        )
        return WithdrawConsentResult(done=done)


def _to_profile_snapshot(facts: ProfileFacts, at: datetime, default_zone: str) -> ProfileSnapshot:
    zone = resolve_zone(facts.timezone, facts.context_timezone, facts.phone_for_zone, default_zone)
    declared = {channel: granted for channel, topic, granted in facts.consents if topic in MARKETING_TOPICS}
    marketing = {channel: declared.get(channel.value, declared.get("all")) for channel in Channel}
    return ProfileSnapshot(
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
            PurchasedItem.model_validate(asdict(each) | {"quantity": max(each.quantity - each.returned, 0)})
            for each in facts.purchases
        ),
        open_carts=facts.open_carts,
        reachable=tuple(Channel(name) for name in facts.reachable),
        granted=tuple(channel for channel in Channel if marketing[channel]),
        refused=tuple(channel for channel in Channel if marketing[channel] is False),
        engaged_at={Channel(name): last for name, last in facts.engaged_at.items()},
        traits=facts.traits,
        unverified_traits=facts.unverified_traits,
    )
