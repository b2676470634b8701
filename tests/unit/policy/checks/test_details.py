"""What each check of the gate says it found, word by word."""

from dataclasses import dataclass, replace
from datetime import time

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
    SentFact,
    StopKind,
    Suppression,
    WaitingFact,
)
from policy.hours.jurisdictions import Jurisdiction
from policy.hours.places import Place
from policy.hours.windows import Window
from policy.limits import CalendarPeriod, Cap, Limits
from policy.verdict import Channel, Reason
from tests.support.builders.gate import CHAIR, DAY, HOUR, LAMP, MAIL, MINUTE, NOW, OFFER, RECEIPT, TEN, YES

AD = replace(OFFER, channel=Channel.ADS)

NO = Facts(consents=(ConsentFact("sms", "offers", granted=False), ConsentFact("all", "all", granted=False)))

BOUGHT = replace(YES, suppressions=(Suppression("lamp", None, None),))

RESTING = replace(YES, breaker_open_until=NOW + 7 * MINUTE)

SENT = replace(YES, sent=(SentFact(Channel.SMS, NOW - HOUR),))

OPEN = "open 08:00 to 21:00"

DAYTIME = Jurisdiction((Window(time(8), time(20)),))


def living_in(*zones: str) -> Facts:
    """Somebody whose number is of a country with these zones."""
    return replace(YES, zones=zones, zone_source="phone")


DEFAULTS = Limits()


@dataclass(frozen=True)
class Case:
    """What a check finds and says: of an offer to somebody who agreed, unless a row names another message."""

    check: CheckFunction
    detail: str
    reason: Reason | None = None
    plan: Plan = OFFER
    facts: Facts = YES
    limits: Limits = DEFAULTS


