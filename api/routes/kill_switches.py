"""Kill switches: listing, activating and deactivating them."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from api.dependencies import AdminKeyDep, AppState, AppStateDep, Because, require_admin_key
from api.http.outage import run_read
from api.http.problems import not_found, problem_responses
from journeys.registry import UnknownStopTarget, check_stop_target
from policy.facts import StopKind
from profiles.messaging import kill_switches

_NOT_FOUND_RESPONSE = problem_responses({404: "There is no such channel, journey or template"})

router = APIRouter(prefix="/v1/stops", tags=["Operation"], dependencies=[Depends(require_admin_key)])

StopKindParam = Annotated[StopKind, Path(description="What is stopped")]

StopNameParam = Annotated[str, Path(max_length=200, description='Its name; "all" if the kind is all')]


class Stopped(BaseModel):
    """An active kill switch, with its reason."""

    __module__ = "api.stops"  # part of the schema name in OpenAPI, which is public

    kind: StopKind
    name: str
    since: datetime
    reason: str
    actor: str = Field(
        description='A key as api/label, a command, or "waypost" for a template stopped by its rates'
    )


class Stops(BaseModel):
    """Active kill switches."""

    stops: list[Stopped]


class Resumed(BaseModel):
    """Whether a kill switch was active."""

    resumed: bool


@router.get("", operation_id="list_stops")
async def read_stops(app_state: AppStateDep) -> Stops:
    """List the active kill switches with time, reason and actor."""
    return Stops(stops=await _read_active_stops(app_state))


@router.put("/{kind}/{name}", operation_id="stop", responses=_NOT_FOUND_RESPONSE)
async def stop(
    kind: StopKindParam, name: StopNameParam, because: Because, app_state: AppStateDep, caller: AdminKeyDep
) -> Stopped:
    """Stop all messages of a channel, a journey or a template, or all messages, on every worker.

    In force once this is answered: no message is claimed any more. Due messages wait until they expire.
    Idempotent: the first reason stays.
    """
    _require_stoppable(app_state, kind, name)
    activation = app_state.database.run(
        lambda connection: kill_switches.activate_kill_switch(
            connection, kind.value, name, reason=because.reason, actor=caller.actor
        )
    )
    await app_state.change(activation)
    active = [each for each in await _read_active_stops(app_state) if (each.kind, each.name) == (kind, name)]
    if not active:
        raise not_found(
            f"{kind.value} {name} was resumed by another request at the same time; read /v1/stops"
        )
    return active[0]


@router.delete("/{kind}/{name}", operation_id="resume", responses=_NOT_FOUND_RESPONSE)
async def resume(
    kind: StopKindParam,
    name: StopNameParam,
    app_state: AppStateDep,
    caller: AdminKeyDep,
    reason: Annotated[
        str, Query(min_length=1, max_length=500, description="Why; kept in the log")
    ] = "by API",
) -> Resumed:
    """Resume sending. Waiting messages pass the whole gate again. The rates of a template restart at zero."""
    deactivation = app_state.database.run(
        lambda connection: kill_switches.deactivate_kill_switch(
            connection, kind.value, name, reason=reason, actor=caller.actor
        )
    )
    done = await app_state.change(deactivation)
    if not done:
        # A journey or template that was removed from the code can still be resumed: the name is checked last.
        _require_stoppable(app_state, kind, name)
    return Resumed(resumed=done)


def _require_stoppable(app_state: AppState, kind: StopKind, name: str) -> None:
    try:
        check_stop_target(kind, name, app_state.journeys)
    except UnknownStopTarget as refusal:
        raise not_found(str(refusal)) from None


async def _read_active_stops(app_state: AppState) -> list[Stopped]:
    switches = await run_read(app_state.database, kill_switches.list_kill_switches)
    return [Stopped.model_validate(switch, from_attributes=True) for switch in switches]
