"""Consent: what a person's word allows."""

import pytest

from policy.checks.eligibility import has_consent, not_opted_out
from policy.facts import ConsentFact, Facts, Plan
from policy.limits import Limits
from policy.verdict import Channel, MessageClass, Reason
from tests.support.builders.gate import NOW


def plan(channel: str, topic: str = "marketing") -> Plan:
    kind = MessageClass.TRANSACTIONAL if topic == "transactional" else MessageClass.MARKETING
    return Plan(Channel(channel), kind, topic, None, NOW)


def yes(channel: str, topic: str) -> ConsentFact:
    return ConsentFact(channel, topic, granted=True)


def no(channel: str, topic: str) -> ConsentFact:
    return ConsentFact(channel, topic, granted=False)


OPT_OUTS = [
    # who refused what                    message                      blocked
    ("address", "all", ("email", "marketing"), True),
    ("address", "marketing", ("email", "marketing"), True),
    ("address", "marketing", ("email", "offers"), True),
    ("address", "offers", ("email", "offers"), True),
    ("address", "offers", ("email", "marketing"), False),
    ("address", "transactional", ("email", "marketing"), False),
    ("address", "all", ("email", "transactional"), False),
    ("address", "marketing", ("email", "transactional"), False),
    ("address", "transactional", ("email", "transactional"), True),
    ("address", "all", ("sms", "transactional"), True),
    ("address", "marketing", ("sms", "transactional"), False),
    ("address", "transactional", ("sms", "transactional"), True),
    ("address", "all", ("push", "transactional"), False),
    (("all", "all"), None, ("email", "marketing"), True),
    (("all", "marketing"), None, ("sms", "offers"), True),
    (("email", "all"), None, ("email", "offers"), True),
    (("email", "offers"), None, ("email", "offers"), True),
    (("email", "offers"), None, ("email", "marketing"), False),
    (("sms", "all"), None, ("email", "marketing"), False),
    (("all", "all"), None, ("sms", "transactional"), False),
    (("email", "all"), None, ("email", "transactional"), False),
    (("email", "transactional"), None, ("email", "transactional"), True),
    (("sms", "transactional"), None, ("email", "transactional"), False),
    (("all", "transactional"), None, ("push", "transactional"), True),
]


@pytest.mark.parametrize(("who", "topic", "message", "blocked"), OPT_OUTS)
def test_a_no_blocks_what_it_is_about(
    who: str | tuple[str, str], topic: str | None, message: tuple[str, str], blocked: bool
) -> None:
    facts = Facts(opted_out=(topic,)) if topic else Facts(consents=(no(*who),))

    finding = not_opted_out(plan(*message), facts, Limits(), NOW)

    assert (Reason.OPTED_OUT if blocked else None) == finding.reason


def test_a_yes_does_not_outweigh_a_no() -> None:
    facts = Facts(consents=(yes("email", "offers"), no("all", "all")))

    finding = not_opted_out(plan("email", "offers"), facts, Limits(), NOW)

    assert (finding.reason, finding.detail) == (Reason.OPTED_OUT, "the person withdrew all on all")


GRANTS = [
    # on file                       address from an order   message                 allowed
    ((), False, ("email", "marketing"), False),
    ((), True, ("email", "marketing"), True),
    ((), True, ("sms", "marketing"), False),
    ((), True, ("push", "marketing"), False),
    ((), True, ("ads", "marketing"), False),
    ((), False, ("sms", "transactional"), True),
    ((yes("sms", "marketing"),), False, ("sms", "marketing"), True),
    ((yes("sms", "marketing"),), False, ("sms", "offers"), True),
    ((yes("sms", "offers"),), False, ("sms", "offers"), True),
    ((yes("sms", "offers"),), False, ("sms", "marketing"), False),
    ((yes("sms", "all"),), False, ("sms", "offers"), True),
    ((yes("all", "marketing"),), False, ("push", "marketing"), True),
    ((yes("ads", "marketing"),), False, ("ads", "marketing"), True),
    ((yes("email", "marketing"),), False, ("sms", "marketing"), False),
    ((yes("sms", "transactional"),), False, ("sms", "marketing"), False),
    ((no("email", "marketing"),), True, ("email", "marketing"), False),
    ((no("email", "offers"),), True, ("email", "marketing"), True),
    ((no("email", "marketing"), yes("all", "all")), True, ("email", "marketing"), False),
]


@pytest.mark.parametrize(("consents", "from_order", "message", "allowed"), GRANTS)
def test_marketing_needs_a_yes(
    consents: tuple[ConsentFact, ...], from_order: bool, message: tuple[str, str], allowed: bool
) -> None:
    facts = Facts(consents=consents, address_from_order=from_order)

    finding = has_consent(plan(*message), facts, Limits(), NOW)

    assert (None if allowed else Reason.NO_CONSENT) == finding.reason
