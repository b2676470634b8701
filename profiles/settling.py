"""What becomes of a claim: taken by the provider, given back, or unknown; and of an address that refuses."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

_RECORD = """
UPDATE message SET
  status = CASE WHEN status IN ('claimed', 'unknown', 'unknown_final') THEN 'sent' ELSE status END,
  provider = $3, provider_id = $4, sent_at = $5,
  accept_recorded_at = COALESCE(accept_recorded_at, clock_timestamp())
WHERE message_id = $1 AND token = $2
"""

_RELEASE = """
UPDATE message SET status = 'released', reason = $3, claimed_at = NULL, claim_recorded_at = NULL
WHERE message_id = $1 AND token = $2 AND status IN ('claimed', 'unknown', 'unknown_final')
"""

_UNKNOWN = "UPDATE message SET status = 'unknown' WHERE message_id = $1 AND status = 'claimed'"

_STALE = """
UPDATE message SET status = CASE status WHEN 'claimed' THEN 'unknown' ELSE 'unknown_final' END
WHERE (status = 'claimed' AND claim_recorded_at < now() - $1::interval)
   OR (status = 'unknown' AND claim_recorded_at < now() - $2::interval) RETURNING status
"""


async def record_sent(
    connection: Any, message_id: UUID, token: UUID, *, provider: str, provider_id: str, at: datetime
) -> None:
    """The provider took it. The holder's own record may replace ``unknown``; a webhook's later word stays."""
    await connection.execute(_RECORD, message_id, token, provider, provider_id, at)


async def release(connection: Any, message_id: UUID, token: UUID, reason: str) -> None:
    """Definitely not sent: the claim is void and the cap is given back."""
    await connection.execute(_RELEASE, message_id, token, reason)


async def mark_unknown(connection: Any, message_id: UUID) -> None:
    """Perhaps sent: nobody may call for this send key again."""
    await connection.execute(_UNKNOWN, message_id)


async def settle_stale(
    connection: Any, *, claims: timedelta = timedelta(minutes=5), unknowns: timedelta = timedelta(minutes=15)
) -> int:
    """Claims nobody recorded become unknown, unknowns no webhook settled become final. Returns how many."""
    return len(await connection.fetch(_STALE, claims, unknowns))


_REFUSED = """
INSERT INTO opt_out (channel, address, topic, source, state, time, at)
VALUES ($1, $2, 'all', 'provider', 'withdrawn', $3, $3)
ON CONFLICT (channel, address, topic) DO UPDATE SET source = excluded.source, state = excluded.state,
  time = excluded.time, at = excluded.at WHERE excluded.time >= opt_out.time
"""

_FAULTY = """
INSERT INTO address_problem (channel, address, problem, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""


async def refuse_address(connection: Any, channel: str, address: str, problem: str, at: datetime) -> None:
    """The provider said this address takes no messages (bounced), or wants none (opted_out).

    A stop is entered with the topic "all", which only a later grant of that topic lifts.
    """
    if problem == "opted_out":
        await connection.execute(_REFUSED, channel, address, at)
    else:
        await connection.execute(_FAULTY, channel, address, problem, at)
