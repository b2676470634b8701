"""Rendering one message: the words a customer reads, amounts, headers, and refusals."""

from dataclasses import replace
from pathlib import Path

import pytest

import journeys
from activities.channels.adapter import RenderedMessage
from activities.content.context import ContentError, Links, RenderContext, ShopDetails
from activities.content.render import one_click_headers, render_message
from activities.content.templates import TemplateRegistry
from policy.verdict import Channel
from profiles.events import Item

ROOT = Path(journeys.__file__).parent

TEMPLATES = TemplateRegistry.load([ROOT / "cart_abandonment", ROOT / "post_purchase"])

SHOP = ShopDetails(
    "Lumen", "Lumen Ltd, 7 Quay Street, Bristol BS1 2AB", "https://lumen.example", "help@lumen.example"
)

LINKS = Links(
    shop_url="https://lumen.example",
    cart_url="https://lumen.example/cart",
    unsubscribe_url="https://go.example/u/t",
    preferences_url="https://go.example/p/t",
    one_click_url="https://go.example/u/t",
)

LAMP = Item(product_id="p-1", name="Lamp", variant="Brass", price=39.5, quantity=2, url="/p/lamp")

MUG = Item(product_id="p-2", name="Mug")

REMINDER_TEXT = """\
Lumen <https://lumen.example>

You left a few things behind

Hello Ada, we kept your cart just as it was. Pick up where you stopped whenever it suits you.

Lamp <https://lumen.example/p/lamp>

Brass · Qty 2
€79.00

Mug

Back to my cart <https://lumen.example/cart>

Not sure about size, delivery or anything else? Just reply, or write to help@lumen.example.

You get this mail because you shopped or signed up at Lumen.

Unsubscribe <https://go.example/u/t> · Choose what you get <https://go.example/p/t>

Lumen Ltd, 7 Quay Street, Bristol BS1 2AB"""


def _context(**changes: object) -> RenderContext:
    values: dict[str, object] = {"items": (LAMP,), "first_name": "Ada", "locale": "en-GB", "currency": "EUR"}
    return RenderContext(SHOP, LINKS, **{**values, **changes})  # type: ignore[arg-type]


def _reminder(**changes: object) -> RenderedMessage:
    """The mail of the cart reminder."""
    return render_message(TEMPLATES["cart_reminder"], Channel.EMAIL, _context(**changes))


def test_the_plain_text_of_a_mail_reads_like_a_letter() -> None:
    content = _reminder(items=(LAMP, MUG))

    assert content.text == REMINDER_TEXT


def test_the_preheader_is_in_the_mail_but_not_in_its_plain_text() -> None:
    content = _reminder()

    assert "We kept it just as you left it." in content.html
    assert "We kept it just as you left it." not in content.text


def test_a_missing_price_shows_no_amount_and_no_total() -> None:
    text = _reminder(items=(LAMP, MUG)).text

    assert "€79.00" in text
    assert "Total" not in text
    assert "0.00" not in text


@pytest.mark.parametrize("price", [float("nan"), float("inf")])
def test_a_price_that_is_no_number_shows_no_amount(price: float) -> None:
    item = Item.model_construct(product_id="p", name="Lamp", price=price, quantity=1)

    assert "€" not in _reminder(items=(item,)).text


@pytest.mark.parametrize(
    ("locale", "currency", "expected"),
    [
        pytest.param("de-DE", "EUR", "79,00 €", id="german"),
        pytest.param("en_US", "USD", "$79.00", id="american"),
        pytest.param("ja", "JPY", "¥79", id="yen has no cents"),
        pytest.param(None, "EUR", "€79.00", id="no locale: the shop's"),
        pytest.param("not a locale!", "EUR", "€79.00", id="nonsense locale: the shop's"),
        pytest.param("en", "gold", "€79.00", id="nonsense currency: the shop's"),
    ],
)
def test_amounts_are_written_as_the_person_is_used_to(
    locale: str | None, currency: str, expected: str
) -> None:
    text = _reminder(locale=locale, currency=currency).text

    assert expected in text.replace("¥", "¥").replace("￥", "¥")


def test_a_german_amount_does_not_push_a_text_message_out_of_the_cheap_alphabet() -> None:
    context = _context(locale="de-DE", extra={"order_id": "7", "total": 19.99})

    assert "19,99 €" in render_message(TEMPLATES["order_confirmation"], Channel.SMS, context).text


