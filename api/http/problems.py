"""Error responses as application/problem+json (RFC 9457), with the fault, its place and the fix."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import asyncpg
import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.http.outage import Outage, is_outage
from api.pages import page
from profiles.error_description import describe_error, mark_logged

log = structlog.get_logger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"

_PAGE_SEGMENTS = frozenset({"why", "sandbox"})
"""First path segments of the pages for operators; their errors are pages too."""

_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""Titles of RFC 9110 for which ``HTTPStatus`` has older ones before Python 3.13."""


class FieldFault(BaseModel):
    """One field and what is wrong with it."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or the parameter's name")
    detail: str = Field(description="What was expected, what came, what to do")


class ProblemDetails(BaseModel):
    """A refusal (RFC 9457)."""

    type: str = Field(default="about:blank")
    title: str
    status: int
    detail: str = Field(description="What to do about it")
    errors: list[FieldFault] = Field(default_factory=list, description="Faults of single fields")


Responses = dict[int | str, dict[str, Any]]
"""OpenAPI documentation of a route's responses, by status."""


def problem_responses(descriptions: Mapping[int, str]) -> Responses:
    """Return the documentation of problems: status → description."""
    return {status: {"model": ProblemDetails, "description": text} for status, text in descriptions.items()}


class Problem(Exception):
    """An exception that a route raises to answer with problem+json."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.title = _TITLES.get(status) or HTTPStatus(status).phrase
        self.errors, self.headers, self.extensions = tuple(errors), dict(headers or {}), more

    def to_response(self) -> Response:
        """Return the HTTP response."""
        body: dict[str, Any] = {"type": "about:blank", "title": self.title}
        body |= {"status": self.status, "detail": self.detail}
        if self.errors:
            body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in self.errors]
        return Response(
            orjson.dumps(body | self.extensions, default=str),
            self.status,
            self.headers,
            media_type=PROBLEM_MEDIA_TYPE,
        )


def not_found(detail: str) -> Problem:
    """Return a 404."""
    return Problem(404, detail)


def unprocessable(detail: str, *errors: tuple[str, str]) -> Problem:
    """Return a 422. Without ``errors`` it concerns the body as a whole."""
    return Problem(422, detail, errors=errors)


def overloaded(retry_after_s: int = 1) -> Problem:
    """Return the 429 of a full ingest queue. ``retry_after_s``: whole seconds until there is room."""
    return Problem(
        429,
        "too many events are waiting here, and nothing of this request was written; "
        "send it again after Retry-After seconds",
        headers={"Retry-After": str(retry_after_s)},
    )


def register_problem_handlers(app: FastAPI) -> None:
    """Register handlers that answer every error of ``app`` with problem+json."""
    app.add_exception_handler(Problem, _handle_problem)
    app.add_exception_handler(Outage, _handle_outage)
    app.add_exception_handler(asyncpg.PostgresError, _handle_postgres_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(ClientDisconnect, _handle_client_disconnect)
    app.add_exception_handler(Exception, _handle_unexpected_error)


def _respond(request: Request, problem: Problem) -> Response:
    """Return the response: a page if a browser shows one of Waypost's pages, else problem+json."""
    first_segment = request.url.path.strip("/").split("/")[0]
    if first_segment not in _PAGE_SEGMENTS or "text/html" not in request.headers.get("accept", ""):
        return problem.to_response()
    response = page(
        "notice.html",
        status=problem.status,
        title=problem.title,
        headline=problem.title,
        explanation=f"{problem.detail[:1].upper()}{problem.detail[1:]}".rstrip(".") + ".",
    )
    response.headers.update(problem.headers)
    return response


async def _handle_problem(request: Request, error: Exception) -> Response:
    return _respond(request, cast(Problem, error))


async def _handle_client_disconnect(request: Request, _: Exception) -> Response:
    # No error: a page was closed, or a phone lost its network. The answer reaches no client.
    log.debug("client_left", route=_route_of(request))
    return Problem(400, "the connection was closed before the body was complete; send it again").to_response()


async def _handle_outage(request: Request, error: Exception) -> Response:
    log.warning("postgres_away", route=_route_of(request), error=_outage_text(error))
    # Work that has begun may be committed although its answer was lost.
    again = "send the same again after Retry-After seconds"
    detail = (
        f"Postgres does not answer, and this request may have been written or not; {again}: that is safe, "
        "what is written takes effect once"
        if getattr(error, "may_be_written", True)
        else f"Postgres does not answer, and nothing of this request was written; {again}"
    )
    return _respond(request, Problem(503, detail, headers={"Retry-After": "2"}))


def _route_of(request: Request) -> str:
    """Return the route's pattern. The path itself holds identifiers of customers."""
    return str(getattr(request.scope.get("route"), "path", "")) or "none"


