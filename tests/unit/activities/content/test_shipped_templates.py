"""Every shipped message template, on each of its channels, with plain, missing and hostile values."""

import re
from html import unescape
from pathlib import Path

import pytest

import journeys
from activities.content import samples
from activities.content.context import Links, RenderContext, ShopDetails
from activities.content.plain_text import visible_links
from activities.content.render import render_message
from activities.content.sms_segments import count_segments
from activities.content.template import Template
from activities.content.templates import TemplateRegistry
from policy.verdict import Channel
from profiles.events import Item

ROOT = Path(journeys.__file__).parent

SHIPPED = TemplateRegistry.load(sorted({file.parent.parent for file in ROOT.glob("*/*/message.toml")}))

PARTS = [(template, channel) for template in SHIPPED.values() for channel in sorted(template.channels)]

MAILS = [template for template in SHIPPED.values() if Channel.EMAIL in template.channels]

TEXTS = [template for template in SHIPPED.values() if Channel.SMS in template.channels]

SHOP = ShopDetails(
    name="Lumen & Co",
    postal_address="Lumen & Co Ltd, 7 Quay Street, Bristol BS1 2AB",
    url="https://lumen.example",
    support_email="help@lumen.example",
)

LINKS = Links(
    shop_url="https://lumen.example",
    cart_url="https://lumen.example/cart?id=1&step=2",
    unsubscribe_url="https://go.lumen.example/unsubscribe/t1",
    preferences_url="https://go.lumen.example/preferences/t1",
    one_click_url="https://go.lumen.example/unsubscribe/t1",
)

HOSTILE = (
    "<script>alert(1)</script>",
    '"/><mj-raw><iframe src="https://evil.example"></iframe></mj-raw>',
    "{{7*7}}{% assign shop = nil %}",
    "]]><!-- --><mj-include path='/etc/passwd' />",
    "tab\x00\x0b\x1b\ud800\u202eend",
)


def _context(template: Template, items: tuple[Item, ...], *, extra: str | None = None) -> RenderContext:
    """Every declared value given; text among them replaced by ``extra`` where one is named."""
    values = {
        name: extra if extra is not None and isinstance(value.sample, str) else value.sample
        for name, value in template.manifest.extra.items()
    }
    return RenderContext(SHOP, LINKS, items, "Ada", "en-GB", "EUR", values)


def _name(value: object) -> str:
    return value.name if isinstance(value, Template) else str(value)


def test_the_nine_messages_of_the_three_journeys_are_shipped() -> None:
    # Others may stand beside them: authors add journeys to this tree.
    assert set(SHIPPED) >= {
        "cart_offer",
        "cart_reminder",
        "cross_sell",
        "delivery_apology",
        "goodbye",
        "order_confirmation",
        "review_request",
        "we_miss_you",
        "win_back_offer",
    }


@pytest.mark.parametrize(("template", "channel"), PARTS, ids=_name)
@pytest.mark.parametrize("trial", ["every value given", "only required values", "twelve items"])
def test_each_shipped_template_renders_with_and_without_its_optional_values(
    template: Template, channel: Channel, trial: str
) -> None:
    context = next(t.context for t in samples.sample_contexts(template.manifest) if t.name == trial)

    content = render_message(template, channel, context)

    assert content.text.strip()
    assert "None" not in content.text
    assert "{{" not in content.text
    if channel is Channel.EMAIL:
        assert content.subject
        assert f'lang="{template.manifest.language}"' in content.html
        assert "fonts.googleapis" not in content.html
        assert "<mj-" not in content.html
    else:
        assert content.html == ""


