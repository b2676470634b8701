"""Amounts of money, their currencies, and numbers of pieces. Pure.

An amount stands in its own currency, or it is none: a currency that cannot be read takes its amount with it.
Whether 3900 are cents is never guessed.
"""

import math
import re
from functools import cache, lru_cache
from typing import Any, NamedTuple

SIGNS = {
    "€": "EUR",
    "euro": "EUR",
    "euros": "EUR",
    "£": "GBP",
    "us$": "USD",
    "u.s. dollar": "USD",
    "us dollar": "USD",
    "us dollars": "USD",
    "ca$": "CAD",
    "c$": "CAD",
    "au$": "AUD",
    "a$": "AUD",
    "nz$": "NZD",
    "hk$": "HKD",
    "s$": "SGD",
    "r$": "BRL",
    "mx$": "MXN",
    "nt$": "TWD",
    "cn¥": "CNY",
    "jp¥": "JPY",
    "円": "JPY",
    "元": "CNY",
    "sfr": "CHF",
    "sfr.": "CHF",
    "fr.": "CHF",
    "zł": "PLN",
    "kč": "CZK",
    "₹": "INR",
    "₽": "RUB",
    "₩": "KRW",
    "₺": "TRY",
    "₴": "UAH",
    "₪": "ILS",
    "₫": "VND",
    "₱": "PHP",
    "฿": "THB",
    "pound sterling": "GBP",
    "swiss franc": "CHF",
}
"""Sign or word, in small letters → its one currency. "$", "¥" and "kr" stand for several."""

