"""The answer for one event or many, as the HTTP contract has it."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import orjson
from fastapi import Response
from prometheus_client import Counter
from pydantic import BaseModel, Field

from api.events.parsed import EventWarning, Rejection
from profiles.ingest.event_store import IngestResult, IngestStatus
from profiles.state.event_records import IncomingEvent


class EventResult(BaseModel):
    """What became of one event."""

    index: int = Field(description="Its place in the request")
    id: str | None = Field(description="The channel's own id of it")
    status: Literal["accepted", "duplicate", "conflict", "rejected"] = Field(
        description="accepted: taken in. duplicate: the same was taken in before. conflict: the id came "
        "before with other content, which stands. rejected: not taken in, see code and detail"
    )
    code: str | None = Field(
        default=None, description="Of a rejection: missing, invalid, no_identifier, too_deep…"
    )
    detail: str | None = Field(
        default=None, description="Of a rejection: what was wrong, where, and what to do"
    )
    pointer: str | None = Field(default=None, description="Of a rejection: JSON pointer into the event")
    problems: list[dict[str, str]] | None = Field(
        default=None,
        description="What was left out of an event that was taken in, and why: code (blocked_identifier, "
        "bad_identifier, unknown_identifier_type, unknown_field, bad_time…), pointer, detail",
    )


class EventResults(BaseModel):
    """What became of a request's events, in its order. Committed."""

    success: bool = True
    results: list[EventResult]


def to_response(
    heard: Sequence[IncomingEvent | Rejection],
    stored: Sequence[IngestResult],
    *,
    single: bool = False,
    counter: Counter | None = None,
) -> Response:
    """200 with one result an event; a single event that could not be stored raises ``Problem`` 422.

    ``stored``: what ingest said of the events among ``heard``, in their order.
    """
    outcomes = iter(stored)
    results = [_to_event_result(index, one, outcomes) for index, one in enumerate(heard)]
    for result in results:
        if counter is not None:
            counter.labels(result["status"]).inc()
    if single and results and results[0]["status"] == IngestStatus.REJECTED:
        raise Rejection("not_stored", results[0]["detail"]).to_problem()
    return Response(orjson.dumps({"success": True, "results": results}), media_type="application/json")


def _to_event_result(
    index: int, heard: IncomingEvent | Rejection, outcomes: Iterator[IngestResult]
) -> dict[str, Any]:
    if isinstance(heard, Rejection):
        return {
            "index": index,
            "id": heard.id,
            "status": "rejected",
            "code": heard.code,
            "detail": heard.detail,
            "pointer": heard.pointer,
        }
    outcome = next(outcomes)
    result: dict[str, Any] = {"index": index, "id": outcome.id, "status": outcome.status.value}
    if outcome.status is IngestStatus.REJECTED:
        return result | {"code": "not_stored", "detail": outcome.detail, "pointer": ""}
    problems: Sequence[EventWarning] = heard.problems
    return result | {"problems": list(problems)} if problems else result