CASES = [
    Case(no_kill_switch, "no kill switch"),
    Case(
        no_kill_switch,
        "kill switch on for hello, sms",
        Reason.KILL_SWITCH,
        limits=Limits(kill_switches=("hello", "sms", "hello", "")),
    ),
    Case(
        no_kill_switch,
        "everything is stopped since 2026-11-21 11:00+00:00, "
        "channel sms is stopped since 2026-11-21 12:00+00:00",
        Reason.KILL_SWITCH,
        facts=replace(
            YES,
            stopped=(
                ActiveKillSwitch(StopKind.ALL, "all", NOW - HOUR),
                ActiveKillSwitch(StopKind.CHANNEL, "sms", NOW),
            ),
        ),
    ),
    Case(
        no_kill_switch,
        "template hello is stopped since 2026-11-21 12:00+00:00, and the message has expired",
        Reason.KILL_SWITCH,
        plan=replace(OFFER, expires_at=NOW),
        facts=replace(YES, stopped=(ActiveKillSwitch(StopKind.TEMPLATE, "hello", NOW),)),
    ),
    Case(not_erased, "the profile was erased", Reason.ERASED, facts=replace(YES, erased=True)),
    Case(address_usable, "no sms address on file", Reason.NO_ADDRESS, facts=replace(YES, has_address=False)),
    Case(
        address_usable,
        "the address bounced for good",
        Reason.BOUNCED,
        facts=replace(YES, address_problem="bounced"),
    ),
    Case(
        address_usable,
        "the address bounced for good; it was reopened for transactional messages only",
        Reason.BOUNCED,
        facts=replace(YES, address_problem="bounced_reopened"),
    ),
    Case(
        address_usable,
        "sms address reopened by an operator",
        plan=RECEIPT,
        facts=replace(YES, address_problem="bounced_reopened"),
    ),
    Case(
        address_usable,
        f"3 messages to the address bounced softly in 7d; it is open again at {(NOW + 13 * DAY).isoformat()}",
        Reason.BOUNCED,
        facts=replace(YES, soft_bounces=(NOW - 3 * DAY, NOW - DAY, NOW - 2 * DAY)),
    ),
    Case(
        address_usable,
        "sms address on file",
        plan=RECEIPT,
        facts=replace(YES, soft_bounces=(NOW - 3 * DAY, NOW - DAY, NOW - 2 * DAY)),
    ),
    Case(
        address_usable,
        "the person reported a message as spam",
        Reason.COMPLAINED,
        facts=replace(YES, address_problem="complained"),
    ),
    Case(
        address_usable,
        "the address has a problem of an unknown kind",
        Reason.NO_ADDRESS,
        facts=replace(YES, address_problem="fax"),
    ),
    Case(message_class_valid, "transactional", plan=RECEIPT),
    Case(
        message_class_valid,
        'marketing under the topic "transactional": give the template its own topic',
        Reason.CONTENT,
        plan=replace(OFFER, topic="transactional"),
    ),
    Case(
        message_class_valid,
        "transactional, but promotes 2 item(s): promote in a marketing template",
        Reason.CONTENT,
        plan=replace(RECEIPT, promoting=(LAMP, CHAIR)),
    ),
    Case(
        message_class_valid,
        "transactional, but an ad: ads are marketing",
        Reason.CONTENT,
        plan=replace(RECEIPT, channel=Channel.ADS),
    ),
    Case(not_opted_out, "no opt-out from all, marketing, offers"),
    Case(not_opted_out, "no opt-out from transactional", plan=RECEIPT),
    Case(
        not_opted_out,
        "the address is opted out of all, offers",
        Reason.OPTED_OUT,
        facts=replace(YES, opted_out=("all", "offers", "all", "news")),
    ),
    Case(
        not_opted_out,
        "the address is opted out of transactional, all",
        Reason.OPTED_OUT,
        plan=RECEIPT,
        facts=replace(YES, opted_out=("transactional", "all")),
    ),
    Case(not_opted_out, "the person withdrew offers on sms, all on all", Reason.OPTED_OUT, facts=NO),
    Case(has_consent, "transactional messages need no consent", plan=RECEIPT),
    Case(has_consent, "granted: offers on sms, all on all"),
    Case(has_consent, "consent for offers on sms was withdrawn", Reason.NO_CONSENT, facts=NO),
    Case(has_consent, "no grant of offers on sms on file", Reason.NO_CONSENT, facts=Facts()),
    Case(
        has_consent,
        "nothing on file, but the address came with an order or a checkout",
        plan=MAIL,
        facts=Facts(address_from_order=True),
    ),
    Case(run_is_active, "the run is ended", Reason.RUN_ENDED, facts=replace(YES, run_state="ended")),
    Case(
        not_expired,
        "expired at 2026-11-21T12:00:00+00:00",
        Reason.EXPIRED,
        plan=replace(OFFER, expires_at=NOW),
    ),
    Case(has_items_left, "promotes nothing", plan=RECEIPT),
    Case(has_items_left, "1 of 1 item(s) left"),
    Case(has_items_left, "0 of 1 item(s) left: lamp suppressed", Reason.PURCHASED, facts=BOUGHT),
    Case(
        has_items_left,
        "1 of 4 item(s) left: chair out of stock, 2 without product or sku",
        plan=replace(OFFER, promoting=(LAMP, CHAIR, PlannedItem(None, None), PlannedItem("", ""))),
        facts=replace(YES, out_of_stock=frozenset({"chair"})),
    ),
    Case(
        has_items_left,
        "1 of 2 item(s) left: lamp not in the cart",
        plan=replace(OFFER, cart_id="c-1", promoting=(LAMP, CHAIR)),
        facts=replace(YES, cart=(CHAIR,), out_of_stock=frozenset({"lamp"})),
    ),
    Case(under_caps, "transactional messages are not capped", plan=RECEIPT),
    Case(under_caps, "ads are not capped", plan=AD),
    Case(under_caps, "no cap", limits=Limits(caps=())),
    Case(
        under_caps,
        "0 of 3 on sms for win-back about offers in 1 hour; 0 of 4 on all channels today (since 00:00 UTC)",
        limits=Limits(caps=(Cap(3, HOUR, Channel.SMS, "win-back", "offers"), Cap(4, per=CalendarPeriod.DAY))),
    ),
    Case(
        under_caps,
        "cap reached: 0 of 0 on all channels in 1 day",
        Reason.CAPPED,
        limits=Limits(caps=(Cap(0, DAY),)),
    ),
    Case(has_priority, "not capped, so it yields to nobody", plan=AD),
    Case(
        has_priority,
        "nothing more important needs the slot; 1 waiting",
        facts=replace(
            YES, waiting=(WaitingFact(Channel.PUSH, "news", "offers", NOW + HOUR, NOW + DAY, NOW - HOUR),)
        ),
        limits=Limits(caps=(Cap(1, DAY, Channel.SMS),)),
    ),
    Case(no_open_hold, "nothing holds it"),
    Case(
        no_open_hold,
        "transactional messages are not held",
        plan=RECEIPT,
        facts=replace(YES, held=("a return",)),
    ),
    Case(outside_quiet_hours, "no quiet hours on email", plan=MAIL),
    Case(provider_available, "ads have no provider here", plan=AD),
    Case(provider_available, "no budget on sms"),
    Case(
        provider_available,
        "the provider of sms failed over and over; left alone until 2026-11-21T12:07:00+00:00",
        Reason.PROVIDER_BUDGET,
        facts=RESTING,
    ),
    Case(
        provider_available,
        "9 of 10 on sms in the last minute",
        facts=replace(YES, claims_last_minute=9),
        limits=TEN,
    ),
    Case(
        under_caps,
        "cap reached: 1 of 1 on sms in 1 day; 1 of 1 on all channels in 2 days; "
        "fits at 2026-11-23T11:00:00+00:00 at the earliest",
        Reason.CAPPED,
        facts=SENT,
        limits=Limits(caps=(Cap(1, DAY, Channel.SMS), Cap(1, 2 * DAY))),
    ),
    # Under a cap of none it never fits.
    Case(
        under_caps,
        "cap reached: 1 of 0 on sms in 1 day; 1 of 1 on all channels in 2 days",
        Reason.CAPPED,
        facts=SENT,
        limits=Limits(caps=(Cap(0, DAY, Channel.SMS), Cap(1, 2 * DAY))),
    ),
    Case(outside_quiet_hours, f"12:00 in UTC (from phone), {OPEN}", facts=living_in("UTC")),
    Case(
        outside_quiet_hours,
        f"12:00 in UTC and 1 other zone of the country (from phone), {OPEN}",
        facts=living_in("UTC", "Europe/Paris"),
    ),
    Case(
        outside_quiet_hours,
        f"12:00 in UTC and 2 other zones of the country (from phone), {OPEN}",
        facts=living_in("UTC", "Europe/Paris", "Europe/Rome"),
    ),
    Case(
        outside_quiet_hours,
        "12:00 in DE (from the address; region unknown, so the strictest of 2 rules), "
        "UTC (from default), open 08:00 to 20:00",
        facts=replace(YES, places=(Place("DE", source="the address"),)),
        limits=Limits(jurisdictions={"DE": DAYTIME, "DE-BY": DAYTIME}),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.check.__name__}: {case.detail}" for case in CASES])
def test_a_check_says_what_it_found(case: Case) -> None:
    found = case.check(case.plan, case.facts, case.limits, NOW)

    assert (found.reason, found.detail) == (case.reason, case.detail)
