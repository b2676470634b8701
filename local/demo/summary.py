"""The demo's summary: counts from Postgres and Temporal, the checks of its promises, and one example."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from temporalio.client import Client

from profiles.db.database import Database
from profiles.state.unit_of_work import ACCEPTED_STATUSES

Counts = dict[str, int]

NestedCounts = dict[str, Counts]

_COUNT_EVENTS = "SELECT channel, count(*) FROM event GROUP BY 1 ORDER BY 2 DESC, 1"

_COUNT_SHOP = """
SELECT (SELECT count(DISTINCT (profile_id, cart_id)) FROM event WHERE type = 'Product Added') AS carts_filled,
  (SELECT count(DISTINCT event_id) FROM purchase WHERE channel <> 'store' AND at > $1) AS orders_web,
  (SELECT count(DISTINCT event_id) FROM purchase WHERE channel = 'store' AND at > $1) AS orders_store,
  (SELECT count(DISTINCT event_id) FROM purchase WHERE at <= $1) AS orders_older,
  (SELECT count(*) FROM profile WHERE merged_into IS NULL) AS people,
  (SELECT count(*) FROM profile WHERE merged_into IS NOT NULL) AS merged,
  (SELECT count(*) FROM event WHERE type = 'Customer Lapsed'
    AND properties->>'median_gap_days' IS NOT NULL) AS lapsed_by_rhythm
"""

_COUNT_RUNS = """
SELECT journey, CASE WHEN state = 'ended' THEN COALESCE(outcome, 'ended') ELSE state END, count(*)
FROM run GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
"""

_COUNT_MESSAGES = f"""
SELECT channel, template, count(*) FROM message
WHERE status IN {ACCEPTED_STATUSES} AND channel <> 'ads'
GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
"""  # noqa: S608 - constant names

_COUNT_STATUSES = """
SELECT status, count(*) FROM message WHERE channel <> 'ads' GROUP BY 1 ORDER BY 2 DESC, 1
"""

_COUNT_WITHHELD = """
SELECT reason, count(*) FROM message WHERE status = 'withheld' GROUP BY 1 ORDER BY 2 DESC, 1
"""

_COUNT_SUPPRESSED = """
SELECT (SELECT count(*) FROM run WHERE journey = 'cart-abandonment' AND outcome = 'bought') AS carts_silenced,
  (SELECT count(*) FROM message WHERE status = 'withheld' AND reason = 'purchased') AS withheld_bought,
  (SELECT count(DISTINCT message_id) FROM decision
    WHERE verdict = 'allow' AND items_removed <> '{}' AND NOT checks @? $1::jsonpath) AS shrunk_messages,
  (SELECT count(DISTINCT o.lane) FROM outbox o JOIN run r ON r.run_id = o.lane
    WHERE r.journey = 'cart-abandonment' AND o.name = 'Order Completed'
      AND jsonb_array_length(COALESCE(o.payload->'cart', '[]')) > 0) AS shrunk_carts,
  (SELECT count(*) FROM audience_member WHERE state = 'out' AND reason = 'purchased') AS audience_bought,
  (SELECT count(*) FROM audience_member WHERE state = 'out' AND reason <> 'purchased') AS audience_run_ended,
  (SELECT count(*) FROM audience_member) AS audience_joined,
  (SELECT count(*) FROM sandbox_audience) AS audience_left_over,
  (SELECT count(DISTINCT message_id) FROM decision
    WHERE verdict = 'defer' AND reason = 'quiet_hours') AS deferred,
  (SELECT count(*) FROM opt_out WHERE state = 'withdrawn') AS opt_outs,
  (SELECT count(*) FROM event WHERE type = 'Message Unsubscribed') AS one_click,
  (SELECT count(*) FROM message WHERE status IN ('claimed', 'unknown', 'unknown_final')) AS unknown
"""

_SOLD_OUT_JSONPATH = '$[*] ? (@.name == "items" && @.detail like_regex "out of stock")'
"""Matches the checks of a decision that left out an item because it was sold out."""

_COUNT_HELD = """
WITH held AS (SELECT DISTINCT message_id FROM decision WHERE verdict = 'defer' AND reason = 'lower_priority'),
sent AS (SELECT * FROM message WHERE sent_at IS NOT NULL AND channel <> 'ads')
SELECT (SELECT count(*) FROM event WHERE type = 'Ticket Opened') AS tickets,
  (SELECT count(*) FROM event WHERE type = 'Return Requested') AS returns,
  (SELECT count(*) FROM held) AS held,
  (SELECT count(*) FROM sent JOIN held USING (message_id)) AS held_and_sent,
  (SELECT count(*) FROM event WHERE type = 'Price Dropped') AS cheaper,
  (SELECT count(*) FROM event WHERE type = 'Back In Stock') AS back_in_stock,
  (SELECT count(*) FROM sent WHERE template = 'cart_news') AS told,
  (SELECT count(*) FROM message WHERE status = 'withheld' AND reason = 'out_of_stock') AS withheld_sold_out,
  (SELECT count(DISTINCT message_id) FROM decision
    WHERE verdict = 'allow' AND checks @? $1::jsonpath) AS shrunk_sold_out,
  (SELECT count(*) FROM sent WHERE template = 'review_request') AS reviews_asked,
  (SELECT count(*) FROM event WHERE type = 'Product Reviewed') AS reviewed,
  (SELECT count(*) FROM purchase p WHERE returned > 0 AND EXISTS
    (SELECT 1 FROM purchase kept WHERE kept.event_id = p.event_id AND kept.returned = 0)) AS sent_back
