"""The words of providers for a message that was not delivered, and what each says about its address."""

from typing import Any

import pytest

from profiles.reading import bounces
from profiles.reading.bounces import BounceKind, read_bounce

HARD, SOFT, OTHER = BounceKind.HARD, BounceKind.SOFT, BounceKind.NOT_OF_ADDRESS
OPTED_OUT, COMPLAINED = BounceKind.OPTED_OUT, BounceKind.COMPLAINED

REPORTS: list[tuple[str, dict[str, Any], BounceKind]] = [
    ("a report that says nothing of its kind, as a shop's own sender writes it", {}, HARD),
    ("free text that says nothing", {"reason": "mail could not be delivered"}, HARD),
    ("a field that is about something else", {"type": "order_confirmation", "status": "open"}, HARD),
    # SendGrid's Event Webhook, with its own fields.
    (
        "SendGrid: bounce",
        {"event": "bounce", "type": "bounce", "status": "5.0.0", "reason": "500 unknown recipient"},
        HARD,
    ),
    (
        "SendGrid: a block is a bounce with another type",
        {"event": "bounce", "type": "blocked", "status": "5.0.0", "reason": "500 unknown recipient"},
        SOFT,
    ),
    ("SendGrid: blocked", {"event": "blocked", "reason": "550 5.7.1 rejected by policy"}, SOFT),
    ("SendGrid: deferred", {"event": "deferred", "response": "400 try again later", "attempt": "5"}, SOFT),
    ("SendGrid: dropped, for a bounce before", {"event": "dropped", "reason": "Bounced Address"}, HARD),
    ("SendGrid: dropped, for an opt-out", {"event": "dropped", "reason": "Unsubscribed Address"}, OPTED_OUT),
    ("SendGrid: dropped, for a report", {"event": "dropped", "reason": "Spam Reporting Address"}, COMPLAINED),
    ("SendGrid: dropped, for its content", {"event": "dropped", "reason": "Spam Content"}, OTHER),
    ("SendGrid: dropped, without a reason", {"event": "dropped"}, SOFT),
    ("SendGrid: full", {"event": "bounce", "status": "5.2.2"}, SOFT),
    ("SendGrid: classified", {"event": "bounce", "bounce_classification": "Invalid Address"}, HARD),
    ("SendGrid: classified as content", {"event": "bounce", "bounce_classification": "Content"}, OTHER),
    # Twilio's status callback.
    ("Twilio: the phone is off", {"MessageStatus": "undelivered", "ErrorCode": "30003"}, SOFT),
    ("Twilio: unknown number", {"MessageStatus": "undelivered", "ErrorCode": "30005"}, HARD),
    ("Twilio: a landline", {"MessageStatus": "undelivered", "ErrorCode": 30006}, HARD),
    ("Twilio: filtered by the carrier", {"MessageStatus": "undelivered", "ErrorCode": "30007"}, OTHER),
    ("Twilio: unknown error", {"MessageStatus": "failed", "ErrorCode": "30008"}, SOFT),
    ("Twilio: the recipient answered STOP", {"MessageStatus": "failed", "ErrorCode": "21610"}, OPTED_OUT),
    ("Twilio: no mobile number", {"MessageStatus": "failed", "error_code": 21614}, HARD),
    ("Twilio: the account is suspended", {"MessageStatus": "failed", "ErrorCode": "30002"}, OTHER),
    ("Twilio: without a code", {"MessageStatus": "undelivered"}, SOFT),
    # Others.
    ("SES: permanent", {"bounce": {"bounceType": "Permanent", "bounceSubType": "NoEmail"}}, HARD),
    ("SES: transient", {"bounceType": "Transient", "bounceSubType": "MailboxFull"}, SOFT),
    ("SES: the message is too large", {"bounceType": "Transient", "bounceSubType": "MessageTooLarge"}, OTHER),
    ("Mailgun: permanent", {"event": "failed", "severity": "permanent", "code": 550}, HARD),
    ("Mailgun: temporary", {"event": "failed", "severity": "temporary", "code": 421}, SOFT),
    ("Postmark: hard", {"Type": "HardBounce"}, HARD),
    ("Postmark: soft", {"Type": "SoftBounce"}, SOFT),
    ("Postmark: a vacation answer", {"Type": "AutoResponder"}, OTHER),
    ("Klaviyo", {"Bounce Type": "Soft"}, SOFT),
    ("Brevo", {"event": "hard_bounce"}, HARD),
    ("SparkPost: full", {"type": "bounce", "bounce_class": "22"}, SOFT),
    ("SparkPost: invalid recipient", {"type": "bounce", "bounce_class": 10}, HARD),
    ("a flag", {"permanent": True}, HARD),
    ("a flag", {"soft_bounce": True}, SOFT),
    # RFC 3463 and RFC 5321.
    ("a full mailbox", {"reason": "552 5.2.2 mailbox full"}, SOFT),
    ("greylisted", {"response": "451 4.7.1 greylisted, try again"}, SOFT),
    ("a reply code alone", {"smtp_code": 450}, SOFT),
    ("no such user", {"response": "550 5.1.1 user unknown"}, HARD),
    ("the sender's own address", {"status": "5.1.8"}, OTHER),
    ("too large", {"status": "5.3.4"}, SOFT),
    ("content", {"status": "5.6.0"}, OTHER),
    ("a version is no status", {"reason": "client 1.5.1.1.0 gave up"}, HARD),
    # Words that contradict each other: the one that leaves the address open.
    ("a permanent failure that is a full mailbox", {"severity": "permanent", "status": "4.2.2"}, SOFT),
    ("a word that nobody knows", {"bounce_type": "squishy"}, SOFT),
    ("a word that nobody knows, with a weak one", {"event": "bounce", "bounce_type": "squishy"}, SOFT),
]


@pytest.mark.parametrize(
    ("properties", "kind"), [pytest.param(each[1], each[2], id=each[0]) for each in REPORTS]
)
def test_a_report_is_read_in_the_words_of_its_provider(properties: dict[str, Any], kind: BounceKind) -> None:
    assert read_bounce(properties).kind is kind


@pytest.mark.parametrize("row", bounces.PROVIDER_WORDS, ids=lambda row: row.word)
def test_each_word_of_the_table_is_read_in_any_case(row: bounces.ProviderWord) -> None:
    assert read_bounce({"type": row.word.upper()}).kind is row.kind
    assert read_bounce({}, row.word).kind is row.kind


@pytest.mark.parametrize(("code", "kind"), bounces.ERROR_CODES.items())
def test_each_error_code_is_read_as_a_number_and_as_text(code: int, kind: BounceKind) -> None:
    assert [read_bounce({"ErrorCode": value}).kind for value in (code, str(code))] == [kind, kind]


def test_an_unknown_word_is_named_and_a_deferral_is_pending() -> None:
    assert read_bounce({"bounce_type": "squishy"}).unknown == "squishy"
    assert read_bounce({"bounce_type": "hard"}).unknown == ""
    assert read_bounce({"event": "deferred"}).is_pending
    assert not read_bounce({"event": "blocked"}).is_pending


@pytest.mark.parametrize(
    "value",
    [None, [], {}, float("nan"), 10**30, "x" * 100_000, "²", "\x00", {"bounce": {"bounce": {}}}],
    ids=str,
)
def test_no_value_is_too_odd_to_be_read(value: Any) -> None:
    for name in ("type", "ErrorCode", "bounce_class", "status", "bounce"):
        assert read_bounce({name: value}).kind in BounceKind
