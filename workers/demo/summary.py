"""What the demo did, counted in Postgres and in Temporal."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from temporalio.client import Client

from profiles.database import Database
from workers.demo.breaches import bought_and_promoted, promoted_during_a_ticket
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
  (SELECT count(*) FROM profile WHERE merged_into IS NOT NULL) AS merged,
  (SELECT count(*) FROM event WHERE type = 'Customer Lapsed'
    AND properties->>'median_gap_days' IS NOT NULL) AS lapsed_by_rhythm
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

_SOLD_OUT = '$[*] ? (@.name == "items" && @.detail like_regex "out of stock")'
"""In the checks of a decision: something in it was sold out."""

_PATIENCE = """
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

_EXPERIMENTS = """
SELECT experiment AS outer, arm AS name, count(DISTINCT profile_id) AS n FROM exposure
GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
"""


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
    patience: Counts
    """What waited for something more important, or for news."""
    experiments: Nested
    """Experiment → arm → people."""
    bought_items_promoted_after_purchase: int
    promoted_while_a_ticket_was_open: int
    example: str | None
    seconds_by_part: dict[str, float]
    links: dict[str, str] = field(default_factory=dict)
    """Where to look; empty where nothing stays up."""
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
    seconds: float,
    seconds_by_part: dict[str, float],
) -> Summary:
    """Count everything. ``opening``: when the first day of the calendar began."""
    bought, promoted = await bought_and_promoted(database), await promoted_during_a_ticket(database)
    async with database.transaction() as connection:
        example = await connection.fetchrow(EXAMPLE)
        return Summary(
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
            silence=dict(await connection.fetchrow(_SILENCE, _SOLD_OUT)),
            patience=dict(await connection.fetchrow(_PATIENCE, _SOLD_OUT)),
            experiments=_nested(await connection.fetch(_EXPERIMENTS)),
            bought_items_promoted_after_purchase=bought,
            promoted_while_a_ticket_was_open=promoted,
            example=None if example is None else in_words(example),
            seconds_by_part={name: round(value, 1) for name, value in seconds_by_part.items()},
        )


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
