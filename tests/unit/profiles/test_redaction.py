"""Texts that hold an address, in every spelling, and honest ids that look similar."""

import json
import time

import pytest

from profiles.redaction import (
    PLACEHOLDER,
    TEXT_LEFT_OUT,
    contains_email_or_phone,
    redact_addresses,
    redact_text,
    redact_value,
)

PERSONAL = {
    "an email": "ada@example.com",
    "in brackets": "550 no mailbox <ada@example.com>",
    "mailto": "mailto:ada@example.com?subject=x",
    "an international domain": "ada@münchen.de",
    "percent-encoded": "https://x.org/?mail=ada%40example.com",
    "encoded twice": "https://x.org/?next=%3Fmail%3Dada%2540example.com",
    "encoded five times": "ada%252525252540example.com",
    "every character encoded": "%61%64%61%40%65%78%61%6d%70%6c%65%2e%63%6f%6d",
    "full-width": "ada＠example．com",
    "small at sign": "ada﹫example.com",
    "ideographic full stop": "ada@example。com",
    "zero-width characters": "a\u200bda@exam\u200bple.com",
    "a soft hyphen at the at sign": "ada\u00ad@\u00adexample.com",
    "an HTML number": "ada&#64;example.com",
    "an HTML name": "ada&commat;example&period;com",
    "JSON in JSON": json.dumps(json.dumps({"m": "ada@example.com"}).replace("@", "\\u0040")),
    "written out": "ada (at) example (dot) com",
    "written out in brackets": "ada[at]example.com",
    "base64": "YWRhQGV4YW1wbGUuY29t",
    "base64 without padding": "YWRhQHgub3Jn",
    "base64 in a path": "https://x.org/unsubscribe/YWRhQGV4YW1wbGUuY29t/now",
    "base64 with a slash": "Pz8/YWRhQGV4YW1wbGUuY29t",
    "a JWT": "eyJhbGciOiJIUzI1NiJ9.eyJlbWFpbCI6ImFkYUBleGFtcGxlLmNvbSJ9.c2ln",
    "base64 of a phone": "KzQ5MTUxMTIzNDU2Nzg",
    "a phone": "+49 151 12345678",
    "in a sentence": "The number +4915112345678 is not valid",
    "dots": "+49.151.12345678",
    "slashes": "+49/151/12345678",
    "a zero in brackets": "+49 (0) 151 12345678",
    "en dashes": "+49–151–12345678",
    "no-break spaces": "+49\u00a0151\u00a012345678",
    "a plus encoded": "%2B4915112345678",
    "a plus encoded twice": "tel=%252B4915112345678",
    "full-width digits": "＋４９１５１１２３４５６７８",
    "Arabic digits": "+٤٩١٥١١٢٣٤٥٦٧٨",
    "00": "004915112345678",
    "00 with spaces": "0049 151 12345678",
    "00 in a query": "https://x.org/?tel=0049%20151%2012345678",
    "00 in brackets": "(0049) 151-12345678",
    "a landline after 00": "0049-30-901820",
    "tel": "tel:015112345678",
    "sms": "sms:+4915112345678",
    "WhatsApp": "https://wa.me/4915112345678",
    "an identifier's key": "phone:4915112345678",
    "inside a word": "x+4915112345678",
}

