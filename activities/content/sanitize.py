"""Sanitizes data of customers and of the shop for messages: URLs, references and text."""

import re
from urllib.parse import urljoin, urlsplit

ALLOWED_SCHEMES = ("http", "https", "mailto", "tel")

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")

_DIRECTION_MARKS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")

_FORBIDDEN_IN_URL = re.compile(r"[\x00-\x1f\x7f\\<>\"`{}|^\ud800-\udfff]")

_REFERENCE = re.compile(r"[A-Za-z0-9#_/.-]{1,40}")

_HOST_IN_REFERENCE = re.compile(r"\.[A-Za-z]{2,}(?:/|$)")


def safe_url(value: object) -> str:
    """Return the URL if it is safe in a message, else the empty string. Never raises.

    Allows only http, https, mailto and tel: HTML escaping does not stop ``javascript:`` or ``data:``.
    A protocol-relative URL (``//cdn.example/a.jpg``) becomes https. Blanks become ``%20``.
    """
    if not isinstance(value, str):
        return ""
    url = value.strip()
    if url.startswith("//"):
        url = f"https:{url}"
    if _FORBIDDEN_IN_URL.search(url):
        return ""
    url = re.sub(r"\s", "%20", url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    scheme = parts.scheme.lower()
    if scheme not in ALLOWED_SCHEMES:
        return ""
    if scheme in ("http", "https") and not parts.hostname:
        return ""
    return url


def absolute_url(value: str | None, shop_url: str) -> str | None:
    """Return a safe absolute URL, resolved against the shop's; None where it is missing or unsafe."""
    if value is None or not value.strip():
        return None
    try:
        return safe_url(urljoin(shop_url, value.strip())) or None
    except ValueError:
        return None


def url_host(url: str) -> str:
    """Return the host of a URL in lower case, without a leading ``www.``; empty where there is none."""
    try:
        return (urlsplit(url).hostname or "").lower().removeprefix("www.")
    except ValueError:
        return ""


def strip_unprintable(text: str) -> str:
    """Remove control characters (MJML rejects them) and direction overrides; line breaks are kept."""
    return _DIRECTION_MARKS.sub("", _CONTROL_CHARACTERS.sub("", text))


def safe_reference(text: str) -> str | None:
    """Return a text if it looks like the id of an order or a case, such as ``WEB-1042``; else None.

    It has at most 40 letters, digits, ``#``, ``-``, ``_``, ``/`` and ``.``, at least one digit, and no end of
    a host's name, which mail programs turn into a link. For what a verified event states: a sender that
    anyone may be writes a sentence within these bounds.
    """
    candidate = text.strip()
    if not _REFERENCE.fullmatch(candidate) or _HOST_IN_REFERENCE.search(candidate):
        return None
    return candidate if any(letter in "0123456789" for letter in candidate) else None
