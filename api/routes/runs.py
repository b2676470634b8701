"""Journeys and their runs: listing them, details of a run, and starting, signalling or ending one by hand."""

from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Query, Response

from api.dependencies import (
    AdminKeyDep,
    AppState,
    AppStateDep,
    PagingDep,
    profile_id_or_404,
    require_admin_key,
)
from api.http.bodies import MAX_DEPTH, exceeds_depth
from api.http.json_body import repair_json
from api.http.outage import run_read
from api.http.problems import Problem, not_found, problem_responses, unprocessable
from api.routes.run_schemas import (
    Cancellation,
    Journeys,
    JourneyView,
    Queued,
    Retried,
    Retry,
    RunDetails,
    RunEntered,
    RunEntry,
    Runs,
    SegmentView,
)
from api.routes.run_start import journey_or_404, start_run
from api.temporal import WaitingView
from profiles.db import pagination
from profiles.events import Event
from profiles.identity import component
from profiles.identity.identifiers import parse_identifier_input
from profiles.runs.exposures import list_exposures
from profiles.runs.lifecycle import SeveralRuns, request_run_end, signal_run_manually
from profiles.runs.stuck import retry_stuck_run
from profiles.views import history
from profiles.views.profile import RunView

router = APIRouter(
    prefix="/v1",
    tags=["Journeys and runs"],
    dependencies=[Depends(require_admin_key)],
    responses=problem_responses({404: "There is no such journey or run"}),
)

MAX_DETAIL_ROWS = 200
"""Messages and decisions shown with a run."""


@router.get("/journeys")
async def read_journeys(app_state: AppStateDep) -> Journeys:
    """List the registered journeys."""
    return Journeys(
        journeys=[
            JourneyView(
                name=name,
                summary=route.summary,
                starts_on=sorted(route.start_names),
                listens_to=sorted(route.listen_names),
                keyed_by=route.key_property,
                segments=[SegmentView(name=one.name, every=one.every) for one in route.segments],
                holdout=route.holdout,
                on_merge=route.on_merge,
                outcomes=list(route.outcomes),
            )
            for name, route in sorted(app_state.journeys.items())
        ]
    )


@router.get("/journeys/{journey}/runs")
async def read_journey_runs(
    journey: str,
    app_state: AppStateDep,
    paging: PagingDep,
    state: Annotated[
        Literal["running", "ended", "stuck"] | None, Query(description="Only runs in this state")
    ] = None,
    customer: Annotated[
        str | None,
        Query(max_length=400, description="A profile_id, type:value, or a bare email, phone or user_id"),
    ] = None,
) -> Runs:
    """List the runs of one journey, the newest first."""

    async def read(connection: Any) -> pagination.Page[RunView]:
        person = await _customer_profile_id(connection, app_state, customer) if customer else None
        return await history.list_runs(
            connection,
            profile_id=person,
            journey=journey,
            state=state,
            limit=paging.limit,
            after=paging.after,
        )

    page = await run_read(app_state.database, read)
    if not page.rows:
        journey_or_404(app_state, journey)
    return Runs(runs=page.rows, next_cursor=page.next_cursor)


@router.post(
    "/journeys/{journey}/runs",
    status_code=202,
    responses={
        200: {"model": RunEntered, "description": "An earlier request of this Idempotency-Key started it"},
        **problem_responses(
            {
                409: "The key has a live run (`run_id`), or may not enter again (until `until`; null: "
                "never). Nothing is written",
                413: "The event is too large",
            }
        ),
    },
)
async def enter_journey(
    journey: str,
    entry: RunEntry,
    app_state: AppStateDep,
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="The event's id; the same key starts one run"),
    ] = None,
) -> RunEntered:
    """Start a run by an event that is ingested like any other, but reaches only this journey.

    The journey's entry filter does not apply, since the caller has decided. Its key, its re-entry rule and
    the limit of one live run per key apply. If no run starts, the event is not stored. Answered after COMMIT;
    the relay delivers the run to Temporal.
    """
    entered, again = await start_run(app_state, journey_or_404(app_state, journey), entry, idempotency_key)
    if again:
        response.status_code = 200
    return entered


async def _customer_profile_id(connection: Any, app_state: AppState, text: str) -> UUID:
    """Return the profile that a filter names. Raises ``Problem`` 404."""
    try:
        profile_id = await component.load_canonical_id(connection, UUID(text))
    except ValueError:
        return await profile_id_or_404(connection, app_state, *parse_identifier_input(text))
    if profile_id is None:
        raise not_found(f"there is no profile {text}")
    return profile_id


