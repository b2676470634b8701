"""The answer to why a message was or was not sent: decision, sentence, facts and timeline."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from api.temporal import TemporalGateway
from api.why.evidence import DecisionCase
from api.why.facts import Fact, collect_facts, suppression_facts
from api.why.sentences import explain_decision
from api.why.timeline import Entry, build_timeline
from api.why.wording import (
    format_instant,
    format_items,
    join_words,
    localise_run_details,
    person_name,
    to_plain_text,
)
from policy.hours.time_zones import ResolvedZone, resolve_zone, zone_info
from policy.limits import Limits
from profiles.views.decision_evidence import DecisionEvidence, load_decision_evidence
from profiles.views.history import DecisionView
from profiles.views.profile import RunView

MAX_TIMELINE_ENTRIES = 400
"""Most entries of a timeline; the newest are kept."""

MAX_QUERIED_RUNS = 5
"""Most runs that are queried for what they wait for."""


class InvalidInstant(ValueError):
    """A text is not an instant. The message says what was expected."""


@dataclass(frozen=True, slots=True)
class WhyQuery:
    """A question about one profile."""

    journey: str | None = None
    item: str | None = None
    """A product id or sku; matches every variant of the product."""
    at: datetime | None = None
    """The instant in question; None: now."""


@dataclass(frozen=True, slots=True)
class ToldDecision(DecisionView):
    """A decision of the gate with its explanation in one sentence."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer: one sentence, the decision, its facts, and the timeline."""

    sentence: str
    decision: ToldDecision | None
    """The decision of the sentence: the last that matches, at or before the instant in question."""
    facts: list[Fact]
    """Facts behind the decision, and the items suppressed at the instant."""
    timeline: list[Entry]
    """Oldest first; at most the newest 400 entries."""
    profile_id: UUID
    person: str
    zone: str
    """Time zone of all local times."""
    zone_source: str
    is_cut: bool
    """Whether only a part of the stored rows was read or is shown."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains the decisions about one profile, with the shop's limits and default zone. Pure."""

    account: DecisionEvidence
    limits: Limits
    default_zone: str = "UTC"

    @property
    def zone(self) -> ResolvedZone:
        """The profile's time zone."""
        profile = self.account.profile
        return resolve_zone(profile.timezone, profile.context_timezone, profile.phone, self.default_zone)

    def to_case(self, decision: DecisionView) -> DecisionCase:
        """Return a decision with the evidence for it."""
        return DecisionCase(self.account, decision, self.zone.zone, self.zone.source, self.limits)

    def explain(self, decision: DecisionView) -> ToldDecision:
        """Return a decision with its sentence."""
        return ToldDecision(**asdict(decision), sentence=explain_decision(self.to_case(decision)))

    def matching_decisions(self, asked: WhyQuery) -> list[DecisionView]:
        """Return the decisions that match a query, oldest first."""
        keys = self._product_variants(asked.item)
        return [
            decision
            for decision in self.account.decisions
            if asked.journey in (None, decision.journey)
            and (asked.at is None or decision.at <= asked.at)
            and (not keys or keys.intersection((*decision.items, *decision.items_removed)))
        ]

    def runs_to_query(self, asked: WhyQuery) -> list[RunView]:
        """Return the live runs to query for what they wait for; none if a decision matches.

        With an item, only runs about it: it is in their cart, or in the event that started them.
        """
        if self.matching_decisions(asked):
            return []
        keys = self._product_variants(asked.item)
        return [
            run
            for run in self.account.runs
            if run.state != "ended"
            and asked.journey in (None, run.journey)
            and (not keys or self._is_about(run, keys))
        ]

    def _is_about(self, run: RunView, keys: frozenset[str]) -> bool:
        """Return whether the last event about one of these items left it in the run."""
        started_by = self.account.entry_events.get(run.run_id)
        last = None
        for event in self.account.events.values():
            is_of_run = event.event_id == started_by or (event.cart_id and event.cart_id == run.key)
            if is_of_run and keys.intersection(event.keys):
                last = event
        return last is not None and last.type != "Product Removed"

    def answer(self, asked: WhyQuery, waits: Mapping[UUID, str] | None = None) -> Answer:
        """Return the answer to a query. ``waits``: run of ``runs_to_query`` → what it waits for, in words."""
        zone, decisions = self.zone, self.matching_decisions(asked)
        chosen = max(decisions, key=_recency_key, default=None)
        instant = asked.at or (chosen.at if chosen else None)
        keys = self._product_variants(asked.item)
        # An entry without a journey or without items concerns any.
        lines = [
            line
            for line in build_timeline(self.account, [self.to_case(each) for each in decisions], zone.zone)
            if (asked.journey is None or line.journey in (None, asked.journey))
            and (not keys or not line.items or keys.intersection(line.items))
            and (asked.at is None or line.at <= asked.at)
        ]
        explained = self.explain(chosen) if chosen else None
        facts = collect_facts(self.to_case(chosen)) if chosen else []
        if instant is not None and (chosen is None or instant != chosen.at):
            facts = [fact for fact in facts if fact.kind != "suppression"]
            facts += suppression_facts(self.account, instant, zone.zone)
        return Answer(
            sentence=explained.sentence if explained else self._no_decision_sentence(asked, waits or {}),
            decision=explained,
            facts=facts,
            timeline=lines[-MAX_TIMELINE_ENTRIES:],
            profile_id=self.account.profile.profile_id,
            person=person_name(self.account),
            zone=zone.zone,
            zone_source=zone.source,
            is_cut=self.account.truncated or len(lines) > MAX_TIMELINE_ENTRIES,
        )

    def _no_decision_sentence(self, asked: WhyQuery, waits: Mapping[UUID, str]) -> str:
        zone = self.zone.zone
        narrowed = [
            f" about {format_items(self.account, [asked.item])}" if asked.item else "",
            f" in {to_plain_text(asked.journey)}" if asked.journey else "",
            f" by {format_instant(asked.at, zone)} ({zone})" if asked.at else "",
        ]
        opening = f"Nothing was decided for {person_name(self.account)}{''.join(narrowed)} yet"
        live = self.runs_to_query(asked)
        if asked.at is not None:
            live = [run for run in live if run.entered_at <= asked.at]
        if not live:
            none = "no live run of theirs is about it" if asked.item else "no run of theirs is live"
            return f"{opening}: {none}, so nothing is to be sent."
        descriptions = [
            f"{to_plain_text(run.journey)} ({to_plain_text(run.key)}), which began on "
            f"{format_instant(run.entered_at, zone)}, {_describe_wait(run, waits, zone)}"
            for run in live
        ]
        return f"{opening}: {join_words(descriptions)}."

    def _product_variants(self, item: str | None) -> frozenset[str]:
        """Return an item with all ids of the same product: its skus, and the product of a sku."""
        if item is None:
            return frozenset()
        events = self.account.events.values()
        lines = [(line.product_id, line.sku) for event in events for line in event.lines]
        lines += [(bought.item, bought.sku) for bought in self.account.suppressions]
        products = {item} | {product for product, sku in lines if sku == item and product}
        return frozenset(products | {sku for product, sku in lines if product in products and sku})


