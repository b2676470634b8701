"""What each check of the gate says it found, word by word."""

from dataclasses import replace

import pytest

from policy.checks.eligibility import (
    address_usable,
    has_consent,
    message_class_valid,
    not_erased,
    not_opted_out,
)
from policy.checks.exclusions import no_open_hold
from policy.checks.frequency_caps import has_priority, under_caps
from policy.checks.operations import no_kill_switch, provider_available
from policy.checks.quiet_hours import outside_quiet_hours
from policy.checks.relevance import has_items_left, not_expired, run_is_active
from policy.checks.result import CheckFunction
from policy.facts import (
    ActiveKillSwitch,
    ConsentFact,
    Facts,
    Plan,
    PlannedItem,
    StopKind,
    Suppression,
    WaitingFact,
)
from policy.limits import CalendarPeriod, Cap, Limits
from policy.verdict import Channel
from tests.support.builders.gate import CHAIR, DAY, HOUR, LAMP, MAIL, MINUTE, NOW, OFFER, RECEIPT, TEN, YES

AD = replace(OFFER, channel=Channel.ADS)

NO = Facts(consents=(ConsentFact("sms", "offers", granted=False), ConsentFact("all", "all", granted=False)))

BOUGHT = replace(YES, suppressions=(Suppression("lamp", None, None),))

RESTING = replace(YES, breaker_open_until=NOW + 7 * MINUTE)

