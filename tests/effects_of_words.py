"""An activity of an author's own."""

from temporalio import activity


@activity.defn
async def points_of(customer_id: str) -> int:
    """Loyalty points; as many as the id is long."""
    return len(customer_id)
