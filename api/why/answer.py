"""Answers "why": narrows an account to what was asked, picks the verdict, and says it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.why.evidence import DecisionCase
from api.why.facts import Fact, collect_facts, suppression_facts
from api.why.sentences import explain_decision
from api.why.timeline import Entry, build_timeline
from api.why.wording import format_instant, format_items, join_words, person_name, to_plain_text
from policy.hours.time_zones import ResolvedZone, resolve_zone, zone_info
from policy.limits import Limits
from profiles.views.decision_evidence import DecisionEvidence
from profiles.views.history import DecisionView
from profiles.views.profile import RunView

MAX_TIMELINE_ENTRIES = 400
"""Lines of a timeline, the newest."""


@dataclass(frozen=True, slots=True)
class WhyQuery:
    """What somebody wants to know about a person."""

    journey: str | None = None
    item: str | None = None
    """A product id or stock keeping unit; stands for every variant of the product."""
    at: datetime | None = None
    """The moment that is asked about; None: now."""


@dataclass(frozen=True, slots=True)
class ToldDecision(DecisionView):
    """A verdict of the gate with why in one sentence."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Why, in one look."""

    sentence: str
    decision: ToldDecision | None
    """The verdict that the sentence is about: the last one that fits, at or before the moment asked about."""
    facts: list[Fact]
    """What it stood on, and what was not to be promoted then."""
    timeline: list[Entry]
    """The oldest first; at most the newest 400."""
    profile_id: UUID
    person: str
    zone: str
    """Of every local time."""
    zone_source: str
    is_cut: bool
    """There is more on file than was looked at."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """Tells of one account, by the shop's limits and default zone."""

    account: DecisionEvidence
    limits: Limits
    default_zone: str = "UTC"

    @property
    def zone(self) -> ResolvedZone:
        """The person's."""
        who = self.account.profile
        return resolve_zone(who.timezone, who.context_timezone, who.phone, self.default_zone)

    def to_case(self, decision: DecisionView) -> DecisionCase:
        """A verdict in the light of the account."""
        return DecisionCase(self.account, decision, self.zone.zone, self.zone.source, self.limits)

    def explain(self, decision: DecisionView) -> ToldDecision:
        """A verdict with its sentence."""
        fields = {name: getattr(decision, name) for name in DecisionView.__dataclass_fields__}
        return ToldDecision(**fields, sentence=explain_decision(self.to_case(decision)))

    def matching_decisions(self, asked: WhyQuery) -> list[DecisionView]:
        """The verdicts that are asked about, the oldest first."""
        return [
            one
            for one in filter_decisions(self.account.decisions, product_variants(self.account, asked.item))
            if asked.journey in (None, one.journey) and (asked.at is None or one.at <= asked.at)
        ]

    def runs_to_query(self, asked: WhyQuery) -> list[RunView]:
        """The runs to ask what they wait for: none where there is a verdict to tell of."""
        if self.matching_decisions(asked):
            return []
        return [
            run for run in self.account.runs if run.state != "ended" and asked.journey in (None, run.journey)
        ]

    def answer(self, asked: WhyQuery, waits: Mapping[UUID, str] | None = None) -> Answer:
        """The answer. ``waits``: what those of ``waiting_runs`` wait for, in words."""
        zone, decisions = self.zone, self.matching_decisions(asked)
        chosen = max(decisions, key=_recency_key, default=None)
        moment = asked.at or (chosen.at if chosen else None)
        lines = build_timeline(self.account, [self.to_case(one) for one in decisions], zone.zone)
        lines = filter_entries(lines, journey=asked.journey, keys=product_variants(self.account, asked.item))
        lines = [line for line in lines if asked.at is None or line.at <= asked.at]
        told = self.explain(chosen) if chosen else None
        facts = collect_facts(self.to_case(chosen)) if chosen else []
        if moment is not None and (chosen is None or moment != chosen.at):
            facts = [fact for fact in facts if fact.kind != "suppression"]
            facts += suppression_facts(self.account, moment, zone.zone)
        return Answer(
            sentence=told.sentence if told else self._no_decision_sentence(asked, waits or {}),
            decision=told,
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
        begun = f"Nothing was decided for {person_name(self.account)}{''.join(narrowed)} yet"
        live = self.runs_to_query(asked)
        if asked.at is not None:
            live = [run for run in live if run.entered_at <= asked.at]
        if not live:
            return f"{begun}: no run of theirs is live, so nothing is to be sent."
        told = [
            f"{to_plain_text(run.journey)} ({to_plain_text(run.key)}), which began on {format_instant(run.entered_at, zone)}, "
            f"{_describe_wait(run, waits)}"
            for run in live
        ]
        return f"{begun}: {join_words(told)}."


def create_explainer(account: DecisionEvidence, limits: Limits, default_zone: str) -> Explainer:
    """Tells of an account by the shop's limits."""
    return Explainer(account, limits, default_zone)


def parse_instant(text: str, zone: str) -> datetime:
    """A moment as somebody writes it; without an offset it is by the person's clock. Raises ValueError."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"expected a time such as 2026-11-21T20:00 (by the person's clock) or 2026-11-21T20:00+01:00, "
            f"got {text[:40]!r}"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=zone_info(zone))


def _recency_key(decision: DecisionView) -> tuple[datetime, bool, datetime]:
    """Of what was decided in one minute, a message comes before an ad audience."""
    return decision.at.replace(second=0, microsecond=0), decision.channel != "ads", decision.at


def first_line_of_details(details: str | None) -> str:
    """What a run waits for, of the details it keeps in Markdown; empty where it could not be asked."""
    return to_plain_text((details or "").strip().split("\n")[0].strip("* .#"), 200)


def _describe_wait(run: RunView, waits: Mapping[UUID, str]) -> str:
    if run.state == "stuck":
        return f"is stuck ({to_plain_text(run.detail or 'no reason on record')})"
    said = waits.get(run.run_id)
    return f"says: {said}" if said else "runs, and could not be asked what it waits for"


def product_variants(account: DecisionEvidence, wanted: str | None) -> frozenset[str] | None:
    """An item with all that is known as the same product: its units, and the product of a unit."""
    if wanted is None:
        return None
    lines = [(line.product_id, line.sku) for event in account.events.values() for line in event.lines]
    lines += [(one.item, one.sku) for one in account.suppressions]
    products = {wanted} | {product for product, sku in lines if sku == wanted and product}
    units = {sku for product, sku in lines if product in products and sku}
    return frozenset(products | units)


def filter_entries(
    entries: Iterable[Entry], *, journey: str | None, keys: frozenset[str] | None
) -> list[Entry]:
    """Those that concern a journey, or any of these items; what names neither concerns everything."""
    return [
        entry
        for entry in entries
        if (journey is None or entry.journey in (None, journey))
        and (not keys or not entry.items or keys.intersection(entry.items))
    ]


def filter_decisions(decisions: Iterable[DecisionView], keys: frozenset[str] | None) -> list[DecisionView]:
    """The verdicts about any of these items; None: all."""
    return [one for one in decisions if not keys or keys.intersection((*one.items, *one.items_removed))]
