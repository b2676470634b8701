"""A wrong merge of two people: the event that makes it, and the cut by which an operator undoes it."""

from datetime import timedelta
from typing import Any

from profiles.merging.unmerge import IdentityCut, cut_identifiers
from tests.support.environments.ingest import (
    IngestHarness,
)

ADA, PHONE = "ada@example.com", "+4915112345678"

ADA_KEY, PHONE_KEY = f"email:{ADA}", f"phone:{PHONE}"

BY = {"actor": "test", "reason": "two people"}

DAY = timedelta(days=1)


async def joined(facts: IngestHarness, **more: Any) -> None:
    """Ingest the event that merges the two by mistake."""
    await facts.happens("Signed In", email=ADA, phone=PHONE, **more)


async def parted(facts: IngestHarness) -> IdentityCut:
    """Cut the mail address from the phone number, as an operator does."""
    return await cut_identifiers(facts.database, ADA_KEY, PHONE_KEY, **BY)
