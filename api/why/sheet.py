"""Renders the answer to "why" as a page: the sentence, the facts, and the person's timeline."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from fastapi import Response

from api.pages import page
from api.why.answer import Answer, Asked
from api.why.phrases import ZONE_FROM
from api.why.timeline import Entry
from profiles.people import RunView

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
