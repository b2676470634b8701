"""Decisions of the real gate without a server: a person built in one line, and the verdict on one message.

ada = person(consents={"email": True}, bought={"lamp": days(3)})
assert why_not(verdict(ada, promoting=["lamp"])) == "purchased"
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from authoring.testing.calendar import DEFAULT_START, DEFAULT_TIMEZONE
from policy.checks.suppression import rule_for, suppression_until
from policy.experiments import assign_arm
from policy.facts import ConsentFact, Facts, Plan, PlannedItem, SentFact, Suppression
from policy.gate import decide
from policy.limits import Limits
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Verdict, Withhold

__all__ = ["Allow", "Channel", "Defer", "Limits", "Person", "Withhold", "arm", "person", "verdict", "why_not"]

_DEFAULT_EXPIRY = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Person:
    """The facts that the gate reads of one profile; durations are times before the decision."""

    id: str = "ada"
    consents: Mapping[str, bool] = field(default_factory=dict)
    bought: Mapping[str, timedelta] = field(default_factory=dict)
    sent: Sequence[tuple[str, timedelta]] = ()
    zone: str = DEFAULT_TIMEZONE
    facts: Facts = field(default_factory=Facts)


def person(
    id: str = "ada",
    *,
    consents: Mapping[str, bool] | None = None,
    bought: Mapping[str, timedelta] | None = None,
    sent: Sequence[tuple[str, timedelta]] = (),
    zone: str = DEFAULT_TIMEZONE,
    has_address: bool = True,
    bounced: bool = False,
    complained: bool = False,
    opted_out: Sequence[str] = (),
    is_customer: bool = False,
    erased: bool = False,
    cart: Collection[str] | None = None,
    sold_out: Collection[str] = (),
    held: Sequence[str] = (),
    run: str = "running",
) -> Person:
    """Build a profile with grants for email, SMS and ads, unless ``consents`` sets others.

    ``bought``: product → time since the purchase. ``sent``: (channel, time since) of marketing messages
    that count against the caps. ``opted_out``: topics that the *address* has opted out of.
    ``is_customer``: the address came with an order. ``held``: descriptions of the open holds. ``run``:
    running, ended or stuck.
    """
    facts = Facts(
        person=id,
        run_state=run,
        erased=erased,
        has_address=has_address,
        address_problem="bounced" if bounced else "complained" if complained else None,
        opted_out=tuple(opted_out),
        address_from_order=is_customer,
        cart=None if cart is None else tuple(PlannedItem(product, None) for product in cart),
        out_of_stock=frozenset(sold_out),
        held=tuple(held),
        zone=zone,
        zone_source="traits",
    )
    yes = {"email": True, "sms": True, "ads": True}
    return Person(id, yes if consents is None else consents, bought or {}, tuple(sent), zone, facts)


def verdict(
    who: Person,
    message_class: MessageClass | str = MessageClass.MARKETING,
    *,
    channel: Channel | str = Channel.EMAIL,
    promoting: Sequence[str] | None = None,
    topic: str | None = None,
    at: datetime = DEFAULT_START,
    expires: timedelta = _DEFAULT_EXPIRY,
    journey: str = "",
    holdout: float = 0.0,
    limits: Limits | None = None,
) -> Verdict:
    """Return the verdict of ``policy.gate.decide`` on one message to a person at ``at``.

    ``promoting``: product ids; None for nothing. Raises ValueError for an unknown channel or class.
    """
    limits = limits or Limits()
    kind = MessageClass(message_class)
    plan = Plan(
        channel=Channel(channel),
        message_class=kind,
        topic=topic or kind.value,
        promoting=None if promoting is None else tuple(PlannedItem(product, None) for product in promoting),
        expires_at=at + expires,
        journey=journey,
        cart_id=None if who.facts.cart is None or promoting is None else "cart",
        holdout=holdout,
    )
    return decide(plan, _facts_at(who, limits, at), limits, at)


def why_not(said: Verdict) -> Reason | None:
    """Return the reason of a verdict; None where it allows the message."""
    return None if isinstance(said, Allow) else said.reason


def arm(who: Person, experiment: str, **arms: int) -> str:
    """Return the person's arm of an experiment, equal to that of ``self.experiment`` in a journey."""
    return assign_arm(who.id, experiment, arms)


def _facts_at(who: Person, limits: Limits, at: datetime) -> Facts:
    """Return the person's facts with all durations counted back from ``at``."""
    return replace(
        who.facts,
        consents=tuple(
            ConsentFact(channel, "marketing", granted) for channel, granted in sorted(who.consents.items())
        ),
        suppressions=tuple(
            Suppression(
                product, None, suppression_until(at - ago, rule_for(limits, product, None, None, None).window)
            )
            for product, ago in who.bought.items()
        ),
        sent=tuple(SentFact(Channel(channel), at - ago) for channel, ago in who.sent),
    )
