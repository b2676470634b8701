"""What the demo did, counted in Postgres and in Temporal, and whether it kept its promises."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from temporalio.client import Client

from profiles.database import Database
from workers.demo.example import EXAMPLE, in_words

Counts = dict[str, int]
Nested = dict[str, Counts]

_EVENTS = "SELECT channel AS name, count(*) AS n FROM event GROUP BY 1 ORDER BY 2 DESC, 1"

_SHOP = """
SELECT (SELECT count(DISTINCT (profile_id, cart_id)) FROM event WHERE type = 'Product Added') AS carts_filled,
  (SELECT count(DISTINCT event_id) FROM purchase WHERE channel <> 'store' AND at > $1) AS orders_web,
  (SELECT count(DISTINCT event_id) FROM purchase WHERE channel = 'store' AND at > $1) AS orders_store,
  (SELECT count(DISTINCT event_id) FROM purchase WHERE at <= $1) AS orders_older,
  (SELECT count(*) FROM profile WHERE merged_into IS NULL) AS people,
  (SELECT count(*) FROM profile WHERE merged_into IS NOT NULL) AS merged
"""

_RUNS = """
SELECT journey AS outer, count(*) AS n,
  CASE WHEN state = 'ended' THEN COALESCE(outcome, 'ended') ELSE state END AS name
FROM run GROUP BY 1, 3 ORDER BY 1, 2 DESC, 3
"""

_MESSAGES = """
SELECT channel AS outer, template AS name, count(*) AS n FROM message
WHERE status IN ('sent', 'delivered', 'opened', 'clicked', 'bounced') AND channel <> 'ads'
GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
"""

_ENGAGEMENT = (
    "SELECT status AS name, count(*) AS n FROM message WHERE channel <> 'ads' GROUP BY 1 ORDER BY 2 DESC, 1"
)

_WITHHELD = """
SELECT reason AS name, count(*) AS n FROM message WHERE status = 'withheld' GROUP BY 1 ORDER BY 2 DESC, 1
"""

_SILENCE = """
SELECT (SELECT count(*) FROM run WHERE journey = 'cart-abandonment' AND outcome = 'bought') AS carts_silenced,
  (SELECT count(*) FROM message WHERE status = 'withheld' AND reason = 'purchased') AS withheld_bought,
  (SELECT count(DISTINCT message_id) FROM decision
    WHERE verdict = 'allow' AND items_removed <> '{}') AS shrunk_messages,
  (SELECT count(DISTINCT o.lane) FROM outbox o JOIN run r ON r.run_id = o.lane
    WHERE r.journey = 'cart-abandonment' AND o.name = 'Order Completed'
      AND jsonb_array_length(COALESCE(o.payload->'cart', '[]')) > 0) AS shrunk_carts,
  (SELECT count(*) FROM audience_member WHERE state = 'out' AND reason = 'purchased') AS audience_bought,
  (SELECT count(*) FROM audience_member WHERE state = 'out' AND reason <> 'purchased') AS audience_run_ended,
  (SELECT count(*) FROM audience_member) AS audience_joined,
  (SELECT count(*) FROM sandbox_audience) AS audience_left_over,
  (SELECT count(DISTINCT message_id) FROM decision
    WHERE verdict = 'defer' AND reason = 'quiet_hours') AS deferred,
  (SELECT count(*) FROM opt_out) AS opt_outs,
  (SELECT count(*) FROM event WHERE type = 'Message Unsubscribed') AS one_click,
  (SELECT count(*) FROM message WHERE status IN ('claimed', 'unknown', 'unknown_final')) AS unknown
"""

_BROKEN = """
SELECT count(*) FROM decision d
WHERE d.verdict = 'allow' AND d.items <> '{}'
  AND NOT d.checks @> '[{"name": "items", "detail": "promotes nothing"}]'
  AND EXISTS (SELECT 1 FROM suppression s WHERE s.profile_id = d.profile_id AND s.item = ANY(d.items)
    AND s.recorded_at < d.recorded_at AND (s.until IS NULL OR s.until > d.at)
    AND (s.lifted_at IS NULL OR s.lifted_at > d.at))
