"""What a stranger with the public write key says starts no marketing, to nobody and on no channel."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from api.routes.consents import ConsentChange, build_consent_event
from api.routes.preferences import PREFERENCES_SOURCE
from policy.verdict import Channel
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness
from tests.support.environments.ingest import order as order_of
from tests.support.queries.consent import may_mail

JOURNEYS = (CARTS,)

VICTIM = {"email": "victim@example.com"}

MALLORY = {"email": "mallory@example.com"}

CALL = {"phone": "+4915112345678"}

BROWSER = {"anonymous_id": "a-1"}

YES = {"consents": {"email": True, "sms": True, "ads": True}}

NO = {"consents": {"email": False, "sms": False}}

CLAIMED = {"granted": True, "method": "double_opt_in", "text_version": "2026-03"}

DESK = LAMP | {"product_id": "desk"}

CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.ADS)

Row = dict[str, Any]

Telling = Callable[[IngestHarness], list[IncomingEvent]]


def page(facts: IngestHarness, name: str, properties: Row | None = None, **more: Any) -> IncomingEvent:
    """An event under the public key, as the API takes it in."""
    return replace(facts.event(name, properties, **more), verified=False)


def stated(kind: str, value: str, *, by: str = "waypost/consents", channel: str = "email") -> IncomingEvent:
    """A grant that an operator enters, or the recipient of a message on the preference page."""
    change = ConsentChange.model_validate({"channel": channel, "state": "granted"})
    return build_consent_event(((kind, value),), change, source=by, at=datetime.now(UTC))


async def cart_of_the_victim(facts: IngestHarness, **more: str) -> UUID:
    """A page puts a lamp into the victim's cart, which starts a run."""
    await facts.ingest([page(facts, "Product Added", LAMP | {"cart_id": "c-9"}, **VICTIM, **more)])
    [run_id] = await facts.values("SELECT run_id FROM run WHERE key = 'c-9'")
    assert isinstance(run_id, UUID)
    return run_id


def checkout(cart: str = "c-1") -> Row:
    return {"cart_id": cart, "products": [LAMP]}


