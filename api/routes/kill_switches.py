"""Kill switches: what is stopped, stopping it and resuming it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from api.dependencies import AppState, AppStateDep, Because, require_admin_key
from api.http.keys import ApiKey
from api.http.outage import create_probe, run_read, with_outage_check
from api.http.problems import ProblemDetails, not_found
from journeys.registry import UnknownStopTarget, check_stop_target
from policy.facts import StopKind
from profiles.messaging import kill_switches

_NOT_FOUND_RESPONSE: dict[int | str, dict[str, Any]] = {
    404: {"model": ProblemDetails, "description": "There is no such channel, journey or template"}
}

router = APIRouter(prefix="/v1/stops", tags=["Operation"], dependencies=[Depends(require_admin_key)])

AdminKeyDep = Annotated[ApiKey, Depends(require_admin_key)]

StopKindParam = Annotated[StopKind, Path(description="What it is")]

StopNameParam = Annotated[str, Path(max_length=200, description='Its name; "all" where the kind is')]


class Stopped(BaseModel):
    """Something that is stopped."""

    __module__ = "api.stops"  # part of the schema name in OpenAPI, which is public

    kind: StopKind
    name: str
    since: datetime
    reason: str
    actor: str = Field(
        description='Who: a key as api/label, a command, or "waypost" for a template by its rates'
    )


class Stops(BaseModel):
    """All that is stopped."""

    stops: list[Stopped]


class Resumed(BaseModel):
    """Whether there was anything to resume."""

    resumed: bool


@router.get("", operation_id="list_stops")
async def read_stops(doors: AppStateDep) -> Stops:
    """What is stopped now, since when, why and by whom."""
    return Stops(stops=await _read_active_stops(doors))


@router.put("/{kind}/{name}", operation_id="stop", responses=_NOT_FOUND_RESPONSE)
async def stop(
    kind: StopKindParam, name: StopNameParam, because: Because, doors: AppStateDep, asker: AdminKeyDep
) -> Stopped:
    """Stop all messages of a channel, a journey or a template, or everything, on every worker.

    In force from the answer on: no message is claimed any more. What is due waits until it expires. Stopping
    what is stopped changes nothing; the first reason stands.
    """
    _require_stoppable(doors, kind, name)
    actor = f"api/{asker.label}"

    async def work(connection: Any) -> None:
        await kill_switches.activate_kill_switch(
            connection, kind.value, name, reason=because.reason, actor=actor
        )

    await with_outage_check(doors.database.run(work), create_probe(doors.database))
    found = [one for one in await _read_active_stops(doors) if (one.kind, one.name) == (kind, name)]
    if not found:
        raise not_found(
            f"{kind.value} {name} was resumed by somebody else in the same moment; read /v1/stops"
        )
    return found[0]


@router.delete("/{kind}/{name}", operation_id="resume", responses=_NOT_FOUND_RESPONSE)
async def resume(
    kind: StopKindParam,
    name: StopNameParam,
    doors: AppStateDep,
    asker: AdminKeyDep,
    reason: Annotated[
        str, Query(min_length=1, max_length=500, description="Why; kept in the log")
    ] = "by API",
) -> Resumed:
    """Let it send again; messages that wait pass the whole gate first. The rates of a template count anew."""

    async def work(connection: Any) -> bool:
        actor = f"api/{asker.label}"
        return await kill_switches.deactivate_kill_switch(
            connection, kind.value, name, reason=reason, actor=actor
        )

    done = await with_outage_check(doors.database.run(work), create_probe(doors.database))
    if not done:
        # What has gone from the code can still be resumed, so the name is looked at last.
        _require_stoppable(doors, kind, name)
    return Resumed(resumed=done)


def _require_stoppable(doors: AppState, kind: StopKind, name: str) -> None:
    try:
        check_stop_target(kind, name, doors.journeys)
    except UnknownStopTarget as refusal:
        raise not_found(str(refusal)) from None


async def _read_active_stops(doors: AppState) -> list[Stopped]:
    found = await run_read(doors.database, kill_switches.list_kill_switches)
    return [Stopped.model_validate(one, from_attributes=True) for one in found]
