"""The result types of a decision: verdicts, reasons, records of checks, channels and message classes."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Channel(StrEnum):
    """The medium of a message."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    ADS = "ads"


class MessageClass(StrEnum):
    """The legal class of a message. Its registered template declares it, never the caller."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


class Reason(StrEnum):
    """Why a message was withheld or deferred. A closed list, part of the HTTP contract."""

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
    """The recorded result of one check of the gate."""

    name: str
    passed: bool
    detail: str = ""
    """In words, with the values that the check used; no address, no name."""


@dataclass(frozen=True, slots=True)
class Allow:
    """Send the message with the remaining items."""

    items: tuple[str, ...] = ()
    """Keys of the items that may still be promoted, in the order planned."""
    removed: tuple[str, ...] = ()
    """Keys of planned items that are no longer relevant."""
    checks: tuple[CheckRecord, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Withhold:
    """Never send the message under this send key on this channel."""

    reason: Reason
    detail: str = ""
    removed: tuple[str, ...] = ()
    checks: tuple[CheckRecord, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Defer:
    """Do not send the message yet. It passes the whole gate again at ``until``."""

    reason: Reason
    until: datetime
    detail: str = ""
    removed: tuple[str, ...] = ()
    checks: tuple[CheckRecord, ...] = field(default=(), compare=False)


Verdict = Allow | Withhold | Defer
