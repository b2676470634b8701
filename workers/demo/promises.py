"""Whether the demo kept what Waypost promises, checked over everything that was decided."""

from typing import TYPE_CHECKING

from profiles.database import Database

if TYPE_CHECKING:
    from workers.demo.summary import Counts, Summary

_BOUGHT = """
SELECT count(*) FROM decision d
WHERE d.verdict = 'allow' AND d.items <> '{}'
  AND NOT d.checks @> '[{"name": "items", "detail": "promotes nothing"}]'
  AND EXISTS (SELECT 1 FROM suppression s WHERE s.profile_id = d.profile_id AND s.item = ANY(d.items)
    AND s.recorded_at < d.recorded_at AND (s.until IS NULL OR s.until > d.at)
    AND (s.lifted_at IS NULL OR s.lifted_at > d.at))
"""
"""Promotions allowed after the purchase of what they promote; a suppression counts from its commit."""

_TICKET = """
SELECT count(*) FROM decision d JOIN message m USING (message_id)
WHERE d.verdict = 'allow' AND m.message_class = 'marketing'
  AND EXISTS (SELECT 1 FROM event o WHERE o.profile_id = d.profile_id AND o.type = 'Ticket Opened'
    AND o.at <= d.at AND o.recorded_at < d.recorded_at
    AND NOT EXISTS (SELECT 1 FROM event c WHERE c.profile_id = o.profile_id AND c.type = 'Ticket Solved'
      AND c.properties->>'ticket_id' = o.properties->>'ticket_id'
      AND (c.at <= d.at OR c.recorded_at < d.recorded_at)))
"""
"""Marketing allowed while, by the run's clock, a ticket of the person was open. What had not been committed
by then could not be known, and what had been is known to a run whose clock is minutes behind."""

_UNTOLD = ("running", "stuck", "failed", "gone", "timed_out", "terminated", "overflow")
"""What no story may end as."""

_PROMISED_FROM = 100
"""Shoppers, from which on everything the demo shows is sure to happen."""


async def bought_and_promoted(database: Database) -> int:
    """How many decisions let a bought item be promoted: the number that must be 0."""
    async with database.transaction() as connection:
        return int(await connection.fetchval(_BOUGHT))


async def promoted_during_a_ticket(database: Database) -> int:
    """How many decisions let marketing out while a support ticket was open; must be 0 as well."""
    async with database.transaction() as connection:
        return int(await connection.fetchval(_TICKET))


def broken(summary: "Summary") -> list[str]:
    """What did not happen although it was promised, in words."""
    said: list[str] = []
    if bought := summary.bought_items_promoted_after_purchase:
        said.append(f"{bought} bought items were promoted after purchase")
    if promoted := summary.promoted_while_a_ticket_was_open:
        said.append(f"{promoted} promotions went out while a support ticket was open")
    for journey, found in summary.runs.items():
        said += [f"{found[state]} runs of {journey} are {state}" for state in _UNTOLD if found.get(state)]
    ended = sum(n for found in summary.runs.values() for n in found.values())
    if summary.temporal.get("Completed", 0) != ended:
        said.append(
            f"Temporal has {summary.temporal.get('Completed', 0)} completed runs, Postgres {ended} runs"
        )
    if summary.silence["unknown"]:
        said.append(f"{summary.silence['unknown']} messages have an unknown outcome")
    if summary.silence["audience_left_over"]:
        said.append(f"{summary.silence['audience_left_over']} people are still in an audience")
    if not ended:
        said.append("no run ended")
    if summary.shoppers >= _PROMISED_FROM:
        said += [f"nothing to show: {what}" for what, count in _variety(summary).items() if not count]
    return said


def _variety(summary: "Summary") -> "Counts":
    silence, patience = summary.silence, summary.patience
    return {
        "runs of cart-abandonment": sum(summary.runs.get("cart-abandonment", {}).values()),
        "runs of post-purchase": sum(summary.runs.get("post-purchase", {}).values()),
        "runs of win-back": sum(summary.runs.get("win-back", {}).values()),
        "customers missed by their own rhythm": summary.shop["lapsed_by_rhythm"],
        "people in an experiment": sum(n for arms in summary.experiments.values() for n in arms.values()),
        "mails": sum(summary.messages.get("email", {}).values()),
        "text messages": sum(summary.messages.get("sms", {}).values()),
        "carts silenced by a purchase": silence["carts_silenced"],
        "promotions withheld because bought": silence["withheld_bought"],
        "carts shrunk": silence["shrunk_carts"],
        "sold-out items left out": patience["sold_out"],
        "audience removals": silence["audience_bought"],
        "messages held for a ticket or return": patience["held"],
        "messages sent after a ticket or return": patience["held_and_sent"],
        "carts told of a price or of stock": patience["told"],
        "review requests": patience["reviews_asked"],
        "things sent back": patience["sent_back"],
        "opt-outs": silence["one_click"],
        "merged people": summary.shop["merged"],
    }
