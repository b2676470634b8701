"""Identity: who a person is and why, taking wrongly joined people apart, and mending that."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.d2 import D2NotInstalled
from api.dependencies import (
    AppState,
    AppStateDep,
    Because,
    IdentifierTypeParam,
    IdentifierValueParam,
    LimitParam,
    profile_id_or_404,
    require_admin_key,
)
from api.http.keys import ApiKey
from api.http.outage import create_probe, run_read, with_outage_check
from api.http.problems import Problem, ProblemDetails, not_found, unprocessable
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
    """Which identifier is not this person's, and how that is known."""

    other: NamedIdentifier = Field(alias="from", description="The identifier to cut this one apart from")


class Release(Because, NamedIdentifier):
    """Which identifier is somebody's after all."""


class Person(BaseModel):
    """A profile with all that points at it."""

    profile_id: UUID
    identifiers: list[HeldIdentifier]


class People(BaseModel):
    """The people there are now."""

    profiles: list[Person]


class Unmerged(People):
    """What came apart."""

    cut_id: int = Field(description="For POST /v1/identity/cuts/{cut_id}/mend, which undoes it")
    at: datetime
    messages_while_merged: list[SentMessage] = Field(
        description="Sent while the people were wrongly one; they cannot be called back"
    )


class Quarantine(BaseModel):
    """Identifiers that are nobody's, ordered by type and value."""

    quarantined: list[QuarantinedIdentifier]
    next_cursor: str | None = Field(description="For ?cursor= of the next page; null on the last")


Result = TypeVar("Result")

Responses = dict[int | str, dict[str, Any]]

_ERROR_RESPONSES: Responses = {
    404: {"model": ProblemDetails, "description": "Nobody has this identifier, or there is no such cut"},
    409: {"model": ProblemDetails, "description": "It is as asked for already"},
    422: {"model": ProblemDetails, "description": "The request is malformed, or asks for what cannot be"},
}

_FORMAT_RESPONSES: Responses = {
    200: {"content": {"text/plain": {}, "image/svg+xml": {}}, "description": "As ?format= asks for it"},
    404: _ERROR_RESPONSES[404],
}

router = APIRouter(tags=["Identity"], dependencies=[Depends(require_admin_key)])

AdminKeyDep = Annotated[ApiKey, Depends(require_admin_key)]


@router.get(
    "/v1/profiles/{type}/{value:path}/identity", responses=_FORMAT_RESPONSES, response_model=IdentityView
)
async def read_identity(
    kind: IdentifierTypeParam,
    value: IdentifierValueParam,
    doors: AppStateDep,
    format: Annotated[Literal["json", "mermaid", "svg"], Query(description="As what")] = "json",
    full: Annotated[bool, Query(description="A picture shows whole values")] = False,
) -> IdentityView | Response:
    """What joined a person's identifiers, what was refused, cut and merged, and the log of it."""

    async def read(connection: Any) -> IdentityView:
        return await load_identity(connection, await profile_id_or_404(connection, doors, kind, value))

    view = await run_read(doors.database, read)
    match format:
        case "mermaid":
            return Response(render_mermaid(view, full=full), media_type="text/plain; charset=utf-8")
        case "svg":
            return Response(await _drawn(view, full), media_type="image/svg+xml")
    return view


async def _drawn(view: IdentityView, full: bool) -> str:
    """The picture, drawn beside the event loop. Raises ``Problem`` 501 where no program draws it."""
    try:
        return await asyncio.to_thread(svg, view, full=full)
    except D2NotInstalled as error:
        raise Problem(501, "Not Implemented", f"{error} (?format=mermaid)") from error


@router.post("/v1/profiles/{type}/{value:path}/unmerge", responses=_ERROR_RESPONSES)
async def take_apart(
    kind: IdentifierTypeParam,
    value: IdentifierValueParam,
    wish: Unmerge,
    doors: AppStateDep,
    asker: AdminKeyDep,
) -> Unmerged:
    """Cut two identifiers apart that are not one person's. In force from the answer on.

    The two are never one person again, whatever events say, until the cut is mended.
    """
    one = _normalised_key(doors, kind, value, "value")
    other = _normalised_key(doors, wish.other.type, wish.other.value, "/from/value")
    await _check_permitted(doors, lambda connection: check_cut(connection, one, other))
    cutting = unmerge.cut_identifiers(doors.database, one, other, actor=_actor(asker), reason=wish.reason)
    cut = await _run_change(doors, cutting)

    async def read(connection: Any) -> Unmerged:
        return Unmerged(
            profiles=await _load_persons(connection, cut.profile_ids),
            cut_id=cut.cut_id,
            at=cut.at,
            messages_while_merged=await load_messages_by_id(connection, cut.sent_message_ids),
        )

    return await run_read(doors.database, read)


