"""What each check of the gate says it found, word by word."""

from dataclasses import replace

import pytest

from policy.checks.eligibility import address_works, class_fits, consented, not_erased, not_opted_out
from policy.checks.exclusions import nothing_holds
from policy.checks.frequency_caps import under_caps, yields_to_nobody
from policy.checks.operations import not_switched_off, provider_takes_it
from policy.checks.quiet_hours import in_open_hours
from policy.checks.relevance import items_left, not_expired, run_is_live
from policy.checks.result import CheckFunction
from policy.facts import (
    ConsentFact,
    Facts,
    Plan,
    PlannedItem,
    Stop,
    StopKind,
    Suppression,
    WaitingFact,
)
from policy.limits import Cap, Limits, Period
from policy.verdict import Channel
from tests.gate_cases import CHAIR, DAY, HOUR, LAMP, MAIL, MINUTE, NOW, OFFER, RECEIPT, TEN, YES

AD = replace(OFFER, channel=Channel.ADS)
NO = Facts(consents=(ConsentFact("sms", "offers", granted=False), ConsentFact("all", "all", granted=False)))
BOUGHT = replace(YES, suppressions=(Suppression("lamp", None, None),))
RESTING = replace(YES, breaker_open_until=NOW + 7 * MINUTE)

SAID: list[tuple[CheckFunction, Plan, Facts, Limits, str]] = [
    (not_switched_off, OFFER, YES, Limits(), "no kill switch"),
    (
        not_switched_off,
        OFFER,
        YES,
        Limits(kill_switches=("hello", "sms", "hello", "")),
        "kill switch on for hello, sms",
    ),
    (
        not_switched_off,
        OFFER,
        replace(YES, stopped=(Stop(StopKind.ALL, "all", NOW - HOUR), Stop(StopKind.CHANNEL, "sms", NOW))),
        Limits(),
        "everything is stopped since 2026-11-21 11:00+00:00, "
        "channel sms is stopped since 2026-11-21 12:00+00:00",
    ),
    (
        not_switched_off,
        replace(OFFER, expires_at=NOW),
        replace(YES, stopped=(Stop(StopKind.TEMPLATE, "hello", NOW),)),
        Limits(),
        "template hello is stopped since 2026-11-21 12:00+00:00, and the message has expired",
    ),
    (not_erased, OFFER, replace(YES, erased=True), Limits(), "the profile was erased"),
    (address_works, OFFER, replace(YES, has_address=False), Limits(), "no sms address on file"),
    (
        address_works,
        OFFER,
        replace(YES, address_problem="bounced"),
        Limits(),
        "the address bounced for good",
    ),
    (
        address_works,
        OFFER,
        replace(YES, address_problem="complained"),
        Limits(),
        "the person reported a message as spam",
    ),
    (
        address_works,
        OFFER,
        replace(YES, address_problem="fax"),
        Limits(),
        "the address has a problem of an unknown kind",
    ),
    (class_fits, RECEIPT, YES, Limits(), "transactional"),
    (
        class_fits,
        replace(OFFER, topic="transactional"),
        YES,
        Limits(),
        'marketing under the topic "transactional": give the template its own topic',
    ),
    (
        class_fits,
        replace(RECEIPT, promoting=(LAMP, CHAIR)),
        YES,
        Limits(),
        "transactional, but promotes 2 item(s): promote in a marketing template",
    ),
    (
        class_fits,
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
    (consented, RECEIPT, YES, Limits(), "transactional messages need no consent"),
    (consented, OFFER, YES, Limits(), "granted: offers on sms, all on all"),
    (consented, OFFER, NO, Limits(), "consent for offers on sms was withdrawn"),
    (consented, OFFER, Facts(), Limits(), "no grant of offers on sms on file"),
    (
        consented,
        MAIL,
        Facts(address_from_order=True),
        Limits(),
        "nothing on file, but the address came with an order or a checkout",
    ),
    (run_is_live, OFFER, replace(YES, run_state="ended"), Limits(), "the run is ended"),
    (not_expired, replace(OFFER, expires_at=NOW), YES, Limits(), "expired at 2026-11-21T12:00:00+00:00"),
    (items_left, RECEIPT, YES, Limits(), "promotes nothing"),
    (items_left, OFFER, YES, Limits(), "1 of 1 item(s) left"),
    (items_left, OFFER, BOUGHT, Limits(), "0 of 1 item(s) left: lamp suppressed"),
    (
        items_left,
        replace(OFFER, promoting=(LAMP, CHAIR, PlannedItem(None, None), PlannedItem("", ""))),
        replace(YES, out_of_stock=frozenset({"chair"})),
        Limits(),
        "1 of 4 item(s) left: chair out of stock, 2 without product or sku",
    ),
    (
        items_left,
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
        Limits(caps=(Cap(3, HOUR, Channel.SMS, "win-back", "offers"), Cap(4, per=Period.DAY))),
        "0 of 3 on sms for win-back about offers in 1 hour; 0 of 4 on all channels today (since 00:00 UTC)",
    ),
    (under_caps, OFFER, YES, Limits(caps=(Cap(0, DAY),)), "cap reached: 0 of 0 on all channels in 1 day"),
    (yields_to_nobody, AD, YES, Limits(), "not capped, so it yields to nobody"),
    (
        yields_to_nobody,
        OFFER,
        replace(
            YES, waiting=(WaitingFact(Channel.PUSH, "news", "offers", NOW + HOUR, NOW + DAY, NOW - HOUR),)
        ),
        Limits(caps=(Cap(1, DAY, Channel.SMS),)),
        "nothing more important needs the slot; 1 waiting",
    ),
    (nothing_holds, OFFER, YES, Limits(), "nothing holds it"),
    (
        nothing_holds,
        RECEIPT,
        replace(YES, held=("a return",)),
        Limits(),
        "transactional messages are not held",
    ),
    (in_open_hours, MAIL, YES, Limits(), "no quiet hours on email"),
    (provider_takes_it, AD, YES, Limits(), "ads have no provider here"),
    (provider_takes_it, OFFER, YES, Limits(), "no budget on sms"),
    (
        provider_takes_it,
        OFFER,
        RESTING,
        Limits(),
        "the provider of sms failed over and over; left alone until 2026-11-21T12:07:00+00:00",
    ),
    (
        provider_takes_it,
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