_AMBIGUOUS_SIGNS = {
    "$": frozenset(("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "ARS", "CLP", "COP", "TWD")),
    "¥": frozenset(("JPY", "CNY")),
    "kr": frozenset(("SEK", "NOK", "DKK", "ISK")),
    "rs": frozenset(("INR", "PKR", "LKR", "NPR", "MUR")),
}
"""Sign → the currencies that it may stand for. It is read where the event states one of them beside it."""

_CODE_BY_NUMBER = {
    "978": "EUR",
    "840": "USD",
    "826": "GBP",
    "756": "CHF",
    "392": "JPY",
    "752": "SEK",
    "208": "DKK",
    "578": "NOK",
    "985": "PLN",
    "203": "CZK",
    "124": "CAD",
    "036": "AUD",
    "554": "NZD",
    "156": "CNY",
    "356": "INR",
}
"""Numbers of ISO 4217."""

_NUMERAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", re.ASCII)

_MONEY = re.compile(
    r"(?P<before>[^\d.,+\-()]*)(?P<sign>[+-]?)\s*(?P<middle>[^\d.,+\-()]*)"
    r"(?P<number>\d[\d.,'\u2019\u00a0\u202f ]*)(?P<dash>[-\u2013\u2014]*)(?P<after>[^\d]*)"
)

_SPACES = re.compile(r"[\s'\u2019\u00a0\u202f]")

_GROUPED_BY_SPACES = re.compile(r"\d{1,3}([\s'\u2019\u00a0\u202f]\d{3})+([.,]\d{1,2})?")

_AROUND_A_WORD = " .:,-\u2013\u2014\u00a0\u202f"

_MAX_LENGTH = 64
"""Characters of an amount."""


class Money(NamedTuple):
    """An amount, and the currency that is written with it."""

    amount: float | None
    """None: it cannot be read."""
    currency: str | None = None
    """None: none is written with it."""


@cache
def _known_currencies() -> frozenset[str]:
    # Reading babel's tables takes a tenth of a second, so it is left until a currency is seen.
    from babel.core import get_global

    return frozenset(get_global("all_currencies"))


@lru_cache(maxsize=1024)
def _read_code(text: str) -> str | None:
    folded = text.strip().casefold()
    if folded in SIGNS:
        return SIGNS[folded]
    if text in _CODE_BY_NUMBER:
        return _CODE_BY_NUMBER[text]
    code = folded.upper()
    is_code = len(code) == 3 and code.isascii() and code.isalpha()
    return code if is_code and code in _known_currencies() else None


def is_plain_numeral(value: Any) -> bool:
    """Return whether a value is a text that every program reads as the same number, such as "39.00"."""
    return isinstance(value, str) and len(value) <= _MAX_LENGTH and _NUMERAL.fullmatch(value) is not None


def read_currency(value: Any) -> str | None:
    """Return the code of ISO 4217, such as EUR for "eur ", "€" or 978; None for a sign of several."""
    if type(value) is int:
        value = str(value).zfill(3)
    return _read_code(value.strip()) if isinstance(value, str) and len(value) <= 32 else None


def read_money(value: Any, stated: str | None = None) -> Money:
    """Return the amount that a number or a text shows, such as 1234.56 of "1.234,56 €".

    ``stated``: the currency that the event states beside it, which decides what "$" is. A text such as
    "1,234", which may be a thousand or a fraction, has no amount. An object has the amount under amount or
    value, with the currency beside it, as a Money of Shopify's has.
    """
    if isinstance(value, bool) or value is None:
        return Money(None)
    if isinstance(value, int | float):
        return Money(float(value) if abs(value) < 1e300 and math.isfinite(value) else None)
    if isinstance(value, dict):
        return _read_object(value)
    if not isinstance(value, str) or len(value) > _MAX_LENGTH:
        return Money(None)
    text = value.strip()
    if _NUMERAL.fullmatch(text):
        number = float(text)
        return Money(number if math.isfinite(number) else None)
    return _read_text(text, stated)


def _read_object(value: dict[str, Any]) -> Money:
    for name in ("amount", "value", "shop_money", "shopMoney", "presentment_money", "price"):
        if name in value:
            inner = read_money(value[name])
            stated = next(
                (value[key] for key in ("currency", "currency_code", "currencyCode") if key in value), None
            )
            if stated is None:
                return inner
            currency = read_currency(stated)
            return Money(inner.amount, currency) if currency else Money(None)
    return Money(None)


def _read_text(text: str, stated: str | None) -> Money:
    negative = text.startswith("(") and text.endswith(")")
    if negative:
        text = text[1:-1]
    match = _MONEY.fullmatch(text)
    if match is None:
        return Money(None)
    parts = (match[name].strip(_AROUND_A_WORD) for name in ("before", "middle", "after"))
    words = [part for part in parts if part]
    signs = {
        stated if stated in _AMBIGUOUS_SIGNS.get(word.casefold(), ()) else read_currency(word)
        for word in words
    }
    if len(signs) > 1 or None in signs:
        return Money(None)
    number = _read_number(match["number"].rstrip(" ,.\u00a0\u202f"))
    if number is None:
        return Money(None)
    minus = negative or match["sign"] == "-"
    return Money(-number if minus else number, next(iter(signs), None))


def _read_number(text: str) -> float | None:
    """Return a number with separators of thousands or a comma; None where it may be either."""
    digits = _SPACES.sub("", text)
    if len(digits) < len(text) and not _GROUPED_BY_SPACES.fullmatch(text):
        return None
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        decimal = max(".", ",", key=digits.rfind)
        thousands = "," if decimal == "." else "."
        whole, _, fraction = digits.rpartition(decimal)
        if decimal in whole or not re.fullmatch(rf"\d{{1,3}}(\{thousands}\d{{3}})+", whole):
            return None
        return float(f"{whole.replace(thousands, '')}.{fraction}")
    if not points and not commas:
        return float(digits)
    mark = "." if points else ","
    if points + commas > 1:
        fits = re.fullmatch(rf"\d{{1,3}}(\{mark}\d{{3}})+", digits)
        return float(digits.replace(mark, "")) if fits else None
    whole, fraction = digits.split(mark)
    # A thousand, or a fraction of three digits.
    return None if len(fraction) == 3 else float(f"{whole}.{fraction}")


_PIECES = re.compile(
    r"(?P<number>[+-]?\d{1,15})([.,](?P<rest>\d+))?\s*(x|pcs?\.?|stk\.?|stück|pieces?)?", re.IGNORECASE
)

_MAX_PIECES = 10**15


def read_pieces(value: Any) -> int | None:
    """Return a whole number of pieces, which may be negative; None if there is none.

    A part of a piece counts as one.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        if len(text) > 15 and text.isdecimal():
            return _MAX_PIECES
        match = _PIECES.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        if match is None:
            return None
        value = float(f"{match['number']}.{match['rest'] or 0}")
    if isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value) and abs(value) < _MAX_PIECES:
        return math.ceil(value) if value > 0 else math.floor(value)
    return None
