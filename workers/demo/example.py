"""One person for whom a promotion was withheld, and why, in words."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

EXAMPLE = """
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
"""A store purchase by preference, since that is the one other systems miss."""


def in_words(row: Any) -> str:
    """The question and its answer; times in the person's own zone."""
    zone = ZoneInfo(row["zone"] or "UTC")

    def local(at: datetime) -> str:
        return at.astimezone(zone).strftime("%a %d %b %H:%M")

    who, where = row["first_name"], "in the store" if row["bought_in"] == "store" else "online"
    return (
        f"Why did {who} ({row['user_id'] or 'no account'}) not get {row['template']} by {row['channel']} on "
        f"{local(row['at'])}? The {row['name']} in it was bought {where} on {local(row['bought_at'])} "
        f"({row['order_id']})."
    )
