"""Profiles: the unified record of a person, and its messages, decisions and runs."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.dependencies import NOT_FOUND_RESPONSE, NamedProfileDep, PagingDep, require_admin_key
from api.routes.run_schemas import Runs
from api.why.answer import Explainer, ToldDecision
from policy.hours.time_zones import resolve_zone
from profiles.views import decision_evidence, history
from profiles.views.profile import ProfileView, load_profile

router = APIRouter(
    prefix="/v1/profiles/{type}",
    tags=["People"],
    dependencies=[Depends(require_admin_key)],
    responses=NOT_FOUND_RESPONSE,
)


class Messages(BaseModel):
    """Messages, the newest first."""

    messages: list[history.MessageView]
    next_cursor: str | None = Field(description="For ?cursor= of the next page; null on the last")


class Decisions(BaseModel):
    """Verdicts of the gate, the newest first."""

    decisions: list[ToldDecision]
    next_cursor: str | None = None


@router.get("/{value:path}/messages")
async def read_messages(profile: NamedProfileDep, paging: PagingDep) -> Messages:
    """List the messages of a profile, sent or not."""
    page = await profile.read(
        lambda connection, profile_id: history.list_messages(
            connection, profile_id=profile_id, limit=paging.limit, after=paging.after
        )
    )
    return Messages(messages=page.rows, next_cursor=page.next_cursor)


@router.get("/{value:path}/decisions")
async def read_decisions(profile: NamedProfileDep, paging: PagingDep) -> Decisions:
    """List the gate's decisions about a profile, each with a sentence that explains it, and its checks."""
    app_state = profile.app_state

    async def read(connection: Any, profile_id: UUID) -> Decisions:
        page = await history.list_decisions(
            connection, profile_id=profile_id, limit=paging.limit, after=paging.after
        )
        evidence = (
            await decision_evidence.load_decision_evidence(connection, profile_id) if page.rows else None
        )
        if evidence is None:
            return Decisions(decisions=[])
        explainer = Explainer(evidence, app_state.limits, app_state.settings.default_timezone)
        return Decisions(
            decisions=[explainer.explain(decision) for decision in page.rows], next_cursor=page.next_cursor
        )

    return await profile.read(read)


@router.get("/{value:path}/runs")
async def read_runs(profile: NamedProfileDep, paging: PagingDep) -> Runs:
    """List the runs of a profile."""
    page = await profile.read(
        lambda connection, profile_id: history.list_runs(
            connection, profile_id=profile_id, limit=paging.limit, after=paging.after
        )
    )
    return Runs(runs=page.rows, next_cursor=page.next_cursor)


@router.get("/{value:path}")
async def read_profile(profile: NamedProfileDep) -> ProfileView:
    """Return the unified record of a person.

    Identifiers, traits with their origins, computed traits, zone and locale with their sources, consents,
    carts, purchases, suppressions, runs.
    """

    def zone(named: str | None, context: str | None, phone: str | None) -> tuple[str, str]:
        resolved = resolve_zone(named, context, phone, profile.app_state.settings.default_timezone)
        return resolved.zone, resolved.source

    return await profile.read(lambda connection, profile_id: load_profile(connection, profile_id, zone))
