"""Renders the answer to "why" as a page: the sentence, what it stood on, and the person's timeline."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from fastapi import Response

from api.pages import Markup, fill, page
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
    """The page. ``links``: run → its page in the Temporal UI."""
    verdict = answer.decision.verdict if answer.decision else "none"
    body = fill(
        "why.html",
        person=answer.person,
        sentence=answer.sentence,
        verdict=verdict,
        verdict_word=_VERDICTS.get(verdict, "Nothing decided"),
        facts=_facts(answer),
        journeys=_journeys(runs, asked.journey),
        item=asked.item or "",
        at=at or "",
        days=_days(answer.timeline, links) or fill("why_nothing.html"),
        zone=answer.zone,
        zone_from=ZONE_FROM.get(answer.zone_source, answer.zone_source),
        cut="There is more on file; narrow it by a moment." if answer.is_cut else "",
    )
    return page(f"Why: {answer.person}", body, style="why.css")


def _facts(answer: Answer) -> Markup:
    rows = [fill("why_fact.html", kind=fact.kind, text=fact.text) for fact in answer.facts]
    return fill("why_facts.html", rows=Markup("".join(rows))) if rows else Markup("")


def _journeys(runs: Sequence[RunView], chosen: str | None) -> Markup:
    names = sorted({run.journey for run in runs} | ({chosen} if chosen else set()))
    return Markup(
        "".join(
            fill("why_option.html", name=name, selected="selected" if name == chosen else "")
            for name in names
        )
    )


def _days(entries: Sequence[Entry], links: Mapping[UUID, str]) -> Markup:
    days: dict[str, list[Markup]] = {}
    for entry in entries:
        day, _, clock = entry.local.partition(" at ")
        days.setdefault(day, []).append(_entry(entry, clock, links))
    return Markup(
        "".join(fill("why_day.html", day=day, entries=Markup("".join(rows))) for day, rows in days.items())
    )


def _entry(entry: Entry, clock: str, links: Mapping[UUID, str]) -> Markup:
    link = links.get(entry.run_id) if entry.run_id and entry.kind in ("run", "decision") else None
    problems = fill("why_problems.html", problems=entry.problems) if entry.problems else Markup("")
    return fill(
        "why_entry.html",
        kind=entry.kind,
        verdict=entry.verdict or "",
        label=_VERDICTS[entry.verdict] if entry.verdict in _VERDICTS else _KINDS[entry.kind],
        instant=entry.at.isoformat(),
        clock=clock,
        text=entry.text,
        more=Markup(problems + _checks(entry)),
        link=fill("why_link.html", href=link) if link else Markup(""),
    )


def _checks(entry: Entry) -> Markup:
    if not entry.checks:
        return Markup("")
    rows = [
        fill(
            "why_check.html",
            name=check.name.replace("_", " "),
            passed="passed" if check.passed else "failed",
            word="passed" if check.passed else "did not pass",
            detail=check.detail,
        )
        for check in entry.checks
    ]
    failed = sum(not check.passed for check in entry.checks)
    return fill(
        "why_checks.html",
        said=f"{len(rows)} checks" + (f", {failed} did not pass" if failed else ", all passed"),
        caption=entry.text.partition(":")[0],
        rows=Markup("".join(rows)),
    )
