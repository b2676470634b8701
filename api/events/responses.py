"""Responses of the event routes, as docs/reference/events.md describes them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import orjson
from fastapi import Response
from prometheus_client import Counter
from pydantic import BaseModel, Field

from api.events.parsed import EventWarning, Rejection, shorten_warnings
from api.http.problems import Problem
from profiles.ingest.event_store import IngestResult, IngestStatus
from profiles.state.event_records import IncomingEvent


class EventResult(BaseModel):
    """Result of one event."""

    index: int = Field(description="Its place in the request")
    id: str | None = Field(description="The sender's id of the event")
    status: Literal["accepted", "duplicate", "conflict", "rejected"] = Field(
        description="accepted: ingested. duplicate: the same event was ingested before. conflict: an event "
        "of this id with other content was ingested before, and stays. rejected: see code and detail"
    )
    code: str | None = Field(
        default=None, description="Of a rejection: missing, invalid, no_identifier, too_deep…"
    )
    detail: str | None = Field(default=None, description="Of a rejection: the fault, its place and the fix")
    pointer: str | None = Field(default=None, description="Of a rejection: JSON pointer into the event")
    problems: list[dict[str, str]] | None = Field(
        default=None,
        description="What was left out of an ingested event, and why: code (blocked_identifier, "
        "bad_identifier, unknown_identifier_type, unknown_field, bad_time…), pointer, detail",
    )


class EventResults(BaseModel):
    """Results of a request's events, in its order, after COMMIT."""

    success: bool = True
    results: list[EventResult]


def to_response(
    parsed_items: Sequence[IncomingEvent | Rejection],
    stored: Sequence[IngestResult],
    *,
    single: bool = False,
    counter: Counter | None = None,
    problem_counter: Counter | None = None,
) -> Response:
    """Return a 200 with one result per item. Raises ``Problem`` 422 for a single event that was not stored.

    ``parsed_items`` are in the order of the request. ``stored``: ingest results of the events among them,
    in the same order. ``counter`` counts the results by status, ``problem_counter`` the problems of events by
    the label of the sender's key and by code.
    """
    outcomes = iter(stored)
    results = [_to_event_result(index, item, outcomes) for index, item in enumerate(parsed_items)]
    for result in results:
        if counter is not None:
            counter.labels(result["status"]).inc()
        if problem_counter is not None and "problems" in result:
            _count_problems(parsed_items[result["index"]], result, problem_counter)
    if single and results and results[0]["status"] == IngestStatus.REJECTED:
        raise Rejection(results[0]["code"], results[0]["detail"]).to_problem()
    return Response(orjson.dumps({"success": True, "results": results}), media_type="application/json")


def _count_problems(
    item: IncomingEvent | Rejection, result: Mapping[str, Any], problem_counter: Counter
) -> None:
    sender = item.sender if isinstance(item, IncomingEvent) else ""
    for problem in result["problems"]:
        problem_counter.labels(sender, problem.get("code", "other")).inc()


def partly_committed(
    parsed_items: Sequence[IncomingEvent | Rejection],
    stored: Mapping[int, IngestResult],
    counter: Counter,
) -> Problem:
    """Return the 503 of a request of which only some events are known to be written, with their results.

    ``stored``: index among the events that were parsed → ingest result. Not a 200, because clients drop the
    whole batch then. What is written already is a duplicate when it comes again.
    """
    results = []
    events = (index for index, item in enumerate(parsed_items) if isinstance(item, IncomingEvent))
    for number, index in enumerate(events):
        if number in stored:
            results.append(_to_event_result(index, parsed_items[index], iter((stored[number],))))
    for result in results:
        counter.labels(result["status"]).inc()
    written = sum(result["status"] != IngestStatus.REJECTED for result in results)
    return Problem(
        503,
        f"{written} of {len(parsed_items)} events are written, those under results; of the others it is not "
        "known. Send the same again after Retry-After seconds: what is written is a duplicate then",
        headers={"Retry-After": "2"},
        results=results,
    )


def _to_event_result(
    index: int, item: IncomingEvent | Rejection, outcomes: Iterator[IngestResult]
) -> dict[str, Any]:
    if isinstance(item, Rejection):
        reason = {"code": item.code, "detail": item.detail, "pointer": item.pointer}
        return {"index": index, "id": item.id, "status": "rejected", **reason}
    outcome = next(outcomes)
    result: dict[str, Any] = {"index": index, "id": outcome.id, "status": outcome.status.value}
    if outcome.status is IngestStatus.REJECTED:
        return result | {"code": outcome.code, "detail": outcome.detail, "pointer": ""}
    added = (*outcome.out_of_bounds, *outcome.unconfirmed)
    if not added:
        return result | {"problems": list(item.problems)} if item.problems else result
    # The item's own come last: the last of them may count what is not listed.
    problems: Sequence[EventWarning] = (*shorten_warnings(added), *item.problems)
    return result | {"problems": list(problems)}
