"""Messages to addresses that only pages have named: few, and by SMS only where the shop serves."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policy.checks.first_contacts import counts_as_first_contact
from policy.facts import ConsentFact, Facts, FirstContactLimits, FirstContacts, Plan
from policy.gate import decide
from policy.limits import Budget, Limits
from policy.replay import decision_inputs, redecide
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Withhold
from tests.support.builders.gate import DAY, NOW

LIMITS = FirstContactLimits(per_hour=9, per_sender_hour=5, per_address_day=3, countries=("DE", "AT"))

CONTACTS = FirstContacts(0, 0, 0, LIMITS)

STRANGER = Facts(address_confirmed=False, address_country="DE", first_contacts=CONTACTS)

CUSTOMER = Facts(run_verified=False, first_contacts=CONTACTS)
"""A page has started the run of somebody whom a server has named."""

CALM = Limits(quiet_hours={})

ORDER = Plan(Channel.SMS, MessageClass.TRANSACTIONAL, "transactional", None, NOW + DAY)

MAIL = replace(ORDER, channel=Channel.EMAIL)

MARKETING = replace(MAIL, message_class=MessageClass.MARKETING, topic="marketing")


def contacts(facts: Facts = STRANGER, **counts: int) -> Facts:
    return replace(facts, first_contacts=replace(CONTACTS, **counts))


CASES = [
    pytest.param(MAIL, STRANGER, None, id="the first mail"),
    pytest.param(ORDER, STRANGER, None, id="the first text, to the shop's country"),
    pytest.param(ORDER, replace(STRANGER, address_country="AT"), None, id="to one that it serves"),
    pytest.param(ORDER, replace(STRANGER, address_country="LV"), (Withhold, Reason.NO_CONSENT),
                 id="to one that it does not"),
    pytest.param(ORDER, replace(STRANGER, address_country=None), (Withhold, Reason.NO_CONSENT),
                 id="to a number of no country"),
    pytest.param(MAIL, replace(STRANGER, address_country="LV"), None, id="a mail knows no country"),
    pytest.param(MAIL, contacts(to_address_in_day=2), None, id="the last of the address's day"),
    pytest.param(MAIL, contacts(to_address_in_day=3), (Withhold, Reason.CAPPED), id="one too many for it"),
    pytest.param(MAIL, contacts(in_hour=8), None, id="the last of the hour"),
    pytest.param(MAIL, contacts(in_hour=9), (Defer, Reason.PROVIDER_BUDGET), id="one too many in it"),
    pytest.param(MAIL, contacts(by_sender_in_hour=4), None, id="the last of the key's hour"),
    pytest.param(MAIL, contacts(by_sender_in_hour=5), (Defer, Reason.PROVIDER_BUDGET), id="one too many"),
    pytest.param(MAIL, CUSTOMER, None, id="an order of a page, to a customer"),
    pytest.param(ORDER, CUSTOMER, None, id="a customer's number is of any country"),
    pytest.param(MAIL, contacts(CUSTOMER, to_address_in_day=3), (Withhold, Reason.CAPPED),
                 id="one too many for the customer"),
    pytest.param(MAIL, contacts(CUSTOMER, by_sender_in_hour=5), (Defer, Reason.PROVIDER_BUDGET),
                 id="one too many by the key, to customers"),
    pytest.param(MAIL, contacts(in_hour=9, to_address_in_day=3), (Withhold, Reason.CAPPED),
                 id="what is never sent does not wait first"),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "facts", "expected"), CASES)
def test_an_address_that_only_pages_have_named_gets_what_the_limits_say(
    plan: Plan, facts: Facts, expected: tuple[type, Reason] | None
) -> None:
    verdict = decide(plan, facts, CALM, NOW)

    assert expected == (None if isinstance(verdict, Allow) else (type(verdict), verdict.reason))
    assert verdict == redecide(decision_inputs(plan, facts, NOW), CALM)


@pytest.mark.parametrize("facts", [contacts(in_hour=9), contacts(by_sender_in_hour=5)])
def test_it_waits_ten_to_twenty_minutes_and_never_beyond_its_expiry(facts: Facts) -> None:
    waits = set()
    for n in range(40):
        verdict = decide(MAIL, replace(facts, person=f"p-{n}"), CALM, NOW)
        assert isinstance(verdict, Defer)
        waits.add(verdict.until - NOW)
    brief = decide(replace(MAIL, expires_at=NOW + timedelta(minutes=2)), facts, CALM, NOW)

    assert timedelta(minutes=10) <= min(waits) < max(waits) < timedelta(minutes=20)
    assert isinstance(brief, Defer)
    assert brief.until == NOW + timedelta(minutes=2)


@pytest.mark.parametrize("budgets", [{}, {Channel.EMAIL: Budget(3)}])
def test_an_allowed_one_shows_how_much_of_the_limits_is_used(budgets: dict[Channel, Budget]) -> None:
    limits, facts = Limits(quiet_hours={}, budgets=budgets), replace(STRANGER, claims_last_minute=1)
    checks = {check.name: check.detail for check in decide(MAIL, facts, limits, NOW).checks}

    assert checks["provider"].endswith(
        "; only pages have named the address: 0 of 9 such messages in the last hour, 0 of 5 by this key"
    )


YES = (ConsentFact("all", "all", granted=True),)

PAGES = Facts(address_confirmed=False)

UNCONFIRMED = [
    pytest.param(replace(PAGES, consents=YES), "named by pages only; not confirmed",
                 id="a verified grant, of an address that a page added"),
    pytest.param(replace(PAGES, address_from_order=True), "named by pages only; not confirmed",
                 id="a verified order, likewise"),
    pytest.param(Facts(unverified_grant=True), "email was granted by a page only; not confirmed",
                 id="a page's grant"),
    pytest.param(Facts(unverified_checkout=True), "came with a page's checkout only; not confirmed",
                 id="a page's checkout"),
    pytest.param(Facts(), "no grant of marketing on email on file", id="nothing at all"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "words"), UNCONFIRMED)
def test_the_detail_says_what_is_missing_in_words_that_an_operator_understands(
    facts: Facts, words: str
) -> None:
    verdict = decide(replace(MAIL, message_class=MessageClass.MARKETING, topic="marketing"), facts, CALM, NOW)

    assert isinstance(verdict, Withhold)
    assert verdict.reason is Reason.NO_CONSENT
    assert words in verdict.detail


@pytest.mark.parametrize(
    ("plan", "facts", "expected"),
    [
        pytest.param(MAIL, Facts(), False, id="an order of the shop, to a customer"),
        pytest.param(MAIL, Facts(run_verified=False), True, id="an order of a page"),
        pytest.param(ORDER, Facts(run_verified=False), True, id="by SMS"),
        pytest.param(replace(ORDER, channel=Channel.PUSH), Facts(run_verified=False), True, id="by push"),
        pytest.param(MAIL, Facts(address_confirmed=False), True, id="to an address that pages have named"),
        pytest.param(MARKETING, Facts(run_verified=False), False, id="marketing, which has caps"),
        pytest.param(MARKETING, Facts(address_confirmed=False), True, id="marketing to a stranger"),
        pytest.param(replace(MAIL, channel=Channel.ADS), Facts(run_verified=False), False, id="ads"),
    ],
)
def test_what_strangers_can_cause_is_counted(plan: Plan, facts: Facts, *, expected: bool) -> None:
    assert counts_as_first_contact(plan, facts) is expected