@router.get("/runs/{run_id}")
async def read_run(run_id: UUID, app_state: AppStateDep) -> RunDetails:
    """Show one run: state, what it waits for and until when, messages, and decisions of the gate."""

    async def read(connection: Any) -> tuple[RunView, Any, Any, Any]:
        run = await history.load_run(connection, run_id)
        if run is None:
            raise not_found(
                f"there is no run {run_id}; GET /v1/journeys/{{journey}}/runs lists runs by our own ids"
            )
        messages = await history.list_messages(connection, run_id=run_id, limit=MAX_DETAIL_ROWS)
        decisions = await history.list_decisions(connection, run_id=run_id, limit=MAX_DETAIL_ROWS)
        return run, messages.rows, decisions.rows, await list_exposures(connection, run_id)

    run, messages, decisions, exposures = await run_read(app_state.database, read)
    return RunDetails(
        **asdict(run),
        waiting=await _load_waiting_view(app_state, run),
        messages=messages,
        decisions=decisions,
        exposures=exposures,
        temporal_url=app_state.temporal.ui_url(run.workflow_id, run.temporal_run_id),
    )


async def _load_waiting_view(app_state: AppState, run: RunView) -> WaitingView:
    if run.state == "ended":
        return WaitingView(details=None, note=f"nothing: it ended ({run.outcome or 'no outcome on record'})")
    if run.state == "stuck":
        why = run.detail or "an event could not be delivered to it"
        return WaitingView(details=None, note=f"an operator: {why}")
    return await app_state.temporal.load_waiting_view(run.workflow_id, run.temporal_run_id)


@router.post("/journeys/{journey}/runs/{key:path}/signals/{event}", status_code=202)
async def signal_run(
    journey: str,
    key: str,
    event: str,
    app_state: AppStateDep,
    body: Annotated[
        dict[str, Any] | None,
        Body(
            description='The event\'s properties, as they are or as {"properties": {…}}',
            examples=[{"order_id": "o-1"}],
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None, Header(max_length=200, description="The same key reaches the run once")
    ] = None,
    run_id: Annotated[
        UUID | None, Query(description="The run, where several people have a live run of the key")
    ] = None,
) -> Queued:
    """Send one event to the live run of a key. It reaches no other run and does not change the profile.

    422 where several people have a live run of that key, unless ``run_id`` names one of them.
    """
    journey_or_404(app_state, journey)
    if event not in Event.registry:
        raise not_found(f"no event {event!r} is declared; there are {', '.join(sorted(Event.registry))}")
    try:
        signalled = await app_state.change(
            signal_run_manually(
                app_state.database,
                journey=journey,
                key=key,
                event_name=event,
                properties=_signal_properties(body),
                idempotency_key=idempotency_key,
                only_run=run_id,
            )
        )
    except SeveralRuns as error:
        shown = ", ".join(str(each) for each in error.run_ids)
        raise unprocessable(f"{error}: name one of them with ?run_id=, of {shown}") from None
    except ValueError as error:
        raise unprocessable(f"the properties do not fit: {error}") from None
    if signalled is None:
        raise not_found(
            f"{journey} has no live run with this key; GET /v1/journeys/{journey}/runs?state=running"
        )
    return Queued(run_id=signalled)


def _signal_properties(body: dict[str, Any] | None) -> dict[str, Any]:
    """Return the event's properties, repaired for storage. Raises ``Problem`` 422 if they nest too deep."""
    if exceeds_depth(body):
        raise unprocessable(f"the properties nest deeper than the limit of {MAX_DEPTH}; flatten them")
    repaired: dict[str, Any] = repair_json(body or {})[0]
    properties = repaired.get("properties")
    return properties if isinstance(properties, dict) and set(repaired) == {"properties"} else repaired


@router.post(
    "/runs/{run_id}/cancel",
    status_code=202,
    responses=problem_responses({409: "The run has ended already"}),
)
async def cancel_run(
    run_id: UUID, cancellation: Cancellation, app_state: AppStateDep, caller: AdminKeyDep
) -> Queued:
    """End a run early, with outcome ``cancelled``.

    A stuck run ends at once. The events that could not be delivered to it are routed again, and may start
    another run, unless ``reroute`` is false.
    """
    ending = request_run_end(
        app_state.database,
        list(app_state.journeys.values()),
        run_id,
        "cancelled",
        cancellation.reason,
        actor=caller.actor,
        reroute=cancellation.reroute,
        local=app_state.ingest_rules.local,
    )
    if await app_state.change(ending):
        return Queued(run_id=run_id)
    run = await run_read(app_state.database, lambda connection: history.load_run(connection, run_id))
    if run is None:
        raise not_found(f"there is no run {run_id}")
    raise Problem(409, f"this run ended before ({run.outcome or 'no outcome on record'}); nothing to do")


@router.post("/runs/{run_id}/retry", responses=problem_responses({409: "The run has ended"}))
async def retry_run(run_id: UUID, retry: Retry, app_state: AppStateDep, caller: AdminKeyDep) -> Retried:
    """Deliver to a stuck run again, from the event that failed on, in order. Idempotent.

    The relay starts at once, and parks the run again if the cause remains. A run that is not stuck is left
    as it is.
    """
    state = await app_state.change(
        app_state.database.run(
            lambda connection: retry_stuck_run(connection, run_id, reason=retry.reason, actor=caller.actor)
        )
    )
    if state is None:
        raise not_found(f"there is no run {run_id}")
    if state == "ended":
        raise Problem(409, "this run has ended; an event of its key may start another one")
    return Retried(run_id=run_id, retried=state == "stuck")