"""
"""Promotions allowed after the purchase of what they promote; a suppression counts from its commit."""

_UNTOLD = ("running", "stuck", "failed", "gone", "timed_out", "terminated", "overflow")
"""What no story may end as."""

_PROMISED_FROM = 100
"""Shoppers, from which on everything the demo shows is sure to happen."""


@dataclass(slots=True)
class Summary:
    """Every number from Postgres or Temporal."""

    shoppers: int
    seed: int
    seconds: float
    events: Counts
    shop: Counts
    runs: Nested
    temporal: Counts
    messages: Nested
    statuses: Counts
    withheld: Counts
    silence: Counts
    bought_items_promoted_after_purchase: int
    example: str | None
    links: dict[str, str]
    seconds_by_part: dict[str, float]
    broken_promises: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


async def summarise(
    database: Database,
    client: Client,
    *,
    shoppers: int,
    seed: int,
    opening: datetime,
    links: dict[str, str],
    seconds: float,
    seconds_by_part: dict[str, float],
) -> Summary:
    """Count everything. ``opening``: when the first day of the calendar began."""
    broken = await bought_and_promoted(database)
    async with database.transaction() as connection:
        silence = dict(await connection.fetchrow(_SILENCE))
        example = await connection.fetchrow(EXAMPLE)
        summary = Summary(
            shoppers=shoppers,
            seed=seed,
            seconds=round(seconds, 1),
            events=_counts(await connection.fetch(_EVENTS)),
            shop=dict(await connection.fetchrow(_SHOP, opening)),
            runs=_nested(await connection.fetch(_RUNS)),
            temporal=await _in_temporal(client),
            messages=_nested(await connection.fetch(_MESSAGES)),
            statuses=_counts(await connection.fetch(_ENGAGEMENT)),
            withheld=_counts(await connection.fetch(_WITHHELD)),
            silence=silence,
            bought_items_promoted_after_purchase=broken,
            example=None if example is None else in_words(example),
            links=links,
            seconds_by_part={name: round(value, 1) for name, value in seconds_by_part.items()},
        )
    summary.broken_promises = _broken(summary)
    return summary


async def bought_and_promoted(database: Database) -> int:
    """How many promotions were allowed of an item the person had already bought; it must be none."""
    async with database.transaction() as connection:
        return int(await connection.fetchval(_BROKEN))


def _broken(summary: Summary) -> list[str]:
    """What did not happen although it was promised, in words."""
    said: list[str] = []
    if summary.bought_items_promoted_after_purchase:
        said.append(
            f"{summary.bought_items_promoted_after_purchase} bought items were promoted after purchase"
        )
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


def _variety(summary: Summary) -> Counts:
    return {
        "runs of cart-abandonment": sum(summary.runs.get("cart-abandonment", {}).values()),
        "runs of post-purchase": sum(summary.runs.get("post-purchase", {}).values()),
        "runs of win-back": sum(summary.runs.get("win-back", {}).values()),
        "mails": sum(summary.messages.get("email", {}).values()),
        "text messages": sum(summary.messages.get("sms", {}).values()),
        "carts silenced by a purchase": summary.silence["carts_silenced"],
        "promotions withheld because bought": summary.silence["withheld_bought"],
        "carts shrunk": summary.silence["shrunk_carts"],
        "audience removals": summary.silence["audience_bought"],
        "opt-outs": summary.silence["one_click"],
        "merged people": summary.shop["merged"],
    }


async def _in_temporal(client: Client) -> Counts:
    """Journey runs by Temporal's own state."""
    counted = await client.count_workflows("JourneyKey IS NOT NULL GROUP BY ExecutionStatus")
    return {str(group.group_values[0]): group.count for group in counted.groups}


def _counts(rows: Sequence[Any]) -> Counts:
    return {row["name"]: row["n"] for row in rows}


def _nested(rows: Sequence[Any]) -> Nested:
    found: Nested = {}
    for row in rows:
        found.setdefault(row["outer"], {})[row["name"]] = row["n"]
    return found