SAID: list[tuple[CheckFunction, Plan, Facts, Limits, str]] = [
    (no_kill_switch, OFFER, YES, Limits(), "no kill switch"),
    (
        no_kill_switch,
        OFFER,
        YES,
        Limits(kill_switches=("hello", "sms", "hello", "")),
        "kill switch on for hello, sms",
    ),
    (
        no_kill_switch,
        OFFER,
        replace(
            YES,
            stopped=(
                ActiveKillSwitch(StopKind.ALL, "all", NOW - HOUR),
                ActiveKillSwitch(StopKind.CHANNEL, "sms", NOW),
            ),
        ),
        Limits(),
        "everything is stopped since 2026-11-21 11:00+00:00, "
        "channel sms is stopped since 2026-11-21 12:00+00:00",
    ),
    (
        no_kill_switch,
        replace(OFFER, expires_at=NOW),
        replace(YES, stopped=(ActiveKillSwitch(StopKind.TEMPLATE, "hello", NOW),)),
        Limits(),
        "template hello is stopped since 2026-11-21 12:00+00:00, and the message has expired",
    ),
    (not_erased, OFFER, replace(YES, erased=True), Limits(), "the profile was erased"),
    (address_usable, OFFER, replace(YES, has_address=False), Limits(), "no sms address on file"),
    (
        address_usable,
        OFFER,
        replace(YES, address_problem="bounced"),
        Limits(),
        "the address bounced for good",
    ),
    (
        address_usable,
        OFFER,
        replace(YES, address_problem="complained"),
        Limits(),
        "the person reported a message as spam",
    ),
    (
        address_usable,
        OFFER,
        replace(YES, address_problem="fax"),
        Limits(),
        "the address has a problem of an unknown kind",
    ),
    (message_class_valid, RECEIPT, YES, Limits(), "transactional"),
    (
        message_class_valid,
        replace(OFFER, topic="transactional"),
        YES,
        Limits(),
        'marketing under the topic "transactional": give the template its own topic',
    ),
    (
        message_class_valid,
        replace(RECEIPT, promoting=(LAMP, CHAIR)),
        YES,
        Limits(),
        "transactional, but promotes 2 item(s): promote in a marketing template",
    ),
    (
        message_class_valid,
        replace(RECEIPT, channel=Channel.ADS),
        YES,
        Limits(),
        "transactional, but an ad: ads are marketing",
    ),
    (not_opted_out, OFFER, YES, Limits(), "no opt-out from all, marketing, offers"),
    (not_opted_out, RECEIPT, YES, Limits(), "no opt-out from transactional"),
    (
        not_opted_out,
        OFFER,
        replace(YES, opted_out=("all", "offers", "all", "news")),
        Limits(),
        "the address is opted out of all, offers",
    ),
    (
        not_opted_out,
        RECEIPT,
        replace(YES, opted_out=("transactional", "all")),
        Limits(),
        "the address is opted out of transactional, all",
    ),
    (not_opted_out, OFFER, NO, Limits(), "the person withdrew offers on sms, all on all"),
    (has_consent, RECEIPT, YES, Limits(), "transactional messages need no consent"),
    (has_consent, OFFER, YES, Limits(), "granted: offers on sms, all on all"),
    (has_consent, OFFER, NO, Limits(), "consent for offers on sms was withdrawn"),
    (has_consent, OFFER, Facts(), Limits(), "no grant of offers on sms on file"),
    (
        has_consent,
        MAIL,
        Facts(address_from_order=True),
        Limits(),
        "nothing on file, but the address came with an order or a checkout",
    ),
    (run_is_active, OFFER, replace(YES, run_state="ended"), Limits(), "the run is ended"),
    (not_expired, replace(OFFER, expires_at=NOW), YES, Limits(), "expired at 2026-11-21T12:00:00+00:00"),
    (has_items_left, RECEIPT, YES, Limits(), "promotes nothing"),
    (has_items_left, OFFER, YES, Limits(), "1 of 1 item(s) left"),
    (has_items_left, OFFER, BOUGHT, Limits(), "0 of 1 item(s) left: lamp suppressed"),
    (
        has_items_left,
        replace(OFFER, promoting=(LAMP, CHAIR, PlannedItem(None, None), PlannedItem("", ""))),
        replace(YES, out_of_stock=frozenset({"chair"})),
        Limits(),
        "1 of 4 item(s) left: chair out of stock, 2 without product or sku",
    ),
    (
        has_items_left,
        replace(OFFER, cart_id="c-1", promoting=(LAMP, CHAIR)),
        replace(YES, cart=(CHAIR,), out_of_stock=frozenset({"lamp"})),
        Limits(),
        "1 of 2 item(s) left: lamp not in the cart",
    ),
    (under_caps, RECEIPT, YES, Limits(), "transactional messages are not capped"),
    (under_caps, AD, YES, Limits(), "ads are not capped"),
    (under_caps, OFFER, YES, Limits(caps=()), "no cap"),
    (
        under_caps,
        OFFER,
        YES,
        Limits(caps=(Cap(3, HOUR, Channel.SMS, "win-back", "offers"), Cap(4, per=CalendarPeriod.DAY))),
        "0 of 3 on sms for win-back about offers in 1 hour; 0 of 4 on all channels today (since 00:00 UTC)",
    ),
    (under_caps, OFFER, YES, Limits(caps=(Cap(0, DAY),)), "cap reached: 0 of 0 on all channels in 1 day"),
    (has_priority, AD, YES, Limits(), "not capped, so it yields to nobody"),
    (
        has_priority,
        OFFER,
        replace(
            YES, waiting=(WaitingFact(Channel.PUSH, "news", "offers", NOW + HOUR, NOW + DAY, NOW - HOUR),)
        ),
        Limits(caps=(Cap(1, DAY, Channel.SMS),)),
        "nothing more important needs the slot; 1 waiting",
    ),
    (no_open_hold, OFFER, YES, Limits(), "nothing holds it"),
    (
        no_open_hold,
        RECEIPT,
        replace(YES, held=("a return",)),
        Limits(),
        "transactional messages are not held",
    ),
    (outside_quiet_hours, MAIL, YES, Limits(), "no quiet hours on email"),
    (provider_available, AD, YES, Limits(), "ads have no provider here"),
    (provider_available, OFFER, YES, Limits(), "no budget on sms"),
    (
        provider_available,
        OFFER,
        RESTING,
        Limits(),
        "the provider of sms failed over and over; left alone until 2026-11-21T12:07:00+00:00",
    ),
    (
        provider_available,
        OFFER,
        replace(YES, claims_last_minute=9),
        TEN,
        "9 of 10 on sms in the last minute",
    ),
]


@pytest.mark.parametrize(
    ("check", "plan", "facts", "limits", "expected"),
    SAID,
    ids=[f"{row[0].__name__}: {row[4]}" for row in SAID],
)
def test_a_check_says_what_it_found(
    check: CheckFunction, plan: Plan, facts: Facts, limits: Limits, expected: str
) -> None:
    assert expected == check(plan, facts, limits, NOW).detail
