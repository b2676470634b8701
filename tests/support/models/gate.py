"""The rules of the gate once more, as plainly as they can be said, to hold the gate against."""

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from policy.facts import Facts, Plan
from policy.hours.windows import QuietHours
from policy.limits import Limits
from policy.verdict import Reason
from tests.support.models.caps import model_full, model_yields


def model(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> list[tuple[str, Reason]]:
    """Every check that fails, in order, and why. Holdouts of nobody or everybody only."""
    marketing, sms, ads = plan.message_class == "marketing", plan.channel == "sms", plan.channel == "ads"
    topics = {"all", "marketing", plan.topic} if marketing else {"transactional"}
    words = [c.granted for c in facts.consents if c.channel in {"all", plan.channel} and c.topic in topics]
    bad_class = plan.topic == "transactional" if marketing else bool(plan.promoting) or ads
    trouble = {"bounced": Reason.BOUNCED, "complained": Reason.COMPLAINED}
    problem = not ads and facts.address_problem and trouble.get(facts.address_problem, Reason.NO_ADDRESS)
    if not ads and facts.address_problem in (None, "bounced_reopened"):
        shut = facts.address_problem or any(
            model_shut(last, facts, limits, at) for last in facts.soft_bounces
        )
        problem = Reason.BOUNCED if marketing and shut else None
    problem = problem if facts.has_address else Reason.NO_ADDRESS
    switches = {"all", plan.channel, plan.journey or "all", plan.template or "all"}
    here = {("all", "all"), ("channel", plan.channel), ("journey", plan.journey), ("template", plan.template)}
    stopped = {(stop.kind, stop.name) for stop in facts.stopped} & here
    resting = facts.breaker_open_until is not None and at < facts.breaker_open_until
    budget = limits.budgets.get(plan.channel)
    spent = budget and (facts.claims_last_minute or 0) >= budget.per_minute
    refused = not all(words) or topics & set(facts.opted_out) or (sms and "all" in facts.opted_out)
    welcome = (words and all(words)) or (not words and plan.channel == "email" and facts.address_from_order)
    welcome = welcome and facts.address_confirmed
    bought, sold_out, left = model_items(plan, facts, at)
    nothing_left = Reason.PURCHASED if bought else Reason.OUT_OF_STOCK if sold_out else Reason.RUN_ENDED
    others = [s for s in facts.sent if plan.template == s.template != "" and plan.key.split("/")[0] != s.run]
    again = [s for s in others if at - limits.duplicates_within < s.at and set() < set(left) <= set(s.items)]
    full = marketing and not ads and any(model_full(cap, plan, facts, at) for cap in limits.caps)
    yields = marketing and not ads and any(model_yields(cap, plan, facts, limits, at) for cap in limits.caps)
    opening = None if ads else model_opening(limits.quiet_hours.get(plan.channel), facts.zone, at)
    late = opening is not None and opening >= plan.expires_at
    rules: list[tuple[str, Any, Any]] = [
        ("kill_switch", Reason.KILL_SWITCH, switches & {*limits.kill_switches} or stopped),
        ("erased", Reason.ERASED, facts.erased),
        ("class", Reason.CONTENT, bad_class),
        ("address", problem, problem),
        ("opt_out", Reason.OPTED_OUT, refused),
        ("consent", Reason.NO_CONSENT, marketing and not welcome),
        ("run", Reason.RUN_ENDED, facts.run_state != "running"),
        ("expiry", Reason.EXPIRED, at >= plan.expires_at),
        ("items", nothing_left, plan.promoting is not None and not left),
        ("holdout", Reason.HOLDOUT, marketing and 100 in (plan.holdout, limits.holdout)),
        ("duplicate", Reason.DUPLICATE, marketing and plan.promoting and limits.duplicates_within and again),
        ("caps", Reason.CAPPED, full),
        ("priority", Reason.LOWER_PRIORITY, yields),
        ("hold", Reason.LOWER_PRIORITY, marketing and facts.held),
        ("quiet_hours", Reason.EXPIRED if late else Reason.QUIET_HOURS, opening),
        ("provider", Reason.PROVIDER_BUDGET, not ads and (resting or spent)),
    ]
    return [(check, reason) for check, reason, broken in rules if broken]


def model_items(plan: Plan, facts: Facts, at: datetime) -> tuple[set[str], set[str], list[str]]:
    """Planned keys that were bought, those that are sold out, and those that are left."""
    gone = [s for s in facts.suppressions if s.until is None or at < s.until]
    names = ({s.item for s in gone} | {s.sku for s in gone if s.sku}) - {""}
    products = {s.item for s in gone} - {""}
    seen = (plan.promoting or ()) + (facts.cart or ())
    bought = {i.key for i in seen if i.key and (i.product_id in products or i.sku in names)}
    planned = plan.promoting or ()
    units = {line.sku for line in facts.cart or () if line.sku}
    keys = {line.key for line in facts.cart or () if line.key}
    there = {i.key for i in planned if plan.cart_id is None or i.key in keys or i.sku in units}
    sold_out = there & facts.out_of_stock
    left = [i.key for i in planned if i.key and i.key in there - bought - sold_out]
    return bought & {i.key for i in planned}, sold_out, left


def model_opening(hours: QuietHours | None, zone: str, at: datetime) -> datetime | None:
    """The next opening, where it is closed; good for zones whose clocks do not change these days."""
    if hours is None or hours.opens == hours.closes:
        return None
    here = at.astimezone(ZoneInfo(zone))
    midnight = datetime.combine(here.date(), time(), here.tzinfo)
    days = [midnight + timedelta(days=n) for n in (-1, 0, 1)]
    length = (
        datetime.combine(here.date(), hours.closes) - datetime.combine(here.date(), hours.opens)
    ) % timedelta(days=1)
    openings = [datetime.combine(day.date(), hours.opens, here.tzinfo) for day in days]
    if any(opening <= here < opening + length for opening in openings):
        return None
    return min(opening for opening in openings if opening > here)


DAY = timedelta(days=1)

HERE = ZoneInfo("Europe/Berlin")


@dataclass
class Story:
    """All that has happened, and the verdict it leads to."""

    bought: dict[str, datetime] = field(default_factory=dict)
    """Product → when the last of its orders that stand stops to suppress it."""
    said: dict[str, bool] = field(default_factory=dict)
    sent: list[tuple[str, datetime]] = field(default_factory=list)
    is_customer: bool = False
    """The address has come with an order."""

    def verdict(
        self, channel: str, products: list[str], at: datetime, expires: datetime
    ) -> tuple[str, list[str]]:
        """The reason, or "allow", and what may be shown."""
        left = [product for product in products if self.bought.get(product, at) <= at]
        day = sum(1 for sent_on, when in self.sent if sent_on == channel and when > at - DAY)
        week = sum(1 for _, when in self.sent if when > at - 7 * DAY)
        night = channel in ("sms", "push") and not time(8) <= at.astimezone(HERE).time() < time(21)
        if not self.said.get(channel, True) or not self.said.get("all", True):
            return "opted_out", []
        unasked = channel == "email" and self.is_customer
        if not self.said.get(channel, self.said.get("all", unasked)):
            return "no_consent", []
        if not left:
            return "purchased", []
        if day >= {"email": 2, "sms": 1}.get(channel, 99) or week >= 5:
            return "capped", []
        if night:
            local = at.astimezone(HERE)
            opening = datetime.combine(local.date() + (local.hour >= 8) * DAY, time(8), HERE)
            return ("expired" if opening >= expires else "quiet_hours"), []
        return "allow", left


def model_shut(last: datetime, facts: Facts, limits: Limits, at: datetime) -> bool:
    """Whether the soft bounces up to this one close the address for marketing at this time."""
    rule = limits.bounces
    before = [each for each in facts.soft_bounces if last - rule.window < each <= last]
    return len(before) >= rule.soft and at < last + rule.pause