"""

_COUNT_EXPOSURES = """
SELECT experiment, arm, count(DISTINCT profile_id) FROM exposure
GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
"""

_UNEXPECTED_OUTCOMES = ("running", "stuck", "failed", "gone", "timed_out", "terminated", "overflow")
"""States and outcomes that no run may have at the end."""

_MIN_SHOPPERS_FOR_VARIETY = 200
"""Number of shoppers from which on everything that the demo shows is certain to happen."""


@dataclass(slots=True)
class Summary:
    """The demo's results. Every number is counted in Postgres or Temporal."""

    shoppers: int
    seed: int
    seconds: float
    events: Counts
    shop: Counts
    runs: NestedCounts
    temporal: Counts
    messages: NestedCounts
    statuses: Counts
    withheld: Counts
    silence: Counts
    patience: Counts
    """Messages held for a more important matter, and updates of stock and prices."""
    experiments: NestedCounts
    """Experiment → arm → people."""
    bought_items_promoted_after_purchase: int
    promoted_while_a_ticket_was_open: int
    example: str | None
    seconds_by_part: dict[str, float]
    respelled: int = 0
    """Events that the shop's less careful systems sent in spellings of their own."""
    links: dict[str, str] = field(default_factory=dict)
    """URLs by label; empty unless the stack keeps running."""
    broken_promises: list[str] = field(default_factory=list)


async def summarise(
    database: Database,
    client: Client,
    *,
    shoppers: int,
    seed: int,
    opening: datetime,
    seconds: float,
    seconds_by_part: dict[str, float],
) -> Summary:
    """Count all results. ``opening``: start of the calendar's first day. Durations are in seconds."""
    bought = await count_promoted_after_purchase(database)
    promoted = await count_promoted_during_ticket(database)
    async with database.transaction() as connection:
        example = await connection.fetchrow(SELECT_EXAMPLE)
        return Summary(
            shoppers=shoppers,
            seed=seed,
            seconds=round(seconds, 1),
            events=dict(await connection.fetch(_COUNT_EVENTS)),
            shop=dict(await connection.fetchrow(_COUNT_SHOP, opening)),
            runs=_to_nested_counts(await connection.fetch(_COUNT_RUNS)),
            temporal=await _count_in_temporal(client),
            messages=_to_nested_counts(await connection.fetch(_COUNT_MESSAGES)),
            statuses=dict(await connection.fetch(_COUNT_STATUSES)),
            withheld=dict(await connection.fetch(_COUNT_WITHHELD)),
            silence=dict(await connection.fetchrow(_COUNT_SUPPRESSED, _SOLD_OUT_JSONPATH)),
            patience=dict(await connection.fetchrow(_COUNT_HELD, _SOLD_OUT_JSONPATH)),
            experiments=_to_nested_counts(await connection.fetch(_COUNT_EXPOSURES)),
            bought_items_promoted_after_purchase=bought,
            promoted_while_a_ticket_was_open=promoted,
            example=None if example is None else format_example(example),
            seconds_by_part={name: round(value, 1) for name, value in seconds_by_part.items()},
        )


async def _count_in_temporal(client: Client) -> Counts:
    counted = await client.count_workflows("JourneyKey IS NOT NULL GROUP BY ExecutionStatus")
    return {str(group.group_values[0]): group.count for group in counted.groups}


def _to_nested_counts(rows: Sequence[Any]) -> NestedCounts:
    counts: NestedCounts = {}
    for group, name, count in rows:
        counts.setdefault(group, {})[name] = count
    return counts


_COUNT_PROMOTED_AFTER_PURCHASE = """
SELECT count(*) FROM decision d
WHERE d.verdict = 'allow' AND d.items <> '{}'
  AND NOT d.checks @> '[{"name": "items", "detail": "promotes nothing"}]'
  AND EXISTS (SELECT 1 FROM suppression s WHERE s.profile_id = d.profile_id AND s.item = ANY(d.items)
    AND s.recorded_at < d.recorded_at AND (s.until IS NULL OR s.until > d.at)
    AND (s.lifted_at IS NULL OR s.lifted_at > d.at))
"""
"""Counts promotions allowed after the purchase of an item they promote, from the suppression's commit on."""

