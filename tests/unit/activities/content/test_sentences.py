"""Sentences of the shipped messages: they fit the order, and read well without a name or an offer."""

import re

import pytest

from activities.content.context import RenderContext
from activities.content.render import render_message
from activities.content.samples import SAMPLE_ITEM, SAMPLE_LINKS, SAMPLE_SHOP, sample_contexts
from policy.verdict import Channel
from profiles.events import Item
from tests.unit.activities.content.test_shipped_templates import SHIPPED as TEMPLATES

UNNAMED = Item(product_id="p-9")

ORDER_WORDS = {
    "taken_home": ("Thank you for your purchase 1042", "This is what you bought in our store"),
    "pickup": ("Your order 1042 is confirmed", "putting it together for you to collect"),
    "digital": ("Your order 1042 is confirmed", "nothing to wait for in the post"),
    "shipped": ("Your order 1042 is confirmed", "We have your order and are getting it ready."),
    None: ("Your order 1042 is confirmed", "We have your order and are getting it ready."),
}


def context(*items: Item, first_name: str | None = None, **extra: object) -> RenderContext:
    return RenderContext(SAMPLE_SHOP, SAMPLE_LINKS, items, first_name, extra=extra)


@pytest.mark.parametrize("first_name", [None, "Ada"])
@pytest.mark.parametrize("handed_over", ORDER_WORDS)
def test_an_order_is_confirmed_in_the_words_of_its_fulfilment(
    handed_over: str | None, first_name: str | None
) -> None:
    subject, sentence = ORDER_WORDS[handed_over]
    values = context(SAMPLE_ITEM, first_name=first_name, order_id="1042", handed_over=handed_over)
    mail, sms = (
        render_message(TEMPLATES["order_confirmation"], channel, values)
        for channel in (Channel.EMAIL, Channel.SMS)
    )
    others = {words for _, words in ORDER_WORDS.values()} - {sentence}

    assert mail.subject == subject
    assert sentence in " ".join(mail.text.split())
    assert not [words for words in others if words in " ".join(mail.text.split())]
    assert ("is confirmed" in sms.text) == (handed_over != "taken_home")


ODD = re.compile(
    r"\byour your\b|\byour Your\b|,,|\s[,.?!]|Hello ?,|Thank you ,|\bnull\b|\bNone\b|\bnil\b|  +\S|\.\."
)

BARE = [
    pytest.param(name, channel, items, id=f"{name} by {channel.value}, {words}")
    for name, template in sorted(TEMPLATES.items())
    for channel in sorted(template.channels)
    for items, words in (((UNNAMED,), "one item without a name"), ((UNNAMED, UNNAMED), "two of them"))
]


@pytest.mark.parametrize(("name", "channel", "items"), BARE)
def test_a_message_without_names_reads_well(name: str, channel: Channel, items: tuple[Item, ...]) -> None:
    needed = sample_contexts(TEMPLATES[name].manifest)[1].context.extra
    message = render_message(TEMPLATES[name], channel, context(*items, **needed))
    told = [message.subject or "", *message.text.splitlines()]

    assert [line for line in told if ODD.search(line)] == []
    assert "Your item" not in (message.subject or "") or name == "cart_news"


@pytest.mark.parametrize(
    ("extra", "subject"),
    [
        ({}, "It would be good to see you again"),
        ({"code": "BACK"}, "Something to welcome you back"),
        ({"code": "BACK", "percent": 15}, "15% off, to welcome you back"),
    ],
)
def test_a_welcome_back_announces_only_what_is_in_it(extra: dict[str, object], subject: str) -> None:
    mail = render_message(TEMPLATES["win_back_offer"], Channel.EMAIL, context(**extra))

    assert mail.subject == subject
    assert ("BACK" in mail.text) == bool(extra)


@pytest.mark.parametrize(
    ("items", "subject"),
    [
        ((SAMPLE_ITEM,), "How is your Aria desk lamp?"),
        ((UNNAMED,), "How do you like what you bought?"),
        ((UNNAMED, UNNAMED), "How are your new things?"),
        (
            (Item(product_id="p", name="undefined", content_verified=True),),
            "How do you like what you bought?",
        ),
    ],
)
def test_a_review_is_asked_of_what_has_a_name_by_its_name(items: tuple[Item, ...], subject: str) -> None:
    assert render_message(TEMPLATES["review_request"], Channel.EMAIL, context(*items)).subject == subject
