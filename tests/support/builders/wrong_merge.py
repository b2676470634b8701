"""People taken apart: whose runs, carts and words are whose afterwards."""

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
    """The wrong event."""
    await facts.happens("Signed In", email=ADA, phone=PHONE, **more)


async def parted(facts: IngestHarness) -> IdentityCut:
    """The operator's word."""
    return await cut_identifiers(facts.database, ADA_KEY, PHONE_KEY, **BY)
