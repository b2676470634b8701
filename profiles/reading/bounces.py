"""What a report that a message was not delivered says about its address, in the words of providers. Pure.

The table is the only place that knows these words. To read one more, add its row. A report that states
nothing of its kind is a hard bounce.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from profiles.reading.event_names import fold_name


class BounceKind(StrEnum):
    """What a report says about the address."""

    HARD = "bounced"
    """The address does not exist, or takes no messages."""
    SOFT = "bounced_softly"
    """It was not delivered now: the mailbox is full, the phone is off, the provider was refused."""
    NOT_OF_ADDRESS = "not_of_address"
    """The message or the account of the shop was refused. Says nothing about the address."""
    OPTED_OUT = "opted_out"
    """The provider keeps the address on its list of opt-outs."""
    COMPLAINED = "complained"
    """The provider keeps the address on its list of complaints."""


@dataclass(frozen=True, slots=True)
class ProviderWord:
    """A word of a provider, and what it says."""

    word: str
    """In any case; only its letters and digits count."""
    kind: BounceKind
    seen_at: str
    """Where it is used."""
    is_weak: bool = False
    """Whether a more exact word in the same report has precedence."""


_HARD, _SOFT, _OTHER = BounceKind.HARD, BounceKind.SOFT, BounceKind.NOT_OF_ADDRESS
_OPTED_OUT, _COMPLAINED = BounceKind.OPTED_OUT, BounceKind.COMPLAINED

PROVIDER_WORDS = (
    ProviderWord("bounce", _HARD, "SendGrid: event and type", is_weak=True),
    ProviderWord("bounced", _HARD, "Mailchimp Transactional, Customer.io", is_weak=True),
    ProviderWord("dropped", _SOFT, "SendGrid: event; its reason says more", is_weak=True),
    ProviderWord("failed", _SOFT, "Twilio: MessageStatus; Mailgun: event", is_weak=True),
    ProviderWord("undelivered", _SOFT, "Twilio: MessageStatus", is_weak=True),
    ProviderWord("rejected", _SOFT, "Mailgun, Mailchimp Transactional", is_weak=True),
    ProviderWord("blocked", _SOFT, "SendGrid: event and type; Brevo; Postmark"),
    ProviderWord("deferred", _SOFT, "SendGrid: event; Brevo; the provider tries again"),
    ProviderWord("delayed", _SOFT, "SparkPost, Resend; the provider tries again"),
    ProviderWord("DeliveryDelay", _SOFT, "Amazon SES: eventType"),
    ProviderWord("Bounced Address", _HARD, "SendGrid: reason of dropped"),
    ProviderWord("Invalid", _HARD, "SendGrid: reason of dropped"),
    ProviderWord("Unsubscribed Address", _OPTED_OUT, "SendGrid: reason of dropped"),
    ProviderWord("Spam Reporting Address", _COMPLAINED, "SendGrid: reason of dropped"),
    ProviderWord("Spam Content", _OTHER, "SendGrid: reason of dropped"),
    ProviderWord("Invalid SMTPAPI header", _OTHER, "SendGrid: reason of dropped"),
    ProviderWord("Recipient List over Package Quota", _OTHER, "SendGrid: reason of dropped"),
    ProviderWord("Invalid Address", _HARD, "SendGrid: bounce_classification"),
    ProviderWord("Mailbox Unavailable", _SOFT, "SendGrid: bounce_classification"),
    ProviderWord("Technical", _SOFT, "SendGrid: bounce_classification"),
    ProviderWord("Technical Failure", _SOFT, "SendGrid: bounce_classification"),
    ProviderWord("Frequency or Volume Too High", _SOFT, "SendGrid: bounce_classification"),
    ProviderWord("Reputation", _SOFT, "SendGrid: bounce_classification"),
    ProviderWord("Content", _OTHER, "SendGrid: bounce_classification"),
    ProviderWord("Permanent", _HARD, "Amazon SES: bounceType; Mailgun: severity"),
    ProviderWord("Transient", _SOFT, "Amazon SES: bounceType; Postmark"),
    ProviderWord("Temporary", _SOFT, "Mailgun: severity"),
    ProviderWord("Undetermined", _SOFT, "Amazon SES: bounceType; SparkPost"),
    ProviderWord("NoEmail", _HARD, "Amazon SES: bounceSubType"),
    ProviderWord("Suppressed", _HARD, "Amazon SES: bounceSubType"),
    ProviderWord("OnAccountSuppressionList", _HARD, "Amazon SES: bounceSubType"),
    ProviderWord("MailboxFull", _SOFT, "Amazon SES: bounceSubType"),
    ProviderWord("MessageTooLarge", _OTHER, "Amazon SES: bounceSubType"),
    ProviderWord("ContentRejected", _OTHER, "Amazon SES: bounceSubType"),
    ProviderWord("AttachmentRejected", _OTHER, "Amazon SES: bounceSubType"),
    ProviderWord("suppress-bounce", _HARD, "Mailgun: reason"),
    ProviderWord("suppress-unsubscribe", _OPTED_OUT, "Mailgun: reason"),
    ProviderWord("suppress-complaint", _COMPLAINED, "Mailgun: reason"),
    ProviderWord("hard", _HARD, "Klaviyo: Bounce Type; Mailchimp"),
    ProviderWord("hard_bounce", _HARD, "Brevo, Mailchimp Transactional, Postmark"),
    ProviderWord("hard_bounced", _HARD, "Braze"),
    ProviderWord("Email Hard Bounced", _HARD, "the name of the event"),
    ProviderWord("soft", _SOFT, "Klaviyo: Bounce Type; Mailchimp"),
    ProviderWord("soft_bounce", _SOFT, "Brevo, Mailchimp Transactional, Postmark"),
    ProviderWord("soft_bounced", _SOFT, "Braze"),
    ProviderWord("Email Soft Bounced", _SOFT, "the name of the event"),
    ProviderWord("invalid_email", _HARD, "Brevo"),
    ProviderWord("BadEmailAddress", _HARD, "Postmark"),
    ProviderWord("ManuallyDeactivated", _HARD, "Postmark"),
    ProviderWord("DnsError", _SOFT, "Postmark"),
    ProviderWord("AutoResponder", _OTHER, "Postmark: an answer of the mailbox"),
    ProviderWord("ChallengeVerification", _OTHER, "Postmark: an answer of the mailbox"),
    ProviderWord("DMARCPolicy", _OTHER, "Postmark: the domain of the shop"),
    ProviderWord("TemplateRenderingFailed", _OTHER, "Postmark"),
    ProviderWord("SMTPApiError", _OTHER, "Postmark"),
    ProviderWord("SpamNotification", _SOFT, "Postmark"),
    ProviderWord("SpamComplaint", _COMPLAINED, "Postmark"),
    ProviderWord("Unsubscribe", _OPTED_OUT, "Postmark"),
    ProviderWord("invalid-sender", _OTHER, "Mailchimp Transactional: reject reason"),
)
"""Words of providers in the fields that ``_WORD_FIELDS`` names."""

ERROR_CODES = {
    **dict.fromkeys((21211, 21214, 21217, 21401, 21421, 21614, 21635, 30005, 30006), _HARD),
    **dict.fromkeys((30003, 30004, 30008, 30017, 30018, 30019, 30022, 30023, 30410), _SOFT),
    **dict.fromkeys(
        (21408, 21601, 21602, 21603, 21606, 21611, 21617, 21659, 21660, 30001, 30002, 30007, 30009, 30010),
        _OTHER,
    ),
    **dict.fromkeys((30024, 30032, 30033, 30034, 30035, 30036, 30450, 63038), _OTHER),
    21610: _OPTED_OUT,
}
"""Twilio's error codes for messages (twilio.com/docs/api/errors). A filter of carriers, an account without
right and a text that is too long say nothing about the number."""

BOUNCE_CLASSES = {
    **dict.fromkeys((10, 30), _HARD),
    **dict.fromkeys((1, 20, 21, 22, 24, 40, 50, 51, 70), _SOFT),
    **dict.fromkeys((23, 25, 52, 53, 54, 60, 80, 100), _OTHER),
    90: _OPTED_OUT,
}
"""SparkPost's ``bounce_class``."""

