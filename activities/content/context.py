"""The values that a template may read: shop, links, items, profile and ``context=``, all sanitized."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from zlib import crc32

from babel import Locale, UnknownLocaleError

from activities.content.display_text import (
    clean_url,
    clean_value,
    greeting_name,
    product_text,
)
from activities.content.sanitize import (
    absolute_url,
    safe_url,
    url_host,
)
from profiles.events import Item

_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}")

_CURRENCY_CODE = re.compile(r"[A-Z]{3}")

MAX_ITEM_NAME_LENGTH = 80

DEFAULT_UNNAMED_ITEM = "Your item"

UNNAMED_ITEM = MappingProxyType(
    {
        "cs": "Vaše zboží",
        "da": "Din vare",
        "de": "Ihr Artikel",
        "en": DEFAULT_UNNAMED_ITEM,
        "es": "Su artículo",
        "fi": "Tuotteesi",
        "fr": "Votre article",
        "it": "Il suo articolo",
        "ja": "ご注文の商品",
        "nb": "Din vare",
        "nl": "Uw artikel",
        "no": "Din vare",
        "pl": "Twój produkt",
        "pt": "O seu artigo",
        "sv": "Din vara",
    }
)
"""Language of a template → its words for an item that neither a verified event nor the feed names."""

MAX_AMOUNT = Decimal(10) ** 15
"""Amounts from here on are no price of anything, and beyond the precision of their formatting."""

MAX_LOCALE_LENGTH = 35
"""Characters of a language tag that every implementation must support (RFC 5646, section 4.4.1)."""

_LOCALE_PATTERN = re.compile(r"[A-Za-z]{2,3}(_[A-Za-z0-9]{1,8}){0,4}")

_PLACEHOLDER_COLORS = (
    ("#e4ebe4", "#3c5945"),
    ("#f1e6da", "#7a5230"),
    ("#e3e8f1", "#3b4f78"),
    ("#f2e1e1", "#84433f"),
    ("#ece5f0", "#5d4674"),
)
"""Background and letter colour of the placeholder for a missing picture."""


class ContentError(Exception):
    """A message cannot be rendered, by a retry neither; its claim is released with the reason ``content``."""

    def __init__(self, reason: str, *, part: str = "", line: int = 0) -> None:
        place = f"{part}:{line}: " if part and line else f"{part}: " if part else ""
        super().__init__(f"{place}{reason}")
        self.reason = reason
        """In words."""
        self.part = part
        """The faulty file; empty where unknown."""
        self.line = line
        """From 1; 0 where unknown."""


@dataclass(frozen=True, slots=True)
class ShopDetails:
    """The sender. Raises ``ValueError`` with all fields that are invalid in a lawful message."""

    name: str
    postal_address: str
    """One line; commercial mail must show it (CAN-SPAM, 15 U.S.C. 7704(a)(5))."""
    url: str
    support_email: str
    currency: str = "EUR"
    """ISO 4217; used where an order or cart names none."""
    hosts: tuple[str, ...] = ()
    """Hosts of items' links and pictures in addition to that of ``url``, each with its subdomains."""
    locale: str = "en"
    """Locale of amounts where the profile's is unknown."""
    logo_url: str | None = None
    accent: str = "#1f4a3d"
    """Colour of buttons, #rrggbb; the label is black or white, by contrast."""

    def __post_init__(self) -> None:
        faults = []
        if not self.name.strip():
            faults.append("name: expected the shop's name, got nothing")
        if not self.postal_address.strip():
            faults.append(
                "postal_address: expected a street address, got nothing; marketing mail must show it"
            )
        if not safe_url(self.url).startswith(("http://", "https://")):
            faults.append(f"url: expected an http(s) address, got {self.url!r}")
        if "@" not in self.support_email:
            faults.append(f"support_email: expected an email address, got {self.support_email!r}")
        if not _CURRENCY_CODE.fullmatch(self.currency):
            faults.append(f"currency: expected three capitals as in ISO 4217, got {self.currency!r}")
        if not _HEX_COLOR.fullmatch(self.accent):
            faults.append(f"accent: expected a colour as #rrggbb, got {self.accent!r}")
        if self.logo_url is not None and not safe_url(self.logo_url):
            faults.append(f"logo_url: expected an http(s) address or None, got {self.logo_url!r}")
        if faults:
            raise ValueError("the shop cannot sign messages: " + "; ".join(faults))

    def is_own_link(self, link: str) -> bool:
        """Return whether a link or picture is the shop's, by https; by http only where the shop's own URL is.

        Items of web events are untrusted input, and a foreign picture tells its host who reads the mail.
        """
        safe = safe_url(link)
        schemes = ("https://", "http://") if self.url.startswith("http://") else ("https://",)
        host = url_host(safe)
        return safe.lower().startswith(schemes) and any(
            host == own or host.endswith(f".{own}") for own in (url_host(self.url), *self.hosts) if own
        )

    @property
    def accent_text(self) -> str:
        """White or near-black, whichever contrasts more with the accent (WCAG 2 relative luminance)."""
        channels = [int(self.accent[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.058 else "#161616"

    def to_template_values(self) -> dict[str, object]:
        """Return the values that a template reads as ``shop``."""
        return {
            "name": self.name,
            "postal_address": " ".join(self.postal_address.split()),
            "url": self.url,
            "support_email": self.support_email,
            "logo_url": self.logo_url,
            "accent": self.accent,
            "accent_text": self.accent_text,
        }


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a message. Marketing needs those to unsubscribe and to the preferences."""

    shop_url: str
    cart_url: str | None = None
    unsubscribe_url: str | None = None
    """A page that asks for confirmation; opening it changes nothing."""
    preferences_url: str | None = None
    one_click_url: str | None = None
    """Accepts the POST of RFC 8058."""
    confirm_url: str | None = None
    """A page on which the recipient confirms the consent to marketing on the message's channel."""


@dataclass(frozen=True, slots=True)
class RenderContext:
    """All values from which one message is rendered."""

    shop: ShopDetails
    links: Links
    items: tuple[Item, ...] = ()
    """The items that the gate allows."""
    first_name: str | None = None
    locale: str | None = None
    """The profile's locale, as en-GB or en_GB; amounts are formatted by it."""
    currency: str | None = None
    """ISO 4217; None or an invalid code: the shop's."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Values that the story passed as ``context=``."""

    def to_template_values(self, unnamed_item: str = DEFAULT_UNNAMED_ITEM) -> dict[str, Any]:
        """Return the values that every template may read, without those declared in its message.toml.

        ``unnamed_item``: the words for an item without a name.
        """
        shop_url = self.links.shop_url
        items = [_item_values(item, shop_url, self.shop, unnamed_item) for item in self.items]
        totals = [item["total"] for item in items]
        return {
            "shop": self.shop.to_template_values(),
            "first_name": greeting_name(self.first_name),
            "items": items,
            "items_total": to_price(sum(totals)) if totals and None not in totals else None,
            "links": {
                "shop_url": absolute_url(shop_url, self.shop.url) or self.shop.url,
                "cart_url": absolute_url(self.links.cart_url, self.shop.url),
                "unsubscribe_url": absolute_url(self.links.unsubscribe_url, self.shop.url),
                "preferences_url": absolute_url(self.links.preferences_url, self.shop.url),
                "confirm_url": absolute_url(self.links.confirm_url, self.shop.url),
            },
            "locale": to_babel_locale(self.locale) or to_babel_locale(self.shop.locale) or "en",
            "currency": self.currency
            if _CURRENCY_CODE.fullmatch(self.currency or "")
            else self.shop.currency,
        }


def to_babel_locale(tag: str | None) -> str | None:
    """Convert a language tag such as ``de-DE`` to a locale that amounts can be formatted in.

    A region, script or variant that is not known is left out: ``de_XX`` becomes ``de``. None where the
    language is not known, and for anything that is no language tag.
    """
    candidate = (tag or "")[: MAX_LOCALE_LENGTH + 1].strip().replace("-", "_")
    if len(candidate) > MAX_LOCALE_LENGTH or not _LOCALE_PATTERN.fullmatch(candidate):
        return None
    return _known_locale(candidate)


@lru_cache(maxsize=256)
def _known_locale(candidate: str) -> str | None:
    parts = candidate.split("_")
    for count in range(len(parts), 0, -1):
        try:
            return str(Locale.parse("_".join(parts[:count])))
        except (ValueError, UnknownLocaleError):
            continue
    return None


def to_amount(value: object) -> Decimal | None:
    """Convert a finite number below ``MAX_AMOUNT`` to a decimal; None for anything else.

    So no wrong zero is shown, and no amount that cannot be formatted.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, Decimal) and not value.is_finite()
    ):
        return None
    if not -MAX_AMOUNT < value < MAX_AMOUNT:
        return None
    return Decimal(str(value))


def to_price(value: object) -> Decimal | None:
    """Convert the price of an item: as ``to_amount``, and None where it is negative."""
    price = to_amount(value)
    return None if price is None or price < 0 else price


def to_plain_value(value: Any) -> Any:
    """Convert a value of ``context=`` to text, numbers and containers of them. Raises ``ContentError``."""
    match value:
        case str():
            return clean_value(value)
        case None | bool():
            return value
        case int() | float() | Decimal():
            # As a missing value, for which templates have a branch.
            return None if to_amount(value) is None else value
        case Mapping():
            return {str(key): to_plain_value(inner) for key, inner in value.items()}
        case list() | tuple():
            return [to_plain_value(inner) for inner in value]
        case _:
            raise ContentError(
                f"context= takes text, numbers, lists and mappings; got a {type(value).__name__}"
            )


def _item_url(url: str | None, shop_url: str) -> str | None:
    return absolute_url(clean_url(url), shop_url) if url else None


def _item_values(item: Item, shop_url: str, shop: ShopDetails, unnamed_item: str) -> dict[str, Any]:
    known_name = product_text(item.name, MAX_ITEM_NAME_LENGTH)
    name = known_name or unnamed_item
    price, link = to_price(item.price), _item_url(item.url, shop_url)
    picture = _item_url(item.image_url, shop_url)
    background, letter = _PLACEHOLDER_COLORS[
        crc32((item.key or name).encode(errors="replace")) % len(_PLACEHOLDER_COLORS)
    ]
    return {
        "key": item.key if item.content_verified else None,
        "name": name,
        "is_named": bool(known_name),
        "variant": product_text(item.variant, MAX_ITEM_NAME_LENGTH) or None,
        "category": product_text(item.category, MAX_ITEM_NAME_LENGTH) or None,
        "brand": product_text(item.brand, MAX_ITEM_NAME_LENGTH) or None,
        "quantity": item.quantity,
        "price": price,
        "total": None if price is None else to_price(price * item.quantity),
        "url": link if link and shop.is_own_link(link) else None,
        "image_url": picture if picture and shop.is_own_link(picture) else None,
        "initial": next((c.upper()[:1] for c in name if c.isalnum()), "•"),
        "tint": background,
        "tint_text": letter,
    }
