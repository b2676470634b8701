"""The checks of the gate at their edges."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from policy.checks.frequency_caps import has_priority, outranks, required_history
from policy.checks.operations import no_kill_switch, provider_available
from policy.checks.quiet_hours import allowed_until, outside_quiet_hours
from policy.checks.result import error_result, error_verdict
from policy.facts import ActiveKillSwitch, SentFact, StopKind, WaitingFact
from policy.hours.jurisdictions import Jurisdiction
from policy.hours.places import Place
from policy.hours.windows import QuietHours, Window
from policy.limits import CalendarPeriod, Cap, Limits
from policy.verdict import Channel, Reason
from tests.support.builders.gate import DAY, HOUR, MAIL, MINUTE, NOW, OFFER, TEN, YES


def test_an_empty_name_switches_off_nothing() -> None:
    nameless = replace(OFFER, journey="", template="")

    assert no_kill_switch(nameless, YES, Limits(kill_switches=("",)), NOW).reason is None


def test_of_two_stops_the_older_one_says_when_to_look_again() -> None:
    stops = (
        ActiveKillSwitch(StopKind.ALL, "all", NOW - MINUTE),
        ActiveKillSwitch(StopKind.CHANNEL, "sms", NOW - 6 * HOUR),
    )

    assert no_kill_switch(OFFER, replace(YES, stopped=stops), Limits(), NOW).until == NOW + 30 * MINUTE


def test_somebody_whose_budget_is_spent_comes_back_at_the_same_instant() -> None:
    finding = provider_available(OFFER, replace(YES, person="ada", claims_last_minute=10), TEN, NOW)

    # crc32 of "ada" is 12 modulo 60.
    assert (finding.reason, finding.until) == (Reason.PROVIDER_BUDGET, NOW + timedelta(seconds=72))


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        ((), timedelta(hours=3)),
        ((Cap(1, HOUR), Cap(1, DAY)), DAY),
        ((Cap(1, per=CalendarPeriod.DAY),), 2 * DAY),
        ((Cap(1, per=CalendarPeriod.WEEK),), 8 * DAY),
        ((Cap(1, per=CalendarPeriod.MONTH),), 32 * DAY),
    ],
)
def test_sent_messages_are_read_as_far_back_as_any_cap_or_repetition_reaches(
    caps: tuple[Cap, ...], expected: timedelta
) -> None:
    assert expected == required_history(Limits(caps=caps, duplicates_within=timedelta(hours=3)))


def test_what_cannot_be_decided_says_why_and_whether_it_has_expired() -> None:
    soon, over = error_result(NOW + DAY, NOW, "odd"), error_result(NOW, NOW, "odd")
    verdict = error_verdict(NOW, NOW, KeyError("fax"))

    assert (soon.reason, soon.until, soon.detail) == (Reason.ERROR, NOW + MINUTE, "odd")
    assert (over.reason, over.until, over.detail) == (Reason.ERROR, None, "odd; the message has expired")
    assert verdict.detail == "the facts cannot be read (KeyError); the message has expired"
    assert [(check.name, check.passed, check.detail) for check in verdict.checks] == [
        ("facts", False, verdict.detail)
    ]


def waiting(journey: str, message_id: str = "m-1") -> WaitingFact:
    return WaitingFact(
        Channel.SMS, journey, "offers", NOW + HOUR, NOW + DAY, NOW - HOUR, message_id=message_id
    )


def test_every_cap_that_is_tight_and_every_journey_that_goes_first_is_told() -> None:
    limits = Limits(
        caps=(Cap(1, DAY, Channel.SMS), Cap(2, 2 * DAY)), priorities={"cart": 2, "browse": 1, "win-back": 0}
    )
    facts = replace(YES, waiting=(waiting("cart"), waiting("browse", "m-2"), waiting("cart", "m-3")))

    assert has_priority(OFFER, facts, limits, NOW).detail.startswith(
        "the slot left of 1 on sms in 1 day: 3 of cart, browse waiting go first; "
        "the 2 slots left of 2 on all channels in 2 days: 3 of cart, browse waiting go first; fits at "
    )


def test_nobody_is_yielded_to_where_the_cap_is_full() -> None:
    limits = Limits(caps=(Cap(1, DAY),), priorities={"cart": 1})
    facts = replace(YES, sent=(SentFact(Channel.SMS, NOW - HOUR),), waiting=(waiting("cart"),))

    assert has_priority(OFFER, facts, limits, NOW).reason is None


def test_no_message_outranks_itself() -> None:
    itself = waiting("win-back")
    plan = replace(OFFER, since=itself.since, message_id="m-1")

    assert not outranks(itself, plan, Limits())
    assert outranks(itself, replace(plan, message_id="m-2"), Limits())
    assert not outranks(itself, replace(plan, message_id="m-0"), Limits())


def test_a_window_of_seconds_is_not_slept_through() -> None:
    limits = Limits(quiet_hours={Channel.SMS: QuietHours(time(13), time(13, 0, 3))})
    finding = outside_quiet_hours(replace(OFFER, key="run-1/offer"), YES, limits, NOW)

    assert (finding.reason, finding.until) == (Reason.QUIET_HOURS, NOW + HOUR)


def test_where_no_hours_govern_a_message_may_arrive_until_it_expires() -> None:
    assert allowed_until(MAIL, YES, Limits(), NOW) == MAIL.expires_at


def test_the_holidays_of_two_places_are_both_named() -> None:
    christmas = NOW.replace(month=12, day=25)
    limits = Limits(
        jurisdictions={
            "DE": Jurisdiction((Window(time(8), time(20)),), holidays=(), days=(christmas.date(),)),
            "FR": Jurisdiction((Window(time(8), time(20)),), holidays=(), calendar="FR"),
        }
    )
    facts = replace(YES, places=(Place("DE", source="the address"), Place("FR", source="the phone number")))

    said = outside_quiet_hours(replace(OFFER, expires_at=christmas + DAY), facts, limits, christmas).detail

    assert said.startswith(
        "12:00 in DE (from the address) and FR (from the phone number), UTC (from default)"
    )
    assert "closed on Friday (" in said
    assert " and a public holiday)" in said
