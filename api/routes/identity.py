"""Identity: the identifiers of a profile and their links, splits and their reversal, and quarantine."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.d2 import D2NotInstalled
from api.dependencies import (
    AdminKeyDep,
    AppState,
    AppStateDep,
    Because,
    LimitParam,
    NamedProfileDep,
    require_admin_key,
)
from api.http.outage import run_read
from api.http.problems import Problem, Responses, not_found, problem_responses, unprocessable
from api.identity_diagram.mermaid import render_mermaid
from api.identity_diagram.svg import svg
from profiles.errors import InvalidRequest, NoChange, NotFound
from profiles.identity.identifiers import identifier_key as key_of
from profiles.identity.identifiers import normalize_identifier, split_key
from profiles.identity.quarantine import QuarantinedIdentifier, load_quarantined
from profiles.identity.views import HeldIdentifier, IdentityView, load_identifiers, load_identity
from profiles.merging import unmerge
from profiles.merging.cut_preview import SentMessage, load_messages_by_id
from profiles.merging.unmerge import check_cut, check_mend, check_release


class NamedIdentifier(BaseModel):
    """One identifier, in any spelling."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(max_length=50)
    value: str = Field(min_length=1, max_length=400)


class Unmerge(Because):
    """The identifier to cut off, and the reason."""

    other: NamedIdentifier = Field(alias="from", description="The identifier to cut this one apart from")


class Release(Because, NamedIdentifier):
    """The identifier to release from quarantine, and the reason."""


class Person(BaseModel):
    """A profile and its identifiers."""

    profile_id: UUID
    identifiers: list[HeldIdentifier]


class People(BaseModel):
    """The profiles after the change."""

    profiles: list[Person]


class Unmerged(People):
    """Result of a split."""

    cut_id: int = Field(description="For POST /v1/identity/cuts/{cut_id}/mend, which undoes it")
    at: datetime
    messages_while_merged: list[SentMessage] = Field(
        description="Sent while the profiles were wrongly merged; they cannot be recalled"
    )


class Quarantine(BaseModel):
    """Quarantined identifiers, ordered by type and value."""

    quarantined: list[QuarantinedIdentifier]
    next_cursor: str | None = Field(description="For ?cursor= of the next page; null on the last")


_ERROR_RESPONSES = problem_responses(
    {
        404: "No profile has this identifier, or there is no such cut",
        409: "The requested state exists already",
        422: "The request is malformed or impossible",
    }
)

_FORMAT_RESPONSES: Responses = {
    200: {"content": {"text/plain": {}, "image/svg+xml": {}}, "description": "As ?format= asks for it"},
    404: _ERROR_RESPONSES[404],
}

router = APIRouter(tags=["Identity"], dependencies=[Depends(require_admin_key)])


@router.get(
    "/v1/profiles/{type}/{value:path}/identity", responses=_FORMAT_RESPONSES, response_model=IdentityView
)
async def read_identity(
    profile: NamedProfileDep,
    format: Annotated[
        Literal["json", "mermaid", "svg"], Query(description="Format of the response")
    ] = "json",
    full: Annotated[bool, Query(description="Show whole values in a diagram")] = False,
) -> IdentityView | Response:
    """Show the links between the identifiers of a profile, refused links, cuts, merges, and their log."""
    view = await profile.read(load_identity)
    match format:
        case "mermaid":
            return Response(render_mermaid(view, full=full), media_type="text/plain; charset=utf-8")
        case "svg":
            try:
                picture = await asyncio.to_thread(svg, view, full=full)
            except D2NotInstalled as error:
                raise Problem(501, f"{error} (?format=mermaid)") from error
            return Response(picture, media_type="image/svg+xml")
    return view


