"""Withdraws a profile's consent, where a story decides so."""

from uuid import UUID

from temporalio import activity

from activities.contracts import WithdrawConsent, WithdrawConsentResult
from activities.run_context import run_now
from profiles.db.database import Database
from profiles.ingest.consent_withdrawal import withdraw_consent
from profiles.ingest.pipeline import Ingest


class ConsentActivities:
    """Activities on consent. A journey may withdraw it, and never grant it."""

    def __init__(self, database: Database, ingest: Ingest) -> None:
        self._database = database
        self._ingest = ingest

    @activity.defn(name="withdraw_consent")
    async def withdraw_consent(self, request: WithdrawConsent) -> WithdrawConsentResult:
        """Withdraw consent on a channel and topic, for the profile's addresses too.

        Idempotent per run and step.
        """
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
