"""What a customer is shown of texts that shops send: names, entities, broken encodings, empty words.

The tables are data: a row is what was sent, what is shown, and where such a thing was seen.
"""

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.content.context import RenderContext
from activities.content.display_text import greeting_name, product_text, to_single_line
from activities.content.render import render_message
from activities.content.samples import SAMPLE_LINKS, SAMPLE_SHOP
from policy.verdict import Channel
from profiles.events import Item
from tests.unit.activities.content.test_render import TEMPLATES

NO_NAME = [
    ("null", "printed by a script for a missing value"),
    ("undefined", "printed by a page"),
    ("None", "printed by a Python backend"),
    ("NaN", "an empty cell of a table"),
    ("(null)", "printed by an app"),
    ("[object Object]", "an object joined to a text"),
    ("N/A", "typed into a field that must not stay empty"),
    ("n.a.", "the same"),
    ("-", "the same"),
    ("--", "the same"),
    (".", "the same"),
    ("?", "the same"),
    ("...", "the same"),
    ("x", "the same"),
    ("xxx", "the same"),
    ("aaaa", "the same"),
    ("asdf", "the same"),
    ("test", "the shop's own tests"),
    ("Test1", "the same"),
    ("TEST TEST", "the same"),
    ("FNAME", "the name of the field in a mail tool"),
    ("First Name", "a header of an import"),
    ("first_name", "a key of an import"),
    ("Vorname", "the same, in German"),
    ("Prénom", "the same, in French"),
    ("{{first_name}}", "an unfilled template"),
    ("{{ contact.first_name | default: 'there' }}", "the same"),
    ("{first_name}", "the same"),
    ("*|FNAME|*", "the same"),
    ("%FIRSTNAME%", "the same"),
    ("%%First Name%%", "the same"),
    ("[FIRSTNAME]", "the same"),
    ("${name}", "the same"),
    ("<First Name>", "the same"),
    ("&lt;First Name&gt;", "the same, through a page"),
    ("__NAME__", "the same"),
    ("ada@example.com", "an address typed into the wrong field"),
    ("ada (at) example.com", "the same"),
    ("+49 151 1234567", "a phone number"),
    ("42", "a customer number"),
    ("#N/A", "a formula that found nothing"),
    ("Valued Customer", "a till's default"),
    ("Walk-in Customer", "the same"),
    ("Guest", "a guest checkout"),
    ("Kunde", "the same, in German"),
    ("user123", "a user name that was generated"),
    ("Unknown", "a customer desk"),
    ("keine Angabe", "typed by a customer"),
    ("Mr.", "a title alone"),
    ("Frau", "the same"),
    ("Dr", "the same"),
    ("\u200b", "a zero-width space, copied"),
    ("\u200b\ufeff \u00ad", "the same"),
    ("\x00\x07", "control characters"),
    ("😀", "a picture"),
    ("Jos\ufffd", "a letter that was lost"),
    ("Lovelace, Ada", "family name first"),
    ("true", "a checkbox in the wrong column"),
    ("0", "an empty number"),
    ("2019-10-01", "a date in the wrong column"),
    ("www.win.example", "an advertisement"),
    ("a" * 41, "a text of any other kind"),
]

NAMES = [
    ("Ada", "Ada", "as it should be"),
    ("  Ada  ", "Ada", "blanks of a form"),
    ("ADA", "Ada", "capitals of a till"),
    ("ANNE-MARIE", "Anne-Marie", "the same"),
    ("ANNE MARIE", "Anne Marie", "the same"),
    ("D'ARCY", "D'Arcy", "the same"),
    ("JOSÉ", "José", "the same"),
    ("АННА", "Анна", "the same, in another script"),
    ("JP", "JP", "initials"),
    ("AJ", "AJ", "initials"),
    ("LaToya", "LaToya", "capitals within a name"),
    ("van", "van", "a name in small letters stays as it is given"),
    ("J. R.", "J. R.", "initials"),
    ("Zo&euml;", "Zoë", "an entity"),
    ("Sin&#233;ad", "Sinéad", "the same"),
    ("O&#39;Neill", "O'Neill", "the same"),
    ("O&#x27;Neill", "O'Neill", "the same"),
    ("Tom &amp; Eva", "Tom & Eva", "the same"),
    ("ZoÃ«", "Zoë", "UTF-8 read as Windows-1252"),
    ("JosÃ©", "José", "the same"),
    ("O\x92Neill", "O’Neill", "Windows-1252 read as Latin-1"),
    ("A\u200bda", "Ada", "a zero-width space, copied"),
    ("\ufeffAda", "Ada", "a byte order mark in the first cell"),
    ("\u202eAda", "Ada", "a mark that turns the direction"),
    ("A\x00da", "Ada", "a control character"),
    ("Jose\u0301", "José", "a decomposed letter of a file system"),
    ("李", "李", "a name of one letter"),
    ("Ng", "Ng", "a short name"),
    ("Bo", "Bo", "a short name"),
    ("Nathan", "Nathan", "a name that begins like a placeholder"),
    ("Testa", "Testa", "the same"),
    ("Null Island", "Null Island", "the same"),
    ("Müller", "Müller", "letters that are no broken encoding"),
    ("Ådne", "Ådne", "the same"),
    ("نیک‌رو", "نیک‌رو", "a joiner that Persian needs"),
]