def test_a_relative_product_link_leads_to_the_shop() -> None:
    assert 'href="https://lumen.example/p/lamp"' in _reminder().html


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        pytest.param("https://lumen.example/p", True, id="the shop's own host"),
        pytest.param("https://WWW.Lumen.example/p", True, id="its www"),
        pytest.param("https://de.lumen.example/p", True, id="a subdomain"),
        pytest.param("http://de.lumen.example/p", False, id="without TLS"),
        pytest.param("https://lumen-outlet.example/p", True, id="a host the shop names"),
        pytest.param("https://evil.example/lumen.example", False, id="somebody else"),
        pytest.param("https://evillumen.example/p", False, id="a name that only ends alike"),
        pytest.param("//evil.example/p", False, id="without a scheme"),
        pytest.param("https://lumen.example@evil.example/p", False, id="the shop as a user name"),
        pytest.param("mailto:sales@evil.example", False, id="a mail address"),
        pytest.param("tel:+4990012345", False, id="a number to call"),
    ],
)
def test_an_items_link_leads_to_the_shop_or_nowhere(link: str, leads: bool) -> None:
    shop = replace(SHOP, hosts=("lumen-outlet.example",))
    html = render_message(
        TEMPLATES["cart_reminder"],
        Channel.EMAIL,
        RenderContext(shop, LINKS, (LAMP.model_copy(update={"url": link}),)),
    ).html

    assert (link in html) is leads


@pytest.mark.parametrize(
    "name", ["Win a prize at evil.example", "https://evil.example", "www.evil", "call 0900123456", "x" * 41]
)
def test_a_first_name_that_is_an_advertisement_is_not_repeated(name: str) -> None:
    content = _reminder(first_name=name)

    assert name not in content.html
    assert "\nWe kept your cart" in content.text


@pytest.mark.parametrize("name", ["Ada", "Anne-Marie", "José María", "J. R.", "O’Neill", "李"])
def test_a_real_first_name_is_greeted(name: str) -> None:
    assert f"Hello {name}," in _reminder(first_name=name).text


@pytest.mark.parametrize("inside", ["\r\nBcc: all@evil.example", "\nX", "\rX"])
def test_a_line_break_in_a_subject_is_refused(inside: str) -> None:
    with pytest.raises(ContentError, match="line break"):
        render_message(
            TEMPLATES["order_confirmation"], Channel.EMAIL, _context(extra={"order_id": f"7{inside}"})
        )


def test_a_line_break_in_a_product_name_becomes_a_blank() -> None:
    item = LAMP.model_copy(update={"name": "Lamp\r\nBcc: all@evil.example"})

    content = _reminder(items=(item,))

    assert content.subject == "Still thinking about Lamp Bcc: all@evil.example?"


def test_nothing_left_to_show_is_a_content_error() -> None:
    with pytest.raises(ContentError, match="none is left to show"):
        _reminder(items=())


def test_an_order_without_a_number_is_confirmed_all_the_same() -> None:
    content = render_message(TEMPLATES["order_confirmation"], Channel.EMAIL, _context())

    assert content.subject == "Your order is confirmed"


def test_a_channel_the_template_does_not_have_is_refused() -> None:
    with pytest.raises(ContentError, match=r"'cross_sell' has no sms part \(it has: email\)"):
        render_message(TEMPLATES["cross_sell"], Channel.SMS, _context())


def test_a_value_that_is_an_object_is_refused() -> None:
    with pytest.raises(ContentError, match="got a object"):
        render_message(TEMPLATES["cart_offer"], Channel.EMAIL, _context(extra={"code": object()}))


def test_marketing_without_a_way_out_is_refused() -> None:
    links = Links(LINKS.shop_url, one_click_url=LINKS.one_click_url)

    with pytest.raises(ContentError, match="no unsubscribe_url"):
        render_message(TEMPLATES["cart_reminder"], Channel.EMAIL, RenderContext(SHOP, links, (LAMP,)))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param(None, "no one_click_url", id="missing"),
        pytest.param("http://go.example/u/t", "must be https", id="plain http"),
        pytest.param("mailto:out@go.example", "must be https", id="mailto"),
        pytest.param("https://go.example/u\r\nBcc: x", "printable ASCII", id="line break"),
        pytest.param("https://go.example/u>,<https://evil.example", "printable ASCII", id="brackets"),
        pytest.param("https://gö.example/u", "printable ASCII", id="not ASCII"),
        pytest.param("https://go.example/" + "t" * 980, "too long", id="over 998 octets"),
    ],
)
def test_a_one_click_address_that_cannot_stand_in_a_header_is_refused(url: str | None, reason: str) -> None:
    with pytest.raises(ContentError, match=reason):
        one_click_headers(url)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:80", "192.168.1.7", "api:8080"])
def test_a_local_stack_may_use_plain_http_for_one_click(host: str) -> None:
    assert one_click_headers(f"http://{host}/u/t")["List-Unsubscribe"] == f"<http://{host}/u/t>"


def test_a_shop_that_cannot_sign_lawful_mail_is_refused_with_every_fault() -> None:
    with pytest.raises(ValueError, match="cannot sign messages") as caught:
        ShopDetails("", " ", "javascript:x", "nobody", currency="euro", accent="red")

    for field in ("name:", "postal_address:", "url:", "support_email:", "currency:", "accent:"):
        assert field in str(caught.value)


@pytest.mark.parametrize(
    ("accent", "label"), [("#1f4a3d", "#ffffff"), ("#ffd84d", "#161616"), ("#000000", "#ffffff")]
)
def test_a_button_label_contrasts_with_its_colour(accent: str, label: str) -> None:
    assert label == ShopDetails("S", "A", "https://s.example", "a@s.example", accent=accent).accent_text
