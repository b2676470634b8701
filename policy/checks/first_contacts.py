"""Limits of the messages that unverified events can cause, for the checks of the gate."""

from datetime import datetime, timedelta
from zlib import crc32

from policy.checks.result import CheckResult, deferred, denied
from policy.facts import Facts, Plan
from policy.verdict import Channel, MessageClass, Reason

RECHECK_INTERVAL = timedelta(minutes=10)
"""Shortest wait of a message over an hourly limit. At the longest, it waits twice as long."""


def counts_as_first_contact(plan: Plan, facts: Facts) -> bool:
    """Return whether a message counts against the limits.

    Any does that goes to an address which no verified event has named. To other addresses, a transactional
    one does if no verified event started its run: neither consent nor caps bound it. Marketing to these is
    bounded by both.
    """
    if plan.channel is Channel.ADS:
        return False
    if not facts.address_confirmed:
        return True
    return plan.message_class is MessageClass.TRANSACTIONAL and not facts.run_verified


def country_denial(plan: Plan, facts: Facts) -> CheckResult | None:
    """Deny SMS to a number of a country that the shop does not name, in both message classes.

    SMS to some countries cost the sender much, of which the owner of a number gets a share.
    """
    contacts = facts.first_contacts
    if contacts is None or facts.address_confirmed or plan.channel is not Channel.SMS:
        return None
    country = facts.address_country
    if country is not None and country in contacts.limits.countries:
        return None
    served = ", ".join(contacts.limits.countries) or "none"
    return denied(
        Reason.NO_CONSENT,
        f"only pages have named the number, which is of {country or 'no known country'}; "
        f"such numbers get SMS in: {served}",
    )


def address_denial(facts: Facts) -> CheckResult | None:
    """Deny where the address has had its messages of the day, in both message classes."""
    contacts = facts.first_contacts
    if contacts is None or contacts.to_address_in_day < contacts.limits.per_address_day:
        return None
    return denied(
        Reason.CAPPED,
        f"{_cause(facts)}, and the address got {contacts.to_address_in_day} of "
        f"{contacts.limits.per_address_day} such messages in the last day",
    )


def _cause(facts: Facts) -> str:
    """Return why the message counts."""
    return (
        "only a page has started this run" if facts.address_confirmed else "only pages have named the address"
    )


def describe_usage(facts: Facts) -> str:
    """Describe the limits that a message passes; empty where it does not count."""
    contacts = facts.first_contacts
    if contacts is None:
        return ""
    limits = contacts.limits
    return (
        f"; {_cause(facts)}: {contacts.in_hour} of {limits.per_hour} such messages in the last hour, "
        f"{contacts.by_sender_in_hour} of {limits.per_sender_hour} by this key"
    )


def hourly_deferral(plan: Plan, facts: Facts, at: datetime) -> CheckResult | None:
    """Defer where an hourly limit is used up, at most until the plan's expiry."""
    contacts = facts.first_contacts
    if contacts is None:
        return None
    limits = contacts.limits
    if contacts.in_hour >= limits.per_hour:
        used = f"{contacts.in_hour} of {limits.per_hour}"
    elif contacts.by_sender_in_hour >= limits.per_sender_hour:
        used = f"{contacts.by_sender_in_hour} of {limits.per_sender_hour} by this key"
    else:
        return None
    # The next attempts are spread by profile, so that they do not come at once.
    wait = RECHECK_INTERVAL * (1 + crc32(facts.person.encode()) % 60 / 60)
    detail = f"{_cause(facts)}; {used} such messages in the last hour"
    return deferred(Reason.PROVIDER_BUDGET, min(at + wait, max(plan.expires_at, at)), detail)