@router.post("/v1/profiles/{type}/{value:path}/unmerge", responses=_ERROR_RESPONSES)
async def take_apart(profile: NamedProfileDep, wish: Unmerge, caller: AdminKeyDep) -> Unmerged:
    """Cut two identifiers apart that belong to different people. In force once this is answered.

    No event joins the two again until the cut is mended.
    """
    app_state = profile.app_state
    key = _normalised_key(app_state, profile.type, profile.value, "value")
    other_key = _normalised_key(app_state, wish.other.type, wish.other.value, "/from/value")
    await _check_permitted(app_state, lambda connection: check_cut(connection, key, other_key))
    cut = await app_state.change(
        unmerge.cut_identifiers(app_state.database, key, other_key, actor=caller.actor, reason=wish.reason)
    )

    async def read(connection: Any) -> Unmerged:
        return Unmerged(
            profiles=await _load_persons(connection, cut.profile_ids),
            cut_id=cut.cut_id,
            at=cut.at,
            messages_while_merged=await load_messages_by_id(connection, cut.sent_message_ids),
        )

    return await run_read(app_state.database, read)


@router.post("/v1/identity/cuts/{cut_id}/mend", responses=_ERROR_RESPONSES)
async def mend_cut(
    cut_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
    why: Because,
    app_state: AppStateDep,
    caller: AdminKeyDep,
) -> People:
    """Reverse a cut. The two are merged again if their events still link them."""
    await _check_permitted(app_state, lambda connection: check_mend(connection, cut_id))
    mending = unmerge.mend_cut(app_state.database, cut_id, actor=caller.actor, reason=why.reason)
    return await _load_people(app_state, await app_state.change(mending))


@router.get("/v1/identity/quarantine", responses={422: _ERROR_RESPONSES[422]})
async def read_quarantine(
    app_state: AppStateDep,
    limit: LimitParam = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> Quarantine:
    """List quarantined identifiers: shared by so many people that they identify no profile."""
    try:
        after = split_key(cursor) if cursor else ("", "")
    except ValueError:
        detail = "not a cursor; send next_cursor of the page before, as it came"
        raise unprocessable(f"cursor is {detail}", ("cursor", detail)) from None
    rows = await run_read(
        app_state.database, lambda connection: load_quarantined(connection, limit=limit + 1, after=after)
    )
    page = rows[:limit]
    more = key_of(page[-1].type, page[-1].value) if len(rows) > limit else None
    return Quarantine(quarantined=page, next_cursor=more)


@router.post("/v1/identity/quarantine/release", responses=_ERROR_RESPONSES)
async def release_identifier(wish: Release, app_state: AppStateDep, caller: AdminKeyDep) -> People:
    """Release an identifier from quarantine. It is never quarantined again."""
    key = _normalised_key(app_state, wish.type, wish.value, "/value")
    await _check_permitted(app_state, lambda connection: check_release(connection, key))
    releasing = unmerge.release_identifier(app_state.database, key, actor=caller.actor, reason=wish.reason)
    return await _load_people(app_state, await app_state.change(releasing))


def _normalised_key(app_state: AppState, kind: str, value: str, pointer: str) -> str:
    """Return the key of an identifier. Raises ``Problem`` 422."""
    try:
        return key_of(kind, normalize_identifier(kind, value, region=app_state.settings.region))
    except ValueError as error:
        raise unprocessable(f"no profile can have this identifier: {error}", (pointer, str(error))) from None


async def _check_permitted(app_state: AppState, question: Any) -> None:
    """Raise ``Problem`` if the requested change is not permitted."""
    try:
        await run_read(app_state.database, question)
    except NotFound as refusal:
        raise not_found(str(refusal)) from None
    except NoChange as refusal:
        raise Problem(409, f"{refusal}; nothing was changed") from None
    except InvalidRequest as refusal:
        raise unprocessable(str(refusal)) from None


async def _load_people(app_state: AppState, profiles: Sequence[UUID]) -> People:
    persons = await run_read(app_state.database, lambda connection: _load_persons(connection, profiles))
    return People(profiles=persons)


async def _load_persons(connection: Any, profiles: Sequence[UUID]) -> list[Person]:
    return [
        Person(profile_id=profile_id, identifiers=await load_identifiers(connection, profile_id))
        for profile_id in profiles
    ]
