"""Answers "why": narrows an account to what was asked, picks the verdict, and says it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.why.evidence import Case
from api.why.facts import Fact, facts_of, suppressions
from api.why.sentences import sentence
from api.why.timeline import Entry, timeline
from api.why.wording import items, listed, name_of, plain, when
from policy.hours.time_zones import ResolvedZone, resolve_zone, zone_info
from policy.limits import Limits
from profiles.views.decision_evidence import Account
from profiles.views.history import DecisionView
from profiles.views.profile import RunView

MOST_LINES = 400
"""Lines of a timeline, the newest."""


@dataclass(frozen=True, slots=True)
class Asked:
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
class Teller:
    """Tells of one account, by the shop's limits and default zone."""

    account: Account
    limits: Limits
    default_zone: str = "UTC"

    @property
    def zone(self) -> ResolvedZone:
        """The person's."""
        who = self.account.who
        return resolve_zone(who.timezone, who.context_timezone, who.phone, self.default_zone)

    def case(self, decision: DecisionView) -> Case:
        """A verdict in the light of the account."""
        return Case(self.account, decision, self.zone.zone, self.zone.source, self.limits)

    def told(self, decision: DecisionView) -> ToldDecision:
        """A verdict with its sentence."""
        fields = {name: getattr(decision, name) for name in DecisionView.__dataclass_fields__}
        return ToldDecision(**fields, sentence=sentence(self.case(decision)))

    def decisions(self, asked: Asked) -> list[DecisionView]:
        """The verdicts that are asked about, the oldest first."""
        return [
            one
            for one in matching(self.account.decisions, variants(self.account, asked.item))
            if asked.journey in (None, one.journey) and (asked.at is None or one.at <= asked.at)
        ]

    def waiting_runs(self, asked: Asked) -> list[RunView]:
        """The runs to ask what they wait for: none where there is a verdict to tell of."""
        if self.decisions(asked):
            return []
        return [
            run for run in self.account.runs if run.state != "ended" and asked.journey in (None, run.journey)
        ]

    def answer(self, asked: Asked, waits: Mapping[UUID, str] | None = None) -> Answer:
        """The answer. ``waits``: what those of ``waiting_runs`` wait for, in words."""
        zone, decisions = self.zone, self.decisions(asked)
        chosen = max(decisions, key=_latest, default=None)
        moment = asked.at or (chosen.at if chosen else None)
        lines = timeline(self.account, [self.case(one) for one in decisions], zone.zone)
        lines = about(lines, journey=asked.journey, keys=variants(self.account, asked.item))
        lines = [line for line in lines if asked.at is None or line.at <= asked.at]
        told = self.told(chosen) if chosen else None
        facts = facts_of(self.case(chosen)) if chosen else []
        if moment is not None and (chosen is None or moment != chosen.at):
            facts = [fact for fact in facts if fact.kind != "suppression"]
            facts += suppressions(self.account, moment, zone.zone)
        return Answer(
            sentence=told.sentence if told else self._nothing(asked, waits or {}),
            decision=told,
            facts=facts,
            timeline=lines[-MOST_LINES:],
            profile_id=self.account.who.profile_id,
            person=name_of(self.account),
            zone=zone.zone,
            zone_source=zone.source,
            is_cut=self.account.cut or len(lines) > MOST_LINES,
        )

    def _nothing(self, asked: Asked, waits: Mapping[UUID, str]) -> str:
        zone = self.zone.zone
        narrowed = [
            f" about {items(self.account, [asked.item])}" if asked.item else "",
            f" in {plain(asked.journey)}" if asked.journey else "",
            f" by {when(asked.at, zone)} ({zone})" if asked.at else "",
        ]
        begun = f"Nothing was decided for {name_of(self.account)}{''.join(narrowed)} yet"
        live = self.waiting_runs(asked)
        if asked.at is not None:
            live = [run for run in live if run.entered_at <= asked.at]
        if not live:
            return f"{begun}: no run of theirs is live, so nothing is to be sent."
        told = [
            f"{plain(run.journey)} ({plain(run.key)}), which began on {when(run.entered_at, zone)}, "
            f"{_waits(run, waits)}"
            for run in live
        ]
        return f"{begun}: {listed(told)}."


def teller_of(account: Account, limits: Limits, default_zone: str) -> Teller:
    """Tells of an account by the shop's limits."""
    return Teller(account, limits, default_zone)


def instant(text: str, zone: str) -> datetime:
    """A moment as somebody writes it; without an offset it is by the person's clock. Raises ValueError."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"expected a time such as 2026-11-21T20:00 (by the person's clock) or 2026-11-21T20:00+01:00, "
            f"got {text[:40]!r}"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=zone_info(zone))


def _latest(decision: DecisionView) -> tuple[datetime, bool, datetime]:
    """Of what was decided in one minute, a message comes before an ad audience."""
    return decision.at.replace(second=0, microsecond=0), decision.channel != "ads", decision.at


def first_line(details: str | None) -> str:
    """What a run waits for, of the details it keeps in Markdown; empty where it could not be asked."""
    return plain((details or "").strip().split("\n")[0].strip("* .#"), 200)


def _waits(run: RunView, waits: Mapping[UUID, str]) -> str:
    if run.state == "stuck":
        return f"is stuck ({plain(run.detail or 'no reason on record')})"
    said = waits.get(run.run_id)
    return f"says: {said}" if said else "runs, and could not be asked what it waits for"


def variants(account: Account, wanted: str | None) -> frozenset[str] | None:
    """An item with all that is known as the same product: its units, and the product of a unit."""
    if wanted is None:
        return None
    lines = [(line.product_id, line.sku) for event in account.events.values() for line in event.lines]
    lines += [(one.item, one.sku) for one in account.bought]
    products = {wanted} | {product for product, sku in lines if sku == wanted and product}
    units = {sku for product, sku in lines if product in products and sku}
    return frozenset(products | units)


def about(entries: Iterable[Entry], *, journey: str | None, keys: frozenset[str] | None) -> list[Entry]:
    """Those that concern a journey, or any of these items; what names neither concerns everything."""
    return [
        entry
        for entry in entries
        if (journey is None or entry.journey in (None, journey))
        and (not keys or not entry.items or keys.intersection(entry.items))
    ]


def matching(decisions: Iterable[DecisionView], keys: frozenset[str] | None) -> list[DecisionView]:
    """The verdicts about any of these items; None: all."""
    return [one for one in decisions if not keys or keys.intersection((*one.items, *one.items_removed))]
