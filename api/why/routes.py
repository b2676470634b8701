"""Why somebody got a message, or did not: as JSON for admins, and as a page for an operator's browser."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.dependencies import Doors, Kind, Open, Value, admin, doors, whom
from api.http.keys import Role, browser_key
from api.http.outage import reading
from api.http.problems import ProblemDetails, not_found, unprocessable
from api.pages import page
from api.why.answer import Answer, Asked, Teller, first_line, instant, teller_of
from api.why.reasons import ZONE_FROM
from api.why.timeline import Entry
from profiles.views import decision_evidence
from profiles.views.profile import RunView

MOST_ASKED = 5
"""Runs that are asked what they wait for."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, as it came."""

    journey: str | None
    item: str | None
    at: str | None


def _question(
    journey: Annotated[str | None, Query(max_length=200, description="Only this journey")] = None,
    item: Annotated[
        str | None, Query(max_length=200, description="Only what concerns this item, any variant of it")
    ] = None,
    at: Annotated[
        str | None,
        Query(
            max_length=40,
            description="The moment asked about: the last verdict at or before it, and what held then; "
            "RFC 3339, without an offset by the person's clock",
        ),
    ] = None,
) -> _Question:
    return _Question(journey or None, item or None, at or None)


Question = Annotated[_Question, Depends(_question)]

router = APIRouter(
    prefix="/v1/profiles/{type}",
    tags=["People"],
    dependencies=[Depends(admin)],
    responses={
        404: {"model": ProblemDetails, "description": "Nobody has this identifier"},
        422: {"model": ProblemDetails, "description": "at is no time"},
    },
)


@router.get("/{value:path}/why")
async def read_why(kind: Kind, value: Value, doors: Open, question: Question) -> Answer:
    """Why somebody was sent a message, or was not: one sentence, the verdict it is about, the facts that this
    stood on, and everything that happened, in order."""
    found, _ = await _answer(doors, kind, value, question)
    return found


def _may_look(request: Request) -> None:
    """On a local stack anybody; elsewhere admins, whose browser asks for the key as a password."""
    if not doors(request).settings.waypost_local:
        doors(request).keys.admit(browser_key(request), Role.ADMIN)


pages = APIRouter(prefix="/why", tags=["Operation"], dependencies=[Depends(_may_look)])


@pages.get("/{type}/{value:path}")
async def show_why(kind: Kind, value: Value, doors: Open, question: Question) -> Response:
    """The same as a page."""
    found, runs = await _answer(doors, kind, value, question)
    links = {
        run.run_id: link for run in runs if (link := doors.engine.link(run.workflow_id, run.temporal_run_id))
    }
    return sheet(found, Asked(question.journey, question.item), at=question.at, runs=runs, links=links)


async def _answer(
    doors: Doors, kind: str, value: str, question: _Question
) -> tuple[Answer, tuple[RunView, ...]]:
    async def read(connection: Any) -> tuple[Teller, Asked]:
        profile_id = await whom(connection, doors, kind, value)
        account = await decision_evidence.read(connection, profile_id, journey=question.journey)
        if account is None:
            raise not_found(f"nobody has this {kind} any more")
        teller = teller_of(account, doors.limits, doors.settings.default_timezone)
        at = _instant(question.at, teller.zone.zone)
        if at is not None and account.cut:
            # Of some kind there is more than was read: read again, up to the moment that is asked about.
            account = (
                await decision_evidence.read(connection, profile_id, journey=question.journey, until=at)
                or account
            )
        teller = teller_of(account, doors.limits, doors.settings.default_timezone)
        return teller, Asked(question.journey, question.item, at)

    teller, asked = await reading(doors.database, read)
    waits = await _waits(doors, teller.waiting_runs(asked))
    return teller.answer(asked, waits), teller.account.runs


def _instant(text: str | None, zone: str) -> datetime | None:
    try:
        return instant(text, zone) if text else None
    except ValueError as error:
        raise unprocessable(f"at: {error}", ("at", str(error))) from None


async def _waits(doors: Doors, runs: list[RunView]) -> dict[UUID, str]:
    asked = [run for run in runs if run.state == "running"][-MOST_ASKED:]
    found = await asyncio.gather(
        *(doors.engine.waiting(run.workflow_id, run.temporal_run_id) for run in asked)
    )
    return {run.run_id: first_line(one.details) for run, one in zip(asked, found, strict=True)}


_KINDS = {
    "event": "Event",
    "run": "Run",
    "decision": "Decision",
    "message": "Message",
    "consent": "Consent",
    "identity": "Identity",
}

_VERDICTS = {"allow": "Allowed", "withhold": "Withheld", "defer": "Put off"}


def sheet(
    answer: Answer,
    asked: Asked,
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
        verdict_label=_VERDICTS.get(verdict, "Nothing decided"),
        facts=[{"kind": fact.kind, "text": fact.text} for fact in answer.facts],
        journeys=sorted({run.journey for run in runs} | ({asked.journey} if asked.journey else set())),
        journey=asked.journey,
        item=asked.item or "",
        at=at or "",
        zone=answer.zone,
        zone_source=ZONE_FROM.get(answer.zone_source, answer.zone_source),
        is_cut=answer.is_cut,
        days=_days(answer.timeline, links),
    )


def _days(entries: Sequence[Entry], links: Mapping[UUID, str]) -> list[dict[str, object]]:
    days: dict[str, list[dict[str, object]]] = {}
    for entry in entries:
        day, _, clock = entry.local.partition(" at ")
        days.setdefault(day, []).append(_entry(entry, clock, links))
    return [{"title": day, "entries": lines} for day, lines in days.items()]


def _entry(entry: Entry, clock: str, links: Mapping[UUID, str]) -> dict[str, object]:
    link = links.get(entry.run_id) if entry.run_id and entry.kind in ("run", "decision") else None
    failed = sum(not check.passed for check in entry.checks)
    return {
        "kind": entry.kind,
        "verdict": entry.verdict,
        "label": _VERDICTS[entry.verdict] if entry.verdict in _VERDICTS else _KINDS[entry.kind],
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