_PRECEDENCE = (_COMPLAINED, _OPTED_OUT, _OTHER, _SOFT, _HARD)
"""Of several words the first of these counts: the one that closes the address least, after the refusals."""

_WORD_FIELDS = frozenset(
    map(
        fold_name,
        (
            *("bounce_type", "bounceType", "bounce_sub_type", "bounce_classification", "bounce_class"),
            *(
                "type",
                "sub_type",
                "kind",
                "classification",
                "severity",
                "event",
                "event_type",
                "recipientState",
            ),
            *("status", "message_status", "sms_status", "state", "reason", "bounce_reason", "reject_reason"),
            *("failure_reason", "drop_reason", "error", "error_code", "code", "smtp_code", "smtp_status"),
            *(
                "response",
                "smtp_response",
                "description",
                "diagnostic_code",
                "diagnosticCode",
                "error_message",
            ),
        ),
    )
)
"""Fields of a report that are read."""

_STATED_FIELDS = frozenset(
    map(fold_name, ("bounce_type", "bounce_sub_type", "bounce_classification", "bounce_class", "severity"))
)
"""Fields that can only mean the kind of a bounce. An unknown word in one of them is a soft bounce."""

_NESTED_FIELDS = frozenset(
    map(fold_name, ("bounce", "failure", "delivery_status", "delivery-status", "data"))
)

