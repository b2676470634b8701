"""Amounts: in their own currency, or none."""

from typing import Any

import pytest

from profiles.reading.amounts import read_currency, read_money, read_pieces
from profiles.reading.properties import read_properties

AMOUNTS: tuple[tuple[Any, float | None, str | None, str], ...] = (
    (39, 39.0, None, "a number"),
    ("39.00", 39.0, None, "a number as text"),
    ("39,00", 39.0, None, "a German till"),
    ("1.234,56", 1234.56, None, "a German export"),
    ("1,234.56", 1234.56, None, "an English export"),
    ("1 234,56", 1234.56, None, "a French export"),
    ("1\u202f234,56 €", 1234.56, "EUR", "a French page"),
    ("1'234.56", 1234.56, None, "a Swiss export"),
    ("CHF 39.-", 39.0, "CHF", "a Swiss price tag"),
    ("39.00 EUR", 39.0, "EUR", "a merchant feed"),
    ("EUR 39.00", 39.0, "EUR", "a till"),
    ("€39", 39.0, "EUR", "a page"),
    ("39€", 39.0, "EUR", "a page"),
    ("US$39", 39.0, "USD", "a page"),
    ("£39.50", 39.5, "GBP", "a page"),
    ("-5.00", -5.0, None, "a receipt"),
    ("(5.00)", -5.0, None, "a bookkeeping export"),
    ({"amount": "39.00", "currency_code": "usd"}, 39.0, "USD", "a shop system's money"),
    ("1.234.567", 1234567.0, None, "two separators of thousands"),
    ("3900", 3900.0, None, "perhaps cents: never guessed"),
    ("1,234", None, None, "a thousand, or a fraction"),
    ("$39", None, None, "a sign of many currencies"),
    ("39 kr", None, None, "a sign of several currencies"),
    ("39.00 EUR USD", None, None, "two currencies"),
    ("free", None, None, "a word"),
    (True, None, None, "a checkbox"),
    ({}, None, None, "an empty object"),
    ([39], None, None, "a list"),
)


@pytest.mark.parametrize(
    ("sent", "amount", "currency"),
    [pytest.param(a, b, c, id=f"{where}: {a!r}") for a, b, c, where in AMOUNTS],
)
def test_an_amount_is_read_with_its_currency(sent: Any, amount: float | None, currency: str | None) -> None:
    assert read_money(sent) == (amount, currency)


def test_a_sign_of_many_currencies_is_read_beside_one_of_them() -> None:
    assert read_money("$39", "USD") == (39.0, "USD")
    assert read_money("$39", "EUR") == (None, None)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        *(
            pytest.param(each, "USD", id=repr(each))
            for each in ("USD", "usd", "USD ", " Usd", "US$", "840", 840)
        ),
        *(pytest.param(each, "EUR", id=repr(each)) for each in ("€", "Euro", "EURO", "eur", 978)),
        *(
            pytest.param(each, None, id=repr(each))
            for each in ("$", "¥", "kr", "", "dollars", "ZZZ", None, 1, True)
        ),
    ],
)
def test_a_currency_is_read_or_none(sent: Any, code: str | None) -> None:
    assert read_currency(sent) == code


@pytest.mark.parametrize(
    ("sent", "pieces"),
    [
        (2, 2),
        ("2", 2),
        ("2.0", 2),
        (2.0, 2),
        ("2x", 2),
        ("2 Stk.", 2),
        (0.4, 1),
        (-1, -1),
        ("-3", -3),
        ("two", None),
    ],
)
def test_pieces_are_whole_and_keep_their_sign(sent: Any, pieces: int | None) -> None:
    assert read_pieces(sent) == pieces


LAMP = {"product_id": "lamp", "price": 39.0}


@pytest.mark.parametrize(
    ("sent", "read", "codes"),
    [
        pytest.param(
            {"currency": "usd", "total": 39.0, "products": [LAMP]},
            {"currency": "USD", "total": 39.0, "products": [LAMP]},
            [],
            id="a code in small letters",
        ),
        pytest.param(
            {"currency": "$", "total": 39.0, "products": [LAMP]},
            {"products": [{"product_id": "lamp"}]},
            ["unreadable_currency"],
            id="a currency that cannot be read takes the amounts with it",
        ),
        pytest.param(
            {"currency": "USD", "total": "39.00 EUR"},
            {"currency": "USD"},
            ["mixed_currencies"],
            id="an amount in another currency than the event's",
        ),
        pytest.param(
            {"total": "39.00 EUR"},
            {"currency": "EUR", "total": 39.0},
            [],
            id="an amount that brings its currency",
        ),
        pytest.param({"total": "about 39"}, {}, ["unreadable_amount"], id="an amount that cannot be read"),
    ],
)
def test_an_order_has_amounts_in_its_currency_only(
    sent: dict[str, Any], read: dict[str, Any], codes: list[str]
) -> None:
    problems: list[dict[str, str]] = []
    properties = read_properties("Order Fulfilled", sent, problems)
    if "products" in read and "currency" in read:
        read = {**read, "products": [{**LAMP, "currency": "USD"}] if properties != sent else read["products"]}

    assert properties == read
    assert [each["code"] for each in problems] == codes