_COUNT_PROMOTED_DURING_TICKET = """
SELECT count(*) FROM decision d JOIN message m USING (message_id)
WHERE d.verdict = 'allow' AND m.message_class = 'marketing'
  AND EXISTS (SELECT 1 FROM event o WHERE o.profile_id = d.profile_id AND o.type = 'Ticket Opened'
    AND o.at <= d.at AND o.recorded_at < d.recorded_at
    AND NOT EXISTS (SELECT 1 FROM event c WHERE c.profile_id = o.profile_id AND c.type = 'Ticket Solved'
      AND c.properties->>'ticket_id' = o.properties->>'ticket_id'
      AND (c.at <= d.at OR c.recorded_at < d.recorded_at)))
"""
"""Counts marketing allowed while, by the run's clock, a ticket of the profile was open. A ticket counts only
if it was committed before the decision. A solution that was committed before the decision also counts if the
run's clock is minutes behind it."""


async def count_promoted_after_purchase(database: Database) -> int:
    """Return how many decisions allowed the promotion of a bought item; must be 0."""
    return int(await database.run(lambda connection: connection.fetchval(_COUNT_PROMOTED_AFTER_PURCHASE)))


async def count_promoted_during_ticket(database: Database) -> int:
    """Return how many decisions allowed marketing while a support ticket was open; must be 0."""
    return int(await database.run(lambda connection: connection.fetchval(_COUNT_PROMOTED_DURING_TICKET)))


SELECT_EXAMPLE = """
SELECT COALESCE(p.traits->>'first_name', 'Somebody') AS first_name, p.traits->>'timezone' AS zone,
  (SELECT min(value) FROM identifier i WHERE i.profile_id = p.profile_id AND i.type = 'user_id') AS user_id,
  d.template, d.channel, d.at, d.journey, b.name, b.order_id, b.channel AS bought_in, b.time AS bought_at
FROM decision d JOIN profile p ON p.profile_id = d.profile_id
JOIN LATERAL (
  SELECT pu.* FROM purchase pu
  WHERE pu.profile_id = d.profile_id AND pu.item = ANY(d.items_removed) AND pu.at < d.at
  ORDER BY pu.time DESC LIMIT 1) b ON true
WHERE d.verdict = 'withhold' AND d.reason = 'purchased' AND d.channel <> 'ads'
ORDER BY (p.traits ? 'first_name') DESC, (b.channel = 'store') DESC, b.time DESC, p.profile_id, d.at LIMIT 1
"""
"""Prefers a store purchase, since other systems miss those."""


def format_example(row: Any) -> str:
    """Return the question and its answer as a text, with times in the profile's time zone."""
    zone = ZoneInfo(row["zone"] or "UTC")

    def local(at: datetime) -> str:
        return at.astimezone(zone).strftime("%a %d %b %H:%M")

    who, where = row["first_name"], "in the store" if row["bought_in"] == "store" else "online"
    return (
        f"Why did {who} ({row['user_id'] or 'no account'}) not get {row['template']} by {row['channel']} on "
        f"{local(row['at'])}? The {row['name']} in it was bought {where} on {local(row['bought_at'])} "
        f"({row['order_id']})."
    )


def find_broken_promises(summary: Summary) -> list[str]:
    """Return a sentence for each promise of the demo that was not kept."""
    bought, promoted = summary.bought_items_promoted_after_purchase, summary.promoted_while_a_ticket_was_open
    unknown, left_over = summary.silence["unknown"], summary.silence["audience_left_over"]
    completed = summary.temporal.get("Completed", 0)
    ended = sum(n for outcomes in summary.runs.values() for n in outcomes.values())
    breaches: list[tuple[object, str]] = [
        (bought, f"{bought} bought items were promoted after purchase"),
        (promoted, f"{promoted} promotions went out while a support ticket was open"),
        *(
            (outcomes.get(state), f"{outcomes.get(state)} runs of {journey} are {state}")
            for journey, outcomes in summary.runs.items()
            for state in _UNEXPECTED_OUTCOMES
        ),
        (completed != ended, f"Temporal has {completed} completed runs, Postgres {ended} runs"),
        (unknown, f"{unknown} messages have an unknown outcome"),
        (left_over, f"{left_over} people are still in an audience"),
        (not ended, "no run ended"),
    ]
    if summary.shoppers >= _MIN_SHOPPERS_FOR_VARIETY:
        breaches += [(not n, f"nothing to show: {what}") for what, n in _count_variety(summary).items()]
    return [text for is_broken, text in breaches if is_broken]


def _count_variety(summary: Summary) -> Counts:
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
        "messages without what was sold out": patience["withheld_sold_out"] + patience["shrunk_sold_out"],
        "audience removals": silence["audience_bought"],
        "messages held for a ticket or return": patience["held"],
        "messages sent after a ticket or return": patience["held_and_sent"],
        "messages about a price or stock": patience["told"],
        "review requests": patience["reviews_asked"],
        "things sent back": patience["sent_back"],
        "opt-outs": silence["one_click"],
        "merged people": summary.shop["merged"],
    }