_FLAGS = {"hardbounce": _HARD, "ishard": _HARD, "permanent": _HARD, "softbounce": _SOFT, "issoft": _SOFT}

_WORDS = {fold_name(row.word): row for row in PROVIDER_WORDS}

_CODE_FIELDS = frozenset(map(fold_name, ("error_code", "code", "error", "status", "reason")))

_ENHANCED_STATUS = re.compile(r"(?<![\d.])([45])\.(\d{1,3})\.(\d{1,3})(?![\d.])")

_SMTP_CODE = re.compile(r"\s*([45]\d\d)(?!\d)")

MAX_FIELD_LENGTH = 300
"""Characters of a field that are read."""

MAX_FIELDS = 60
"""Fields of a report that are read."""


@dataclass(frozen=True, slots=True)
class BounceReading:
    """What a report says."""

    kind: BounceKind
    word: str = ""
    """The value that says it, as sent; empty: nothing does."""
    is_pending: bool = False
    """Whether the provider still tries: the message may be delivered yet."""
    unknown: str = ""
    """The value of a field that states the kind in a word that is not known."""


def read_bounce(properties: Mapping[str, Any], name: str = "") -> BounceReading:
    """Read a report that a message was not delivered. ``name``: the name that the sender gave the event.

    Of words that contradict each other, the one that leaves the address open has precedence; a stated
    opt-out and a stated complaint have precedence over all.
    """
    exact: list[tuple[BounceKind, str]] = []
    weak: list[tuple[BounceKind, str]] = []
    unknown = ""
    fields = [("event", name), *_fields_of(properties)]
    for field, value in fields:
        found = _read_value(field, value)
        if found is None:
            if field in _STATED_FIELDS and str(value).strip():
                unknown = unknown or str(value)[:MAX_FIELD_LENGTH]
            continue
        kind, is_weak = found
        (weak if is_weak else exact).append((kind, str(value)[:MAX_FIELD_LENGTH]))
    pending = any(fold_name(str(value)[:40]) in _PENDING for field, value in fields if field in _WORD_FIELDS)
    # A word that is not known says more than a weak one.
    for kinds in (exact,) if unknown else (exact, weak):
        if kinds:
            kind, word = min(kinds, key=lambda each: _PRECEDENCE.index(each[0]))
            return BounceReading(kind, word, is_pending=pending)
    if unknown:
        return BounceReading(BounceKind.SOFT, unknown, unknown=unknown)
    return BounceReading(BounceKind.HARD)


_PENDING = frozenset(map(fold_name, ("deferred", "delayed", "DeliveryDelay")))


def _fields_of(properties: Mapping[str, Any], *, nested: bool = True) -> Iterator[tuple[str, Any]]:
    for name, value in list(properties.items())[:MAX_FIELDS]:
        if not isinstance(name, str) or len(name) > MAX_FIELD_LENGTH:
            continue
        folded = fold_name(name)
        if isinstance(value, Mapping):
            if nested and folded in _NESTED_FIELDS:
                yield from _fields_of(value, nested=False)
        elif folded in _WORD_FIELDS or folded in _FLAGS:
            yield folded, value


def _read_value(field: str, value: Any) -> tuple[BounceKind, bool] | None:
    """Return what a value says, and whether weakly; None where it says nothing that is known."""
    if field in _FLAGS:
        return (_FLAGS[field], False) if value is True else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value)[:MAX_FIELD_LENGTH]
    if (row := _WORDS.get(fold_name(text))) is not None:
        return row.kind, row.is_weak
    if text.strip().isdecimal() and text.isascii():
        if field == "bounceclass":
            kind = BOUNCE_CLASSES.get(int(text))
            return None if kind is None else (kind, False)
        if field in _CODE_FIELDS and (kind := ERROR_CODES.get(int(text))) is not None:
            return kind, False
    return _read_smtp(text)


def _read_smtp(text: str) -> tuple[BounceKind, bool] | None:
    """Read a status of RFC 3463, such as 5.1.1, else a reply code of RFC 5321, such as 550."""
    if (found := _ENHANCED_STATUS.search(text)) is not None:
        digit, subject, detail = found[1], int(found[2]), int(found[3])
        if digit == "4":
            return _SOFT, False
        match subject, detail:
            case (1, 7 | 8) | (2, 3) | (6, _):
                return _OTHER, False
            case (1, _) | (2, 1) | (4, 4):
                return _HARD, False
            case (2 | 3 | 4 | 7, _):
                return _SOFT, False
        return _HARD, True
    if (code := _SMTP_CODE.match(text)) is not None:
        if code[1].startswith("4") or code[1] == "552":
            return _SOFT, False
        return _HARD, True
    return None
