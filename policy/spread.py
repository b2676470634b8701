"""Decides how long after an opening a message that waited for it wakes, so that not all wake at once."""

import hashlib
from datetime import datetime, timedelta

from policy.facts import Facts, Plan
from policy.limits import Limits

_PART = 4
"""The spread takes at most this part of the window, so that a short one is not used up by waiting."""


def wake_up(plan: Plan, facts: Facts, limits: Limits, opening: datetime, closes: datetime | None) -> datetime:
    """An instant in [opening, opening + spread), in whole seconds after the opening.

    The same at every attempt: it depends on the person and the send key alone. The spread is that of the
    channel, but no more than a quarter of the time from the opening until the window closes (None: never)
    or the message expires, so the message neither sleeps past its window nor past its expiry. A plan
    without a key wakes at the opening itself.
    """
    end = min(closes or plan.expires_at, plan.expires_at)
    spread = min(limits.spread.get(plan.channel, timedelta()), (end - opening) / _PART)
    if not plan.key or spread <= timedelta():
        return opening
    # The length in front keeps ("ab", "c") and ("a", "bc") apart.
    digest = hashlib.sha256(f"{len(plan.key)}:{plan.key}:{facts.person}".encode()).digest()
    return opening + timedelta(seconds=int.from_bytes(digest, "big") * int(spread.total_seconds()) >> 256)