async def load_explainer(
    connection: Any, profile_id: UUID, asked: WhyQuery, at: str | None, limits: Limits, default_zone: str
) -> tuple[Explainer, WhyQuery] | None:
    """Load the evidence for a query; None if the profile no longer exists.

    ``at`` is the query's instant as an operator writes it. Raises ``InvalidInstant``.
    """
    account = await load_decision_evidence(connection, profile_id, journey=asked.journey)
    if account is None:
        return None
    explainer = Explainer(account, limits, default_zone)
    instant = _parse_instant(at, explainer.zone.zone) if at else None
    if instant is not None and account.truncated:
        # Not all rows were read: read again, up to the instant in question.
        older = await load_decision_evidence(connection, profile_id, journey=asked.journey, until=instant)
        explainer = replace(explainer, account=older or account)
    return explainer, replace(asked, at=instant)


async def load_waits(temporal: TemporalGateway, runs: Sequence[RunView]) -> dict[UUID, str]:
    """Return what the last running runs wait for, in words; an empty text if a run does not answer."""
    queried = [run for run in runs if run.state == "running"][-MAX_QUERIED_RUNS:]
    waits = await asyncio.gather(
        *(temporal.load_waiting_view(run.workflow_id, run.temporal_run_id) for run in queried)
    )
    return {
        run.run_id: _first_line_of_details(wait.details) for run, wait in zip(queried, waits, strict=True)
    }


def _parse_instant(text: str, zone: str) -> datetime:
    """Parse an instant; without an offset it is local time in ``zone``."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInstant(
            f"expected a time such as 2026-11-21T20:00 (by the person's clock) or 2026-11-21T20:00+01:00, "
            f"got {text[:40]!r}"
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=zone_info(zone))


def _recency_key(decision: DecisionView) -> tuple[datetime, bool, datetime]:
    """Return the sort key of decisions: by minute, in it messages after ad audiences, then by instant."""
    return decision.at.replace(second=0, microsecond=0), decision.channel != "ads", decision.at


def _first_line_of_details(details: str | None) -> str:
    """Return the first line of a run's Markdown details as plain text."""
    return to_plain_text((details or "").strip().split("\n")[0].strip("* .#"), 200)


def _describe_wait(run: RunView, waits: Mapping[UUID, str], zone: str) -> str:
    if run.state == "stuck":
        return f"is stuck ({to_plain_text(run.detail or 'no reason on record')})"
    wait = localise_run_details(waits.get(run.run_id, ""), zone, since=run.entered_at)
    return f"says: {wait}" if wait else "runs, and could not be asked what it waits for"