@router.post("/v1/identity/cuts/{cut_id}/mend", responses=_ERROR_RESPONSES)
async def mend_cut(
    cut_id: Annotated[int, Path(ge=1, le=2**63 - 1)], why: Because, doors: AppStateDep, asker: AdminKeyDep
) -> People:
    """Lift a cut again: the two are joined once more if their events still say so."""
    await _check_permitted(doors, lambda connection: check_mend(connection, cut_id))
    mending = unmerge.mend_cut(doors.database, cut_id, actor=_actor(asker), reason=why.reason)
    return await _load_people(doors, await _run_change(doors, mending))


@router.get("/v1/identity/quarantine", responses={422: _ERROR_RESPONSES[422]})
async def read_quarantine(
    doors: AppStateDep, limit: LimitParam = 50, cursor: Annotated[str | None, Query(max_length=400)] = None
) -> Quarantine:
    """Identifiers that so many people share that they are nobody's."""
    try:
        after = split_key(cursor) if cursor else ("", "")
    except ValueError:
        said = "not a cursor; send next_cursor of the page before, as it came"
        raise unprocessable(f"cursor is {said}", ("cursor", said)) from None
    rows = await run_read(
        doors.database, lambda connection: load_quarantined(connection, limit=limit + 1, after=after)
    )
    page = rows[:limit]
    more = key_of(page[-1].type, page[-1].value) if len(rows) > limit else None
    return Quarantine(quarantined=page, next_cursor=more)


@router.post("/v1/identity/quarantine/release", responses=_ERROR_RESPONSES)
async def release_identifier(wish: Release, doors: AppStateDep, asker: AdminKeyDep) -> People:
    """Say that a quarantined identifier is somebody's after all; it is never quarantined again."""
    key = _normalised_key(doors, wish.type, wish.value, "/value")
    await _check_permitted(doors, lambda connection: check_release(connection, key))
    releasing = unmerge.release_identifier(doors.database, key, actor=_actor(asker), reason=wish.reason)
    return await _load_people(doors, await _run_change(doors, releasing))


def _normalised_key(doors: AppState, kind: str, value: str, pointer: str) -> str:
    """The key of an identifier. Raises ``Problem`` 422."""
    try:
        return key_of(kind, normalize_identifier(kind, value, region=doors.settings.region))
    except ValueError as error:
        raise unprocessable(f"nobody can have this identifier: {error}", (pointer, str(error))) from None


async def _check_permitted(doors: AppState, question: Any) -> None:
    """Raises ``Problem`` where a wish is to be refused."""
    try:
        await run_read(doors.database, question)
    except (NotFound, NoChange, InvalidRequest) as refusal:
        raise _to_problem(refusal) from None


def _to_problem(refusal: NotFound | NoChange | InvalidRequest) -> Problem:
    match refusal:
        case NotFound():
            return not_found(str(refusal))
        case NoChange():
            return Problem(409, "Conflict", f"{refusal}; nothing was changed")
    return unprocessable(str(refusal))


async def _run_change(doors: AppState, work: Coroutine[Any, Any, Result]) -> Result:
    """A change. Raises ``Outage`` soon after Postgres went away; whether it was made is then to be read."""
    return await with_outage_check(work, create_probe(doors.database))


async def _load_people(doors: AppState, profiles: Sequence[UUID]) -> People:
    async def read(connection: Any) -> People:
        return People(profiles=await _load_persons(connection, profiles))

    return await run_read(doors.database, read)


async def _load_persons(connection: Any, profiles: Sequence[UUID]) -> list[Person]:
    return [
        Person(profile_id=profile_id, identifiers=await load_identifiers(connection, profile_id))
        for profile_id in profiles
    ]


def _actor(asker: ApiKey) -> str:
    return f"api/{asker.label}"