ATTACKS: dict[str, Telling] = {
    "a grant in traits": lambda f: [page(f, "Signed Up", traits=YES, **VICTIM, **CALL)],
    "a grant of everything": lambda f: [
        page(f, "Signed Up", traits={"consents": {"all": True}}, **VICTIM, **CALL)
    ],
    "a grant as an event": lambda f: [
        page(f, "Consent Changed", {"channel": channel, "state": "granted"}, **VICTIM, **CALL)
        for channel in ("email", "sms", "ads")
    ],
    "a grant that claims evidence": lambda f: [
        page(f, "Signed Up", traits={"consents": {"email": CLAIMED}}, **VICTIM)
    ],
    "a checkout": lambda f: [page(f, "Checkout Started", checkout(), **VICTIM)],
    "an order": lambda f: [page(f, "Order Completed", order_of(DESK), **VICTIM)],
    "a grant and a checkout for an address that a server has named": lambda f: [
        f.event("Signed In", **VICTIM, **CALL, ago=timedelta(hours=3)),
        page(f, "Checkout Started", checkout(), traits=YES, **VICTIM, **CALL),
    ],
    "a withdrawal, and a grant that lifts it": lambda f: [
        page(f, "Signed Up", traits=NO, **VICTIM, **CALL, ago=timedelta(hours=1)),
        page(f, "Signed Up", traits=YES, **VICTIM, **CALL),
    ],
    "a server's grant to a browser that a page then links": lambda f: [
        f.event("Signed Up", traits=YES, **BROWSER, ago=timedelta(hours=2)),
        page(f, "Signed In", **BROWSER, **VICTIM, **CALL),
    ],
    "a server's checkout of a browser that a page had linked before": lambda f: [
        f.event("Checkout Started", checkout(), **BROWSER, ago=timedelta(hours=2)),
        page(f, "Signed In", **BROWSER, **VICTIM, **CALL, ago=timedelta(hours=3)),
    ],
    "an operator's grant to a user id that a page had linked": lambda f: [
        page(f, "Signed In", user_id="u-1", **VICTIM, **CALL),
        stated("user_id", "u-1"),
    ],
    "the preference page of an address that a page had linked": lambda f: [
        page(f, "Signed In", **BROWSER, **MALLORY, ago=timedelta(hours=3)),
        page(f, "Signed In", **BROWSER, **VICTIM, **CALL, traits=dict(VICTIM)),
        *(stated("email", MALLORY["email"], by=PREFERENCES_SOURCE, channel=c) for c in ("email", "sms")),
    ],
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_what_only_a_page_says_permits_no_marketing(facts: IngestHarness, attack: Telling) -> None:
    for event in attack(facts):
        await facts.ingest([event])
    run_id = await cart_of_the_victim(facts, **CALL)

    for channel in CHANNELS:
        if (attack, channel) not in _ADS_OF_VERIFIED_GRANTS:
            assert "no_consent" in await may_mail(facts, run_id, channel), channel


_ADS_OF_VERIFIED_GRANTS = {
    (ATTACKS["a server's grant to a browser that a page then links"], Channel.ADS),
}
"""An audience is one of browsers too: a server's grant to a browser is one for its ads."""


async def test_a_click_by_the_scanner_of_a_mailbox_confirms_nothing(facts: IngestHarness) -> None:
    """The provider's report of the click is verified, and names the address."""
    await facts.ingest([page(facts, "Signed Up", traits=YES, **VICTIM, **CALL)])
    run_id = await cart_of_the_victim(facts)
    message_id = await facts.sent(run_id, VICTIM["email"])
    for name in ("Message Delivered", "Message Opened", "Message Clicked"):
        await facts.happens(name, {"message_id": str(message_id)}, channel="email")
        await facts.happens(name, {"message_id": str(message_id)}, channel="email", **BROWSER)

    assert "no_consent" in await may_mail(facts, run_id)


PROOFS: dict[str, Telling] = {
    "a server's grant": lambda f: [f.event("Signed Up", traits=YES, **VICTIM)],
    "a server's checkout": lambda f: [f.event("Checkout Started", checkout(), **VICTIM)],
    "a server's order": lambda f: [f.event("Order Completed", order_of(DESK), **VICTIM)],
    "an operator's grant to the address": lambda f: [stated("email", VICTIM["email"])],
    "the preference page of the address": lambda f: [
        stated("email", VICTIM["email"], by=PREFERENCES_SOURCE)
    ],
}  # fmt: skip


@pytest.mark.parametrize("proof", PROOFS.values(), ids=PROOFS)
@pytest.mark.parametrize("first", [True, False], ids=["before the page", "after the page"])
async def test_what_a_server_an_operator_or_the_owner_says_permits_it(
    facts: IngestHarness, proof: Telling, first: bool
) -> None:
    told = [page(facts, "Signed Up", traits=YES, **VICTIM), *proof(facts)]
    for event in told[::-1] if first else told:
        await facts.ingest([event])
    run_id = await cart_of_the_victim(facts)

    assert await may_mail(facts, run_id) == []


async def test_a_page_takes_a_consent_away_and_does_not_bring_it_back(facts: IngestHarness) -> None:
    await facts.happens("Signed Up", traits=YES, ago=timedelta(hours=2), **VICTIM)
    run_id = await cart_of_the_victim(facts)
    assert await may_mail(facts, run_id) == []

    await facts.ingest([page(facts, "A", traits={"consents": {"email": False}}, **VICTIM)])
    await facts.ingest([page(facts, "A", traits=YES, **VICTIM)])
    assert await may_mail(facts, run_id) == ["opted_out", "no_consent"]


async def test_a_device_may_grant_push_for_itself(facts: IngestHarness) -> None:
    """Its token cannot be guessed, so nobody else can name it."""
    token = {"push_token": "token-of-the-device-0001"}
    yes = {"consents": {"push": True}}
    await facts.ingest([page(facts, "Product Added", LAMP | {"cart_id": "c-9"}, **BROWSER, **token)])
    [run_id] = await facts.values("SELECT run_id FROM run WHERE key = 'c-9'")
    await facts.ingest([page(facts, "Application Opened", traits=yes, **BROWSER)])
    assert await may_mail(facts, run_id, Channel.PUSH) == ["no_consent"]

    await facts.ingest([page(facts, "Application Opened", traits=yes, **token)])
    assert await may_mail(facts, run_id, Channel.PUSH) == []
