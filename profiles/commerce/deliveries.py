"""Reports of deliveries: whether the shop's systems send ``Order Delivered`` at all."""

from datetime import datetime, timedelta
from typing import Any

REPORT_WINDOW = timedelta(days=60)
"""A shop that reported no delivery for longer does not report deliveries."""

_SELECT_RECENT_DELIVERY = """
SELECT EXISTS (SELECT FROM event
  WHERE type = 'Order Delivered' AND verified AND at > $1 AND at <= $2 AND superseded_by IS NULL)
"""


async def has_delivery_reports(connection: Any, *, at: datetime) -> bool:
    """Return whether a verified delivery of any order came in within ``REPORT_WINDOW`` before ``at``.

    Read from the index ``event_deliveries``.
    """
    return bool(await connection.fetchval(_SELECT_RECENT_DELIVERY, at - REPORT_WINDOW, at))