HONEST = {
    "a word": "lamp",
    "an image": "https://cdn.x.org/lamp@2x.png",
    "spaces around": "a @ b . c",
    "a name with an at sign": "AC/DC @ home",
    "a URL": "https://shop.example/p/lamp?utm=a%20b&x=1",
    "a percentage": "100 % cotton",
    "an EAN that begins as Germany's code": "4915112345678",
    "an EAN": "4006381333931",
    "an EAN of an American article": "0012345678905",
    "another one, which would be an Australian mobile": "0061414112345",
    "a GTIN-14": "00012345678905",
    "a padded UPC": "00614141123452",
    "an order number": "order 4915112345678",
    "a padded number": "0000001234567",
    "a padded number of twelve digits": "001234567890",
    "zeros": "00000000000000",
    "a number with a year": "INV-2026-000491",
    "a SKU": "SKU-00-1234-5678",
    "joined by a plus": "c-1+12345678",
    "a range": "+10 to 20",
    "a price": "+1000000",
    "a size": "size 42+",
    "thousands": "3.000.000,00",
    "a time": "2026-11-30T10:00:00.000000+00:00",
    "a UUID": "0190a3b4-7c00-7000-8000-0049151234ab",
    "a GraphQL id": "Z2lkOi8vc2hvcGlmeS9DYXJ0LzEyMw==",
    "a token": "cart_9f8e7d6c5b4a39281706",
    "a JWT's header": "eyJhbGciOiJIUzI1NiJ9",
    "a long word": "Rindfleischetikettierungsgesetz",
}


@pytest.mark.parametrize("text", PERSONAL.values(), ids=PERSONAL.keys())
def test_an_address_is_found_in_every_spelling(text: str) -> None:
    assert contains_email_or_phone(text)
    assert redact_value({"products": [{"name": text}]}) == {"products": [{"name": None}]}
    assert redact_addresses({text: 1, "a": 2}) == {"a": 2}


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST.keys())
def test_an_honest_value_passes(text: str) -> None:
    assert not contains_email_or_phone(text)
    assert redact_addresses({text: [text]}) == {text: [text]}
    assert redact_text(text) == text


def test_fields_that_name_a_person_are_none_whatever_their_text() -> None:
    given = {"first_name": "Ada", "Last-Name": "L", "phone": "0151 123", "name": "Lamp", "street": {"a": "b"}}

    assert redact_addresses(given) == {
        "first_name": None, "Last-Name": None, "phone": None, "name": "Lamp", "street": {"a": "b"}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mail to ada@example.com bounced", f"mail to {PLACEHOLDER} bounced"),
        ("?m=ada%40example.com&x=1", f"?m={PLACEHOLDER}&x=1"),
        ("no SMS to +49 151 12345678 now", f"no SMS to {PLACEHOLDER} now"),
        ("mail to ada＠example.com bounced", TEXT_LEFT_OUT),
        ("call 0049 151 12345678", TEXT_LEFT_OUT),
        ("id YWRhQGV4YW1wbGUuY29t", TEXT_LEFT_OUT),
        ("x" * 3000, "x" * 500),
        ("word " * 200 + "ada@example.com", ("word " * 100)),
    ],
)
def test_a_message_keeps_its_words_and_loses_its_addresses(text: str, shown: str) -> None:
    assert redact_text(text) == shown


def test_an_address_at_the_place_of_the_cut_is_not_left_in_half() -> None:
    text = "y" * 90 + " ada.lovelace@example.com"

    assert "ada" not in redact_text(text, 50)


SIZE = 64_000

WORST = (
    *("a", "@", "a@", "+1", "1 ", "a@a.", "%40", "a%40", "%25", "%2525", "%2540", "001", "00491511 ", "00 "),
    *(
        "0049151123456 ",
        "+1234567",
        "a+12345678 ",
        "&#64;",
        "&amp;",
        "\\u0040",
        "\\",
        "(at)",
        "(at",
        "ﷺ",
        "＠",
    ),
    *(
        "\u200b",
        "YWRh",
        "YWRhQGV4 ",
        "/",
        "+ ",
        "tel:",
        "tel:1 ",
        "wa.me/",
        "٤",
        "- ",
        "+-",
        ".",
        "a @",
        " ",
        "=?",
    ),
)


@pytest.mark.parametrize("part", WORST)
def test_the_worst_text_costs_linear_time(part: str) -> None:
    text = (part * SIZE)[: SIZE // len(part.encode()) * len(part)]
    before = time.process_time()
    contains_email_or_phone("+" + text)
    redact_text(text, len(text))

    assert time.process_time() - before < 0.6