def _outage_text(error: Exception) -> str:
    return str(error) if isinstance(error, Outage) else describe_error(error)


async def _handle_postgres_error(request: Request, error: Exception) -> Response:
    if is_outage(error):
        return await _handle_outage(request, error)
    if not isinstance(error, asyncpg.DataError):
        return await _handle_unexpected_error(request, error)
    detail = f"Postgres cannot take a value of this request: {error}; correct it and send the request again"
    return _respond(request, unprocessable(detail))


async def _handle_http_exception(request: Request, raised: Exception) -> Response:
    error = cast(HTTPException, raised)
    detail = str(error.detail)
    if error.status_code == 404:
        detail = "there is nothing under this path; /docs lists what there is"
    elif error.status_code == 405:
        return _respond(request, _method_not_allowed(request, error))
    elif error.status_code == 400 and detail == _UNREADABLE_BODY:
        detail = f"the body cannot be read as JSON: it is not UTF-8; {_SEND_JSON}"
        return _respond(request, Problem(400, detail, errors=[("", detail)]))
    return _respond(request, Problem(error.status_code, detail, headers=error.headers))


_UNREADABLE_BODY = "There was an error parsing the body"
"""FastAPI's text for a body that it cannot decode."""

_SEND_JSON = "send one JSON object, in UTF-8"


def _method_not_allowed(request: Request, error: HTTPException) -> Problem:
    allowed = [name.strip() for name in (error.headers or {}).get("Allow", "").split(",") if name.strip()]
    if "GET" in allowed and "HEAD" not in allowed:
        allowed.append("HEAD")
    method = request.scope.get(METHOD_AS_SENT, request.method)
    detail = f"{method} is not possible here; allowed: {', '.join(allowed) or 'see /docs'}"
    return Problem(405, detail, headers={"Allow": ", ".join(allowed)} if allowed else None)


METHOD_AS_SENT = "waypost.method"
"""Key in the scope of a request that is answered as another method: the method that its sender used."""


async def _handle_validation_error(request: Request, error: Exception) -> Response:
    raised = cast(RequestValidationError, error)
    faults = [fault for each in raised.errors() for fault in _field_faults(request, each)]
    summary = "; ".join(f"{place or 'the body'}: {message}" for place, message in faults[:5])
    detail = f"{summary}; correct this and send the request again"
    return _respond(request, unprocessable(detail, *faults))


def _field_faults(request: Request, fault: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (JSON pointer or name of the parameter, what is wrong) of one of FastAPI's errors."""
    loc, kind = fault["loc"], fault["type"]
    is_body = bool(loc) and loc[0] == "body"
    if kind == "json_invalid":
        reason = (fault.get("ctx") or {}).get("error", "")
        return [("", f"it cannot be read as JSON at character {loc[-1]} ({reason}); {_SEND_JSON}")]
    if is_body and len(loc) == 1 and kind in ("missing", "model_attributes_type", "model_type"):
        came = "nothing came" if kind == "missing" else f"got {_json_type(fault.get('input'))}"
        required = [(json_pointer((name,)), "is missing") for name in _required_fields(request)]
        return [("", f"expected a JSON object, {came}; {_SEND_JSON}"), *required]
    text = {
        "missing": "is missing",
        "extra_forbidden": "is no field of this request; leave it out",
    }.get(kind, str(fault["msg"]))
    return [(_error_location(loc), text)]


def _required_fields(request: Request) -> list[str]:
    """Return the fields that the body of the request's route must have, as they are written in JSON."""
    parameters = getattr(getattr(request.scope.get("route"), "dependant", None), "body_params", ())
    models = [getattr(parameter.field_info, "annotation", None) for parameter in parameters]
    return [
        field.alias or name
        for model in models
        if isinstance(model, type) and issubclass(model, BaseModel)
        for name, field in model.model_fields.items()
        if field.is_required()
    ]


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case list():
            return "a list"
        case str():
            return "a text"
        case _:
            return "a number"


def _error_location(loc: Sequence[int | str]) -> str:
    """Return a JSON pointer for a body field, the name for a parameter."""
    if loc and loc[0] == "body":
        return json_pointer(loc[1:])
    return str(loc[-1]) if loc else ""


async def _handle_unexpected_error(request: Request, error: Exception) -> Response:
    log.error("unexpected", route=_route_of(request), error=type(error).__name__, exc_info=error)
    mark_logged(error)
    return _respond(request, Problem(500, "this is a fault of Waypost's; its log has the details"))


def json_pointer(loc: Sequence[int | str]) -> str:
    """Return the JSON pointer (RFC 6901) of a location."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in loc)