TEXTS = [
    ("Salt &amp; Pepper", "Salt & Pepper", "an entity of a page"),
    ("Caf&eacute;", "Café", "the same"),
    ("5&quot; lamp", '5" lamp', "the same"),
    ("Men&#39;s shirt", "Men's shirt", "the same"),
    ("A&nbsp;B", "A B", "a blank that does not break"),
    ("A &lt; B", "A < B", "the same"),
    ("Salt &amp;amp; Pepper", "Salt &amp; Pepper", "decoded once"),
    ("AT&T", "AT&T", "no entity"),
    ("Fish &chips", "Fish &chips", "no entity: without a semicolon"),
    ("R&D; more", "R&D; more", "no entity: unknown"),
    ("CafÃ© crÃ¨me", "Café crème", "UTF-8 read as Windows-1252"),
    ("Itâ€™s â‚¬5", "It’s €5", "the same"),
    ("GrÃ¶ÃŸe", "Größe", "the same"),
    ("20Â°", "20°", "the same"),
    ("Größe à la carte", "Größe à la carte", "letters that are no broken encoding"),
    ("naïve Ærø", "naïve Ærø", "the same"),
    ("It\x92s", "It’s", "Windows-1252 read as Latin-1"),
    ("Soft\u00adware", "Software", "a hidden hyphen"),
    ("La\u200bmp\u2028two", "Lamp two", "characters without a shape"),
    ("👩\u200d💻 mug", "👩\u200d💻 mug", "a joiner that an emoji needs"),
]

NO_PRODUCT_TEXT = [
    *("null", "undefined", "None", "N/A", "#N/A", "-", "—", "...", "[object Object]", "Default Title"),
    *("Title: Default Title", "product_name", "{{ product.title }}", "*|PRODUCT|*", "\u200b", "&nbsp;"),
]


@pytest.mark.parametrize("sent", [pytest.param(sent, id=f"{sent!r}, {seen}") for sent, seen in NO_NAME])
def test_what_is_no_name_is_as_if_there_was_none(sent: str) -> None:
    assert greeting_name(sent) is None


@pytest.mark.parametrize(
    ("sent", "shown"), [pytest.param(sent, shown, id=f"{sent!r}, {seen}") for sent, shown, seen in NAMES]
)
def test_a_name_is_shown_as_its_owner_writes_it(sent: str, shown: str) -> None:
    assert greeting_name(sent) == shown


@pytest.mark.parametrize(
    ("sent", "shown"), [pytest.param(sent, shown, id=f"{sent!r}, {seen}") for sent, shown, seen in TEXTS]
)
def test_a_text_is_decoded_once_and_mended(sent: str, shown: str) -> None:
    assert product_text(sent) == shown


@pytest.mark.parametrize("sent", NO_PRODUCT_TEXT)
def test_a_product_text_that_says_nothing_is_none(sent: str) -> None:
    assert product_text(sent) == ""


@given(st.text(alphabet="àéèêëïîôöùûüçñßåæøćčđłńśź ABCabc", max_size=60))
def test_text_read_as_the_wrong_encoding_is_mended_whatever_it_says(text: str) -> None:
    sent = " ".join(text.split())

    assert sent == to_single_line(sent.encode().decode("latin-1"), 400) == to_single_line(sent, 400)


@pytest.mark.parametrize(("sent", "shown"), [(sent, shown) for sent, shown, _ in TEXTS])
def test_subject_text_html_and_sms_show_the_same(sent: str, shown: str) -> None:
    lamp = Item(product_id="p", name=sent, content_verified=True)
    context = RenderContext(SAMPLE_SHOP, SAMPLE_LINKS, (lamp,), first_name="Tom &amp; Eva")
    mail = render_message(TEMPLATES["cart_reminder"], Channel.EMAIL, context)

    assert mail.subject == f"Still thinking about {shown}?"
    assert shown in mail.text
    assert shown in " ".join(unescape(mail.html).split())
    assert "Tom & Eva" in mail.text


@pytest.mark.parametrize("sent", ["&lt;b&gt;bold&lt;/b&gt;", "&#60;script&#62;alert(1)&#60;/script&#62;"])
def test_a_decoded_tag_is_text_and_no_tag(sent: str) -> None:
    lamp = Item(product_id="p", name=sent, content_verified=True)
    mail = render_message(
        TEMPLATES["cart_reminder"], Channel.EMAIL, RenderContext(SAMPLE_SHOP, SAMPLE_LINKS, (lamp,))
    )

    assert unescape(sent) in mail.subject
    assert unescape(sent) not in mail.html
    assert unescape(sent) in mail.text


def test_a_link_of_an_xml_feed_leads_where_the_shop_meant() -> None:
    lamp = Item(product_id="p", name="Lamp", url="https://shop.example/p?a=1&amp;b=2", content_verified=True)
    context = RenderContext(SAMPLE_SHOP, SAMPLE_LINKS, (lamp,), extra={"code": "A &amp; B"})

    assert context.to_template_values()["items"][0]["url"] == "https://shop.example/p?a=1&b=2"


def test_a_text_message_is_decoded_too() -> None:
    lamp = Item(product_id="p", name="Salt &amp; Pepper", content_verified=True)
    sms = render_message(
        TEMPLATES["cart_reminder"], Channel.SMS, RenderContext(SAMPLE_SHOP, SAMPLE_LINKS, (lamp,))
    )

    assert "Salt & Pepper is still in your cart" in sms.text
