"""The promises that the demo checks over everything that was decided; each count must be 0."""

from profiles.database import Database

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


async def bought_and_promoted(database: Database) -> int:
    """How many decisions let a bought item be promoted: the number that must be 0."""
    async with database.transaction() as connection:
        return int(await connection.fetchval(_BOUGHT))


async def promoted_during_a_ticket(database: Database) -> int:
    """How many decisions let marketing out while a support ticket was open; must be 0 as well."""
    async with database.transaction() as connection:
        return int(await connection.fetchval(_TICKET))
