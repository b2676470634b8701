"""From an event over HTTP to a message at the provider, and silence after a purchase, in real processes."""

import json
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

from tests.support.environments.installation import LAMP, NOON, YES, Installation
from tests.support.fakes import FakeProvider
from tests.support.fakes.ledger import Delivery
from tests.support.fakes.twilio import fields

ADA = {"email": "ada@example.com", "phone": "+4915112345678"}
BOB = {"email": "bob@example.com", "phone": "+4915187654321"}
CLEO = {"email": "cleo@example.com", "user_id": "cleo-1"}
MESSAGE = {"message_id", "journey", "run_id", "step", "channel", "template", "items", "status", "decided_at",
           "sent_at"}  # fmt: skip
DECISION = {"verdict", "reason", "checks", "items_removed", "journey", "run_id", "step", "channel", "at"}
RUN = {
    "run_id",
    "temporal_run_id",
    "workflow_id",
    "journey",
    "key",
    "state",
    "outcome",
    "entered_at",
    "ended_at",
}


def to(provider: FakeProvider, address: str) -> list[Delivery]:
    return [one for one in provider.delivered if one.to == address]


async def test_a_cart_left_behind_reaches_a_person_by_mail_and_text(installation: Installation) -> None:
    cart = LAMP | {"cart_id": "cart-ada"}
    await installation.happens("Product Added", cart, traits=YES | {"first_name": "Ada"}, **ADA)
    run = await installation.run(ADA["email"], "cart-abandonment")
    await installation.passes(run, timedelta(days=4))
    ended = await installation.ended(ADA["email"], "cart-abandonment")

    assert (ended["outcome"], ended.keys() >= RUN) == ("nudged", True)
    [mail], [text] = to(installation.mail, ADA["email"]), to(installation.text, ADA["phone"])
    sent = {m["message_id"]: m for m in await installation.messages(ADA["email"]) if m["channel"] != "ads"}
    told = [(m["template"], m["channel"], m["items"], m["status"]) for m in sent.values()]
    assert told == [("cart_reminder", "email", ["lamp"], "sent"), ("cart_offer", "sms", ["lamp"], "sent")]
    assert [mail.message_id, text.message_id] == list(sent)
    assert "Aria lamp" in mail.html
    assert all(message.keys() >= MESSAGE for message in sent.values())
    decisions = [d for d in await installation.decisions(ADA["email"]) if d["channel"] != "ads"]
    assert [(d["verdict"], d["reason"], d["run_id"]) for d in decisions] == [
        ("allow", None, run["run_id"])
    ] * 2
    assert all(decision.keys() >= DECISION and decision["checks"] for decision in decisions)


async def test_providers_and_histories_are_told_an_id_and_no_person(installation: Installation) -> None:
    [mail] = [call.request for call in installation.mail.calls if ADA["email"] in call.request.body.decode()]
    [text] = [call.request for call in installation.text.calls if fields(call.request)["To"] == ADA["phone"]]
    run = await installation.run(ADA["email"], "cart-abandonment")
    history = (await (await installation.handle(run)).fetch_history()).to_json()

    body = json.loads(mail.body)
    [person] = body["personalizations"]
    assert set(person["custom_args"]) == {"message_id"}
    assert {"categories", "custom_args"} & body.keys() == set()
    callback = urlsplit(fields(text)["StatusCallback"])
    assert [name for name, _ in parse_qsl(callback.query)] == ["message_id"]
    for secret in ("ada@example", "Ada", "15112345678"):
        assert secret not in history
        assert secret not in run["workflow_id"] + callback.query + person["custom_args"]["message_id"]


async def test_one_click_in_the_mail_program_ends_marketing(installation: Installation) -> None:
    await installation.happens("Product Viewed", LAMP, traits=YES, **CLEO)
    await installation.happens("Customer Lapsed", {"days_since_order": 100}, **CLEO)
    await installation.settled(CLEO["email"], "we_miss_you", "sent")
    [mail] = to(installation.mail, CLEO["email"])
    link = urlsplit(mail.headers["List-Unsubscribe"].partition("<")[2].partition(">")[0])
    clicked = await installation.ask("POST", link.path, key="", data={"List-Unsubscribe": "One-Click"})
    await installation.happens("Product Added", LAMP | {"cart_id": "cart-cleo"}, **CLEO)
    run = await installation.run(CLEO["email"], "cart-abandonment")
    await installation.passes(run, timedelta(hours=2))
    await installation.settled(CLEO["email"], "cart_reminder", "withheld")

    assert (link.scheme + "://" + link.netloc, clicked.status_code) == (installation.stack.api_url, 200)
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    [decision] = [d for d in await installation.decisions(CLEO["email"]) if d["step"] == "cart_reminder"]
    assert (decision["verdict"], decision["reason"]) == ("withhold", "opted_out")
    assert len(to(installation.mail, CLEO["email"])) == 1


async def test_invariant_1_a_purchase_in_the_store_ends_the_run_at_once(installation: Installation) -> None:
    await installation.happens("Product Added", LAMP | {"cart_id": "cart-bob"}, traits=YES, **BOB)
    run = await installation.run(BOB["email"], "cart-abandonment")
    await installation.passes(run, timedelta(hours=2))
    await installation.settled(BOB["email"], "cart_reminder", "sent")
    receipt = {"order_id": "receipt-7", "products": [{"product_id": "lamp", "sku": "lamp-red"}]}
    await installation.happens(
        "Order Completed", receipt, channel="store", source="pos/1", time=NOON + timedelta(hours=2), **BOB
    )
    ended = await installation.ended(BOB["email"], "cart-abandonment")
    await installation.settled(BOB["email"], "order_confirmation", "sent")
    gone_on = await installation.passes(ended, timedelta(days=3))

    assert (ended["outcome"], gone_on) == ("bought", False)
    mails = [(one.subject, "Aria lamp" in one.html) for one in to(installation.mail, BOB["email"])]
    assert mails == [("Still thinking about Aria lamp?", True), ("Your order receipt-7 is confirmed", False)]
    assert to(installation.text, BOB["phone"]) == []
    profile = await installation.read(f"/v1/profiles/phone/{BOB['phone']}")
    assert [(s["item"], s["reason"]) for s in profile["suppressions"]] == [("lamp", "purchased")]
    assert [(p["order_id"], p["channel"]) for p in profile["purchases"]] == [("receipt-7", "store")]
