"""Routes of "why was this sent, or why not": JSON for admins, and a page for an operator's browser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.dependencies import (
    NOT_FOUND_RESPONSE,
    NamedProfile,
    NamedProfileDep,
    get_app_state,
    require_admin_key,
)
from api.http.keys import Role, key_from_browser_login
from api.http.problems import not_found, problem_responses, unprocessable
from api.pages import page
from api.why.answer import Answer, InvalidInstant, WhyQuery, load_explainer, load_waits
from api.why.reasons import ZONE_SOURCE_TEXTS
from api.why.timeline import Entry
from profiles.views.profile import RunView


@dataclass(frozen=True, slots=True)
class _WhyParams:
    """The query parameters, unparsed."""

    journey: Annotated[str | None, Query(max_length=200, description="Only this journey")] = None
    item: Annotated[
        str | None, Query(max_length=200, description="Only what concerns this item, any variant of it")
    ] = None
    at: Annotated[
        str | None,
        Query(
            max_length=40,
            description="The instant in question: the last decision at or before it, and what held then; "
            "RFC 3339, without an offset in the profile's time zone",
        ),
    ] = None


WhyParamsDep = Annotated[_WhyParams, Depends()]

router = APIRouter(
    prefix="/v1/profiles/{type}",
    tags=["People"],
    dependencies=[Depends(require_admin_key)],
    responses={**NOT_FOUND_RESPONSE, **problem_responses({422: "at is no time"})},
)


@router.get("/{value:path}/why")
async def read_why(profile: NamedProfileDep, params: WhyParamsDep) -> Answer:
    """Why a message was or was not sent: one sentence, the decision it is about, the facts behind that
    decision, and everything that happened, in order.
    """
    answer, _ = await _load_answer(profile, params)
    return answer


def _require_admin_unless_local(request: Request) -> None:
    """Require an admin key, sent as the password of a browser login. A local stack requires none."""
    if not get_app_state(request).settings.waypost_local:
        get_app_state(request).keys.authorize(key_from_browser_login(request), Role.ADMIN)


page_router = APIRouter(
    prefix="/why", tags=["Operation"], dependencies=[Depends(_require_admin_unless_local)]
)


@page_router.get("/{type}/{value:path}")
async def show_why(profile: NamedProfileDep, params: WhyParamsDep) -> Response:
    """The same answer as a page."""
    answer, runs = await _load_answer(profile, params)
    temporal = profile.app_state.temporal
    links = {
        run.run_id: link for run in runs if (link := temporal.ui_url(run.workflow_id, run.temporal_run_id))
    }
    verdict = answer.decision.verdict if answer.decision else "none"
    return page(
        "why.html",
        style="why.css",
        person=answer.person,
        sentence=answer.sentence,
        verdict=verdict,
        verdict_label=_VERDICT_LABELS.get(verdict, "Nothing decided"),
        facts=[{"kind": fact.kind, "text": fact.text} for fact in answer.facts],
        journeys=sorted({run.journey for run in runs} | ({params.journey} if params.journey else set())),
        journey=params.journey or None,
        item=params.item or "",
        at=params.at or "",
        zone=answer.zone,
        zone_source=ZONE_SOURCE_TEXTS.get(answer.zone_source, answer.zone_source),
        is_cut=answer.is_cut,
        days=_group_by_day(answer.timeline, links),
    )


async def _load_answer(profile: NamedProfile, params: _WhyParams) -> tuple[Answer, tuple[RunView, ...]]:
    app_state, asked = profile.app_state, WhyQuery(params.journey or None, params.item or None)
    limits, zone = app_state.limits, app_state.settings.default_timezone
    try:
        loaded = await profile.read(
            lambda connection, profile_id: load_explainer(
                connection, profile_id, asked, params.at, limits, zone
            )
        )
    except InvalidInstant as error:
        raise unprocessable(f"at: {error}", ("at", str(error))) from None
    if loaded is None:
        raise not_found(f"no profile has this {profile.type} any more")
    explainer, query = loaded
    waits = await load_waits(app_state.temporal, explainer.runs_to_query(query))
    return explainer.answer(query, waits), explainer.account.runs


_KIND_LABELS = {
    "event": "Event",
    "run": "Run",
    "decision": "Decision",
    "message": "Message",
    "consent": "Consent",
    "identity": "Identity",
}

_VERDICT_LABELS = {"allow": "Allowed", "withhold": "Withheld", "defer": "Put off"}


def _group_by_day(entries: Sequence[Entry], links: Mapping[UUID, str]) -> list[dict[str, object]]:
    days: dict[str, list[dict[str, object]]] = {}
    for entry in entries:
        day, _, clock = entry.local.partition(" at ")
        days.setdefault(day, []).append(_entry_view(entry, clock, links))
    return [{"title": day, "entries": lines} for day, lines in days.items()]


def _entry_view(entry: Entry, clock: str, links: Mapping[UUID, str]) -> dict[str, object]:
    link = links.get(entry.run_id) if entry.run_id and entry.kind in ("run", "decision") else None
    failed = sum(not check.passed for check in entry.checks)
    outcome = f"{failed} did not pass" if failed else "all passed"
    return {
        "kind": entry.kind,
        "verdict": entry.verdict,
        "label": _VERDICT_LABELS.get(entry.verdict or "", _KIND_LABELS[entry.kind]),
        "instant": entry.at.isoformat(),
        "clock": clock,
        "text": entry.text,
        "problems": entry.problems or None,
        "checks": [
            {"name": check.name.replace("_", " "), "passed": check.passed, "detail": check.detail}
            for check in entry.checks
        ],
        "checks_summary": f"{len(entry.checks)} checks, {outcome}",
        "checks_subject": entry.text.partition(":")[0],
        "link": link,
    }
