"""The words of a decision: what may be decided, about which kind of message, and why."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Channel(StrEnum):
    """A way to reach a person."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    ADS = "ads"


class MessageClass(StrEnum):
    """What a message is for; comes from its registered template, never from the caller."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


class Reason(StrEnum):
    """Why a message was not sent, or not yet. A closed list, part of the HTTP contract."""

    PURCHASED = "purchased"
    OPTED_OUT = "opted_out"
    NO_CONSENT = "no_consent"
    CAPPED = "capped"
    QUIET_HOURS = "quiet_hours"
    NO_ADDRESS = "no_address"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    EXPIRED = "expired"
    OUT_OF_STOCK = "out_of_stock"
    LOWER_PRIORITY = "lower_priority"
    HOLDOUT = "holdout"
    RUN_ENDED = "run_ended"
    ERASED = "erased"
    KILL_SWITCH = "kill_switch"
    PROVIDER_BUDGET = "provider_budget"
    DUPLICATE = "duplicate"
    CONTENT = "content"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """One check of the gate and what it found."""

    name: str
    passed: bool
    detail: str = ""
    """In words, with the values it stood on; no address, no name."""


@dataclass(frozen=True, slots=True)
class Allow:
    """Send, to what is left of the items."""

    items: tuple[str, ...] = ()
    """Keys of the items that may still be promoted, in the order planned."""
    removed: tuple[str, ...] = ()
    """Keys of planned items that are no longer relevant."""
    checks: tuple[CheckRecord, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Withhold:
    """Do not send, ever, under this send key on this channel."""

    reason: Reason
    detail: str = ""
    removed: tuple[str, ...] = ()
    checks: tuple[CheckRecord, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now; pass the whole gate again at ``until``."""

    reason: Reason
    until: datetime
    detail: str = ""
    removed: tuple[str, ...] = ()
    checks: tuple[CheckRecord, ...] = field(default=(), compare=False)


Verdict = Allow | Withhold | Defer
