"""Routes of "why was this sent, or why not": JSON for admins, and a page for an operator's browser."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.dependencies import (
    AppState,
    AppStateDep,
    IdentifierTypeParam,
    IdentifierValueParam,
    get_app_state,
    profile_id_or_404,
    require_admin_key,
)
from api.http.keys import Role, key_from_browser_login
from api.http.outage import run_read
from api.http.problems import ProblemDetails, not_found, unprocessable
from api.pages import page
from api.why.answer import Answer, Explainer, WhyQuery, create_explainer, first_line_of_details, parse_instant
from api.why.reasons import ZONE_SOURCE_TEXTS
from api.why.timeline import Entry
from profiles.views import decision_evidence
from profiles.views.profile import RunView

MAX_QUERIED_RUNS = 5
"""Most runs that are queried for what they wait for."""


@dataclass(frozen=True, slots=True)
class _WhyParams:
    """The query parameters, unparsed."""

    journey: str | None
    item: str | None
    at: str | None


def _why_params(
    journey: Annotated[str | None, Query(max_length=200, description="Only this journey")] = None,
    item: Annotated[
        str | None, Query(max_length=200, description="Only what concerns this item, any variant of it")
    ] = None,
    at: Annotated[
        str | None,
        Query(
            max_length=40,
            description="The instant in question: the last decision at or before it, and what held then; "
            "RFC 3339, without an offset in the profile's time zone",
        ),
    ] = None,
) -> _WhyParams:
    return _WhyParams(journey or None, item or None, at or None)


WhyParamsDep = Annotated[_WhyParams, Depends(_why_params)]

router = APIRouter(
    prefix="/v1/profiles/{type}",
    tags=["People"],
    dependencies=[Depends(require_admin_key)],
    responses={
        404: {"model": ProblemDetails, "description": "No profile has this identifier"},
        422: {"model": ProblemDetails, "description": "at is no time"},
    },
)


@router.get("/{value:path}/why")
async def read_why(
    kind: IdentifierTypeParam, value: IdentifierValueParam, app_state: AppStateDep, question: WhyParamsDep
) -> Answer:
    """Why a message was or was not sent: one sentence, the decision it is about, the facts behind that
    decision, and everything that happened, in order.
    """
    answer, _ = await _load_answer(app_state, kind, value, question)
    return answer


def _require_admin_unless_local(request: Request) -> None:
    """Require an admin key, sent as the password of a browser login. A local stack requires none."""
    if not get_app_state(request).settings.waypost_local:
        get_app_state(request).keys.authorize(key_from_browser_login(request), Role.ADMIN)


page_router = APIRouter(
    prefix="/why", tags=["Operation"], dependencies=[Depends(_require_admin_unless_local)]
)


@page_router.get("/{type}/{value:path}")
async def show_why(
    kind: IdentifierTypeParam, value: IdentifierValueParam, app_state: AppStateDep, question: WhyParamsDep
) -> Response:
    """The same answer as a page."""
    answer, runs = await _load_answer(app_state, kind, value, question)
    links = {
        run.run_id: link
        for run in runs
        if (link := app_state.temporal.ui_url(run.workflow_id, run.temporal_run_id))
    }
    return why_page(answer, WhyQuery(question.journey, question.item), at=question.at, runs=runs, links=links)


async def _load_answer(
    app_state: AppState, kind: str, value: str, question: _WhyParams
) -> tuple[Answer, tuple[RunView, ...]]:
    async def read(connection: Any) -> tuple[Explainer, WhyQuery]:
        profile_id = await profile_id_or_404(connection, app_state, kind, value)
        account = await decision_evidence.load_decision_evidence(
            connection, profile_id, journey=question.journey
        )
        if account is None:
            raise not_found(f"no profile has this {kind} any more")
        explainer = create_explainer(account, app_state.limits, app_state.settings.default_timezone)
        at = _parse_at(question.at, explainer.zone.zone)
        if at is not None and account.truncated:
            # Not all rows were read: read again, up to the instant in question.
            account = (
                await decision_evidence.load_decision_evidence(
                    connection, profile_id, journey=question.journey, until=at
                )
                or account
            )
        explainer = create_explainer(account, app_state.limits, app_state.settings.default_timezone)
        return explainer, WhyQuery(question.journey, question.item, at)

    explainer, query = await run_read(app_state.database, read)
    waits = await _query_waits(app_state, explainer.runs_to_query(query))
    return explainer.answer(query, waits), explainer.account.runs


def _parse_at(text: str | None, zone: str) -> datetime | None:
    try:
        return parse_instant(text, zone) if text else None
    except ValueError as error:
        raise unprocessable(f"at: {error}", ("at", str(error))) from None


async def _query_waits(app_state: AppState, runs: list[RunView]) -> dict[UUID, str]:
    queried = [run for run in runs if run.state == "running"][-MAX_QUERIED_RUNS:]
    states = await asyncio.gather(
        *(app_state.temporal.load_pending_wait(run.workflow_id, run.temporal_run_id) for run in queried)
    )
    return {
        run.run_id: first_line_of_details(state.details) for run, state in zip(queried, states, strict=True)
    }


_KIND_LABELS = {
    "event": "Event",
    "run": "Run",
    "decision": "Decision",
    "message": "Message",
    "consent": "Consent",
    "identity": "Identity",
}

_VERDICT_LABELS = {"allow": "Allowed", "withhold": "Withheld", "defer": "Put off"}


def why_page(
    answer: Answer,
    asked: WhyQuery,
    *,
    at: str | None,
    runs: Sequence[RunView],
    links: Mapping[UUID, str],
) -> Response:
    """Render the page. ``links``: run → its page in the Temporal UI."""
    verdict = answer.decision.verdict if answer.decision else "none"
    return page(
        "why.html",
        style="why.css",
        person=answer.person,
        sentence=answer.sentence,
        verdict=verdict,
        verdict_label=_VERDICT_LABELS.get(verdict, "Nothing decided"),
        facts=[{"kind": fact.kind, "text": fact.text} for fact in answer.facts],
        journeys=sorted({run.journey for run in runs} | ({asked.journey} if asked.journey else set())),
        journey=asked.journey,
        item=asked.item or "",
        at=at or "",
        zone=answer.zone,
        zone_source=ZONE_SOURCE_TEXTS.get(answer.zone_source, answer.zone_source),
        is_cut=answer.is_cut,
        days=_group_by_day(answer.timeline, links),
    )


def _group_by_day(entries: Sequence[Entry], links: Mapping[UUID, str]) -> list[dict[str, object]]:
    days: dict[str, list[dict[str, object]]] = {}
    for entry in entries:
        day, _, clock = entry.local.partition(" at ")
        days.setdefault(day, []).append(_entry_view(entry, clock, links))
    return [{"title": day, "entries": lines} for day, lines in days.items()]


def _entry_view(entry: Entry, clock: str, links: Mapping[UUID, str]) -> dict[str, object]:
    link = links.get(entry.run_id) if entry.run_id and entry.kind in ("run", "decision") else None
    failed = sum(not check.passed for check in entry.checks)
    return {
        "kind": entry.kind,
        "verdict": entry.verdict,
        "label": _VERDICT_LABELS[entry.verdict]
        if entry.verdict in _VERDICT_LABELS
        else _KIND_LABELS[entry.kind],
        "instant": entry.at.isoformat(),
        "clock": clock,
        "text": entry.text,
        "problems": entry.problems or None,
        "checks": [
            {"name": check.name.replace("_", " "), "passed": check.passed, "detail": check.detail}
            for check in entry.checks
        ],
        "checks_summary": f"{len(entry.checks)} checks, "
        + (f"{failed} did not pass" if failed else "all passed"),
        "checks_subject": entry.text.partition(":")[0],
        "link": link or None,
    }
