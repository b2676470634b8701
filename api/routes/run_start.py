"""Manual start of a run: validates the request, ingests its event for one journey, explains refusals."""

import difflib
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from api.dependencies import AppState, new_event_id
from api.events.native import parse_native_event
from api.events.parsed import Rejection
from api.http.bodies import MAX_DEPTH, MAX_EVENT_BYTES, exceeds_depth
from api.http.json_body import repair_json
from api.http.outage import retry_stale_connection
from api.http.problems import Problem, not_found, unprocessable
from api.routes.run_schemas import RunEntered, RunEntry
from journeys.vocabulary.definition import JourneyDefinition
from policy.reentry import After as ReentryAfter
from policy.reentry import AtMost, Once, Reentry
from profiles.events import SegmentEntered
from profiles.identity.identifiers import IDENTIFIER_TYPES
from profiles.ingest.event_store import IngestStatus
from profiles.ingest.manual_start import (
    EventIdConflict,
    ReentryNotAllowed,
    RunAlreadyActive,
    RunNotStarted,
    start_run_manually,
)
from profiles.state.event_records import IncomingEvent, parse_event


def journey_or_404(app_state: AppState, name: str) -> JourneyDefinition:
    """Return the journey of that name. Raises ``Problem`` 404, which suggests the nearest name."""
    try:
        return app_state.journeys[name]
    except KeyError as error:
        raise not_found(str(error.args[0])) from None


async def start_run(
    app_state: AppState, journey: JourneyDefinition, entry: RunEntry, idempotency_key: str | None
) -> tuple[RunEntered, bool]:
    """Start a run. Return it, and whether an earlier request of the same Idempotency-Key had started it.

    Raises:
        Problem: 409 if the key has a live run or may not enter again. 422 or 413 if the request can start no
            run, 422 if the Idempotency-Key was used with another body. Nothing is written then.
    """
    incoming = _to_event(journey, entry, idempotency_key, app_state.settings.region)
    try:
        # Idempotent by the event's id, so a retry on another connection is safe.
        started = await retry_stale_connection(
            lambda: start_run_manually(app_state.database, journey, incoming, app_state.ingest_rules),
            app_state.database.ping,
        )
    except RunNotStarted as why:
        raise _to_problem(journey, why) from None
    status = IngestStatus.DUPLICATE if started.is_duplicate else IngestStatus.ACCEPTED
    app_state.metrics.events.labels(status.value).inc()
    entered = RunEntered.model_validate({"journey": journey.name, **asdict(started)})
    return entered, started.is_duplicate


def _to_event(
    journey: JourneyDefinition, entry: RunEntry, idempotency_key: str | None, region: str | None
) -> IncomingEvent:
    """Convert a request to its event. Raises ``Problem`` 422 or 413 if it cannot start this journey."""
    raw: dict[str, Any] = {
        **entry.model_dump(include={"identifiers", "properties", "traits", "time"}),
        "id": idempotency_key or new_event_id("by-api"),
        "type": _start_event_name(journey, entry.event),
        "source": f"api/{journey.name}",
    }
    if exceeds_depth(raw):
        raise unprocessable(f"the body nests deeper than the limit of {MAX_DEPTH} objects and lists")
    raw, warnings = repair_json(raw)
    if len(orjson.dumps(raw)) > MAX_EVENT_BYTES:
        raise Problem(413, f"the event is over the limit of {MAX_EVENT_BYTES} bytes")
    if raw["type"] == SegmentEntered.event_name:
        raw["properties"] = _with_segment_name(journey, raw["properties"])
    _, fault = parse_event(raw["type"], raw["properties"], verified=True)
    if fault:
        raise unprocessable(f"the properties do not fit: {fault}", ("/properties", fault))
    event = parse_native_event(raw, now=datetime.now(UTC), source=raw["source"], region=region)
    if isinstance(event, Rejection):
        raise event.to_problem()
    if not event.identifiers:
        # The id of a message names a profile as well, but is not enough to start a run.
        named = [problem for problem in event.problems if problem["pointer"].startswith("/identifiers/")]
        why = f": {named[0]['detail']}" if named else ""
        detail = f"no profile is named{why}; send one of {', '.join(IDENTIFIER_TYPES)}"
        raise unprocessable(detail, (named[0]["pointer"] if named else "/identifiers", detail))
    return replace(event, problems=(*event.problems, *warnings))


def _start_event_name(journey: JourneyDefinition, event_name: str | None) -> str:
    names = sorted(journey.start_names)
    if event_name is None and len(names) == 1:
        return names[0]
    if event_name in journey.start_names:
        return str(event_name)
    starts = f"{journey.name} starts on {', '.join(names)}"
    if event_name is None:
        raise unprocessable(f"event is missing; {starts}", ("/event", f"missing; {starts}"))
    near = difflib.get_close_matches(event_name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    detail = f"no run starts on {event_name[:100]!r}; {starts}{hint}"
    raise unprocessable(detail, ("/event", detail))


def _with_segment_name(journey: JourneyDefinition, properties: dict[str, Any]) -> dict[str, Any]:
    names = [segment.name for segment in journey.segments]
    segment_name = properties.get("segment", names[0] if len(names) == 1 else None)
    if names and segment_name not in names:
        detail = f"properties.segment must be one of {', '.join(names)}; got {str(segment_name)[:100]!r}"
        raise unprocessable(detail, ("/properties/segment", detail))
    return {**properties, "segment": segment_name}


def _to_problem(journey: JourneyDefinition, why: RunNotStarted) -> Problem:
    match why:
        case RunAlreadyActive(run_id=run_id):
            detail = f"{why}; wait for its end, or POST /v1/runs/{run_id}/cancel"
            return Problem(409, detail, run_id=run_id)
        case EventIdConflict(run_id=run_id):
            detail = f"{why}; send another Idempotency-Key with another body"
            # As draft-ietf-httpapi-idempotency-key-header has it.
            return Problem(422, detail, run_id=run_id)
        case ReentryNotAllowed():
            rule, until = _describe_reentry_rule(journey.reentry, why)
            return Problem(409, f"{why}: {rule}", until=until)
    return unprocessable(f"no run starts: {why}")


def _describe_reentry_rule(reentry: Reentry, why: ReentryNotAllowed) -> tuple[str, datetime | None]:
    """Describe the re-entry rule. Return it, and from when another entry is allowed (None: never)."""
    last = max(why.entries, default=why.at)
    match reentry:
        case ReentryAfter(period=period):
            until = last + period
            return f"again {period} after its last entry, so from {until.isoformat()}", until
        case Once():
            return f"a key enters once, and this one did at {last.isoformat()}", None
        case AtMost(times=times):
            return f"a key enters {times} times at most; the last time was {last.isoformat()}", None
    return f"its last entry was {last.isoformat()}", None