@pytest.mark.parametrize("title", HOSTILE)
@pytest.mark.parametrize("template", MAILS, ids=_name)
def test_a_hostile_product_title_is_shown_literally_and_does_nothing(template: Template, title: str) -> None:
    items = (
        Item.model_construct(
            product_id="p-1", name=title, variant=title, price=1.0, url="https://lumen.example/p"
        ),
    )
    harmless = (
        Item(product_id="p-1", name="Lamp", variant="Lamp", price=1.0, url="https://lumen.example/p"),
    )

    html = render_message(template, Channel.EMAIL, _context(template, items, extra=title)).html

    expected = render_message(template, Channel.EMAIL, _context(template, harmless, extra="Lamp")).html
    tags = re.compile(r"</?[a-z!][a-z0-9:-]*", re.IGNORECASE)
    links = [t for t in tags.findall(html) if t.lower() != "<!--"]
    assert [t for t in tags.findall(expected) if t.lower() != "<!--"] == links
    assert ">49<" not in html
    shown = re.sub(r"[\x00-\x1f\ud800\u202e]", "", title)
    if template.manifest.items == "required":
        assert shown in unescape(html)


@pytest.mark.parametrize(
    "scheme", ["javascript:alert(1)", "data:text/html,<p>", "vbscript:x", " JaVaScRiPt:alert(1)"]
)
@pytest.mark.parametrize("template", MAILS, ids=_name)
def test_a_link_with_a_script_in_it_is_dropped(template: Template, scheme: str) -> None:
    items = (Item(product_id="p-1", name="Lamp", url=scheme, image_url=scheme),)
    context = _context(template, items, extra=scheme)

    html = render_message(template, Channel.EMAIL, context).html

    targets = re.findall(r'(?:href|src)="([^"]*)"', html)
    assert {target.split(":")[0] for target in targets} <= {"https", "mailto"}


@pytest.mark.parametrize("template", MAILS, ids=_name)
def test_marketing_mail_carries_address_way_out_and_one_click_and_transactional_mail_does_not(
    template: Template,
) -> None:
    content = render_message(template, Channel.EMAIL, _context(template, (samples.SAMPLE_ITEM,)))

    marketing = template.is_marketing
    assert (LINKS.unsubscribe_url in visible_links(content.html)) is marketing
    assert SHOP.postal_address in content.text
    assert content.headers == (
        {
            "List-Unsubscribe": "<https://go.lumen.example/unsubscribe/t1>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        if marketing
        else {}
    )


@pytest.mark.parametrize("template", TEXTS, ids=_name)
def test_a_text_message_fits_two_segments_and_marketing_ends_with_stop(template: Template) -> None:
    text = render_message(template, Channel.SMS, _context(template, (samples.SAMPLE_ITEM,))).text

    assert count_segments(text) <= 2
    assert text.startswith("Lumen & Co: ")
    assert text.endswith("Reply STOP to opt out") is template.is_marketing


def test_messages_about_orders_and_consent_are_transactional_and_all_others_marketing() -> None:
    transactional = {name for name, template in SHIPPED.items() if not template.is_marketing}

    assert transactional == {"order_confirmation", "delivery_apology", "confirm_opt_in"}
    assert SHIPPED["order_confirmation"].topic == "transactional"
    assert SHIPPED["review_request"].topic == "reviews"
    assert SHIPPED["cart_reminder"].topic == "marketing"


PROMISES = re.compile(
    r"\b(?:we|you)(?:'ll|\u2019ll| will| shall) (?:\w+ ){0,2}(?:write|tell|text|send|let you|hear|get)\b"
    r"|\bas soon as\b|\blet you know\b|\banother (?:e-?mail|message)\b|\bkeep you informed\b",
    re.IGNORECASE,
)
"""Words that announce a further message, such as a note of the dispatch, which no shipped journey sends."""

POST_PURCHASE_FILES = sorted(
    file for template in SHIPPED.values() for file in (ROOT / "post_purchase" / template.name).glob("*.*")
)


@pytest.mark.parametrize("file", POST_PURCHASE_FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_no_message_about_an_order_promises_another_one(file: Path) -> None:
    assert PROMISES.search(file.read_text()) is None


@pytest.mark.parametrize(
    "text", ["We will write as soon as it ships.", "We\u2019ll let you know", "You'll hear from us"]
)
def test_a_promise_is_recognised(text: str) -> None:
    assert PROMISES.search(text)
