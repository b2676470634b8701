"""The gate at night: who waits for the morning, whose morning it is, and what is too late for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policy.facts import ConsentFact, Facts, Plan, PlannedItem, SentFact, Suppression
from policy.gate import decide
from policy.limits import Limits
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Withhold
from tests.support.builders.gate import HOUR, NOW

NIGHT = datetime(2026, 11, 21, 22, tzinfo=UTC)

MORNING = datetime(2026, 11, 22, 8, tzinfo=UTC)

ITEMS = (PlannedItem("lamp", "lamp-red"), PlannedItem("chair", None))

SMS = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", ITEMS, MORNING + 72 * HOUR)

RECEIPT = Plan(Channel.SMS, MessageClass.TRANSACTIONAL, "transactional", None, MORNING + 72 * HOUR)

CONSENTING = Facts(consents=(ConsentFact("all", "all", granted=True),))


@pytest.mark.parametrize("plan", [SMS, RECEIPT, replace(SMS, channel=Channel.PUSH)])
def test_at_night_a_message_waits_for_the_morning(plan: Plan) -> None:
    verdict = decide(
        plan, replace(CONSENTING, suppressions=(Suppression("lamp", None, None),)), Limits(), NIGHT
    )

    assert isinstance(verdict, Defer)
    assert Reason.QUIET_HOURS is verdict.reason
    assert verdict.until == MORNING
    assert (() if plan.promoting is None else ("lamp",)) == verdict.removed


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.ADS])
def test_email_and_ads_know_no_night(channel: Channel) -> None:
    assert isinstance(decide(replace(SMS, channel=channel), CONSENTING, Limits(), NIGHT), Allow)


def test_the_night_is_the_recipients() -> None:
    verdict = decide(SMS, replace(CONSENTING, zone="Asia/Tokyo", zone_source="phone"), Limits(), NOW)

    assert isinstance(verdict, Defer)
    assert datetime(2026, 11, 21, 23, tzinfo=UTC) == verdict.until
    assert verdict.detail.startswith("21:00 in Asia/Tokyo (from phone), open 08:00 to 21:00")


@pytest.mark.parametrize(
    ("after_opening", "expected"),
    [
        pytest.param(-HOUR, (Withhold, Reason.EXPIRED), id="expires in the night"),
        pytest.param(timedelta(), (Withhold, Reason.EXPIRED), id="expires as it opens"),
        pytest.param(timedelta(microseconds=1), (Defer, Reason.QUIET_HOURS), id="just in time"),
    ],
)
def test_a_message_that_cannot_make_the_morning_is_expired(
    after_opening: timedelta, expected: tuple[type, Reason]
) -> None:
    verdict = decide(replace(SMS, expires_at=MORNING + after_opening), CONSENTING, Limits(), NIGHT)

    assert isinstance(verdict, Withhold | Defer)
    assert (type(verdict), verdict.reason) == expected


def test_a_denial_outranks_the_wait_for_the_morning() -> None:
    capped = replace(CONSENTING, sent=(SentFact(Channel.SMS, NIGHT - 15 * HOUR),))

    verdict = decide(SMS, capped, Limits(), NIGHT)

    assert isinstance(verdict, Withhold)
    assert verdict.reason is Reason.CAPPED


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/Santiago"])
def test_a_message_that_wakes_at_the_opening_it_was_given_is_allowed(zone: str) -> None:
    known = replace(CONSENTING, zone=zone)
    instants = (NIGHT + n * HOUR for n in range(24))
    deferred = [verdict for at in instants if isinstance(verdict := decide(SMS, known, Limits(), at), Defer)]

    assert len(deferred) == 11
    assert all(isinstance(decide(SMS, known, Limits(), verdict.until), Allow) for verdict in deferred)
