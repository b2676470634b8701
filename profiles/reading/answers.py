"""Answers: yes and no in any words, of consents and of stock. Pure.

A refusal counts in any words. Only what clearly is a grant is one; all else is neither.
"""

import re
from typing import Any

YES = frozenset(
    (
        *(
            "true",
            "t",
            "yes",
            "y",
            "1",
            "1.0",
            "on",
            "ja",
            "oui",
            "si",
            "sí",
            "sim",
            "tak",
            "da",
            "да",
            "はい",
        ),
        *("granted", "grant", "given", "subscribed", "subscribe", "opted_in", "opt_in", "optin", "opted in"),
        *("opt in", "opt-in", "opted-in", "optedin", "accepted", "accept", "allowed", "allow", "agreed"),
        *("consented", "enabled", "erteilt", "zugestimmt", "double_opt_in", "confirmed_opt_in"),
    )
)
"""In small letters."""

NO = frozenset(
    (
        *("false", "f", "no", "n", "0", "0.0", "off", "nein", "non", "nee", "nej", "ne", "nie", "não", "nao"),
        *(
            "нет",
            "いいえ",
            "withdrawn",
            "withdraw",
            "withdrew",
            "disabled",
            "inactive",
            "none",
            "stop",
            "stopall",
        ),
        *("stopped", "end", "quit", "cancel", "cancelled", "canceled", "blocked", "block", "suppressed"),
        *("suppress", "spam", "complained", "complaint", "never", "removed", "deleted", "archived"),
        *("forbidden", "disallowed", "disallow", "disagreed", "expired", "invalid"),
    )
)
"""In small letters."""

_NO_IN_A_TEXT = re.compile(
    r"\bnot?\b|\bdon.?t\b|\bdo[ _-]not\b|\bdnc\b|\bnever\b|\bnicht\b|\bkein"
    r"|opt(ed)?[ _-]?out|un[ _-]?sub|un[ _-]?confirmed|withdr|revok|refus|declin|den(y|ied)|reject|objected"
    r"|abgemeldet|abmeld|abgelehnt|widerruf|widerspr|désabonn|desabonn|desinscri|désinscri|refusé|baja"
    r"|disiscri|afgemeld|avregistr"
)

_NO_PREFIX = re.compile(r"(not|no|never|non)[ _-].*")

_MAX_LENGTH = 200
"""Characters of an answer that is read."""

STATE_FIELDS = (
    *(
        "granted",
        "state",
        "status",
        "value",
        "consent",
        "consented",
        "opted_in",
        "opt_in",
        "optIn",
        "optedIn",
    ),
    *("subscribed", "isSubscribed", "enabled", "allowed", "accepted", "marketing", "consent_status"),
    *("marketing_state", "subscription", "subscription_status"),
)
"""Where an object of a consent has its answer."""

NEGATIVE_FIELDS = (
    *("unsubscribed", "opted_out", "opt_out", "optOut", "optedOut", "withdrawn", "revoked", "denied"),
    *("suppressed", "do_not_contact", "blocked"),
)
"""Fields of such an object that refuse where they are set."""


def read_answer(value: Any) -> bool | None:
    """Return True for a grant, False for a refusal in any words, None for what is neither."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return {0.0: False, 1.0: True}.get(value)
    if isinstance(value, str):
        text = value[:_MAX_LENGTH].strip().strip("\"'").casefold()
        if text in YES:
            return True
        negative = text in NO or _NO_PREFIX.fullmatch(text) or _NO_IN_A_TEXT.search(text)
        return False if negative else None
    if isinstance(value, list) and len(value) == 1:
        return read_answer(value[0])
    return read_state(value) if isinstance(value, dict) else None


def read_state(fields: dict[str, Any]) -> bool | None:
    """Return the answer in an object such as ``{"status": "unsubscribed"}``.

    One refusal outweighs every grant.
    """
    answers: list[bool | None] = []
    for name in STATE_FIELDS:
        if name in fields and not isinstance(fields[name], dict):
            answers.append(read_answer(fields[name]))  # noqa: PERF401 - a loop like the next
    for name in NEGATIVE_FIELDS:
        # The date of a withdrawal, or anything but a denial of it, is one.
        if fields.get(name) is not None and read_answer(fields[name]) is not False:
            return False
    if False in answers:
        return False
    # An answer that cannot be read leaves the grant beside it in doubt.
    return True if answers and all(answers) else None


IN_STOCK = frozenset(
    (
        *("instock", "available", "instoreonly", "onlineonly", "limitedavailability", "lowstock", "limited"),
        *("yes", "true", "y", "1", "preorder", "presale", "backorder", "onbackorder", "availablefororder"),
        *(
            "auflager",
            "lieferbar",
            "verfügbar",
            "enstock",
            "disponible",
            "disponibile",
            "availableforpreorder",
        ),
    )
)
"""Letters of a stock that can be bought, in small letters."""

OUT_OF_STOCK = frozenset(
    (
        *("outofstock", "soldout", "discontinued", "unavailable", "notavailable", "notinstock", "nostock"),
        *(
            "no",
            "false",
            "n",
            "0",
            "reserved",
            "temporarilyunavailable",
            "temporarilyoutofstock",
            "madetoorder",
        ),
        *("ausverkauft", "nichtverfügbar", "nichtlieferbar", "nichtauflager", "vergriffen", "rupturedestock"),
        *("épuisé", "agotado", "esaurito", "sinstock", "enrupture", "indisponible"),
    )
)
"""Letters of a stock that cannot be bought now, in small letters."""

_SCHEMA_ORG = re.compile(r"https?://(www\.)?schema\.org/", re.IGNORECASE)

_NUMBER = re.compile(r"[+-]?\d{1,15}([.,]\d+)?")

_SEPARATORS = re.compile(r"[\W_]+")


def read_stock(value: Any) -> bool | None:
    """Return whether a product can be bought, by words, numbers of pieces, or schema.org's addresses."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value > 0 if value == value else None
    if isinstance(value, str):
        text = _SCHEMA_ORG.sub("", value[:_MAX_LENGTH].strip())
        if _NUMBER.fullmatch(text):
            return float(text.replace(",", ".")) > 0
        letters = _SEPARATORS.sub("", text).casefold()
        return True if letters in IN_STOCK else False if letters in OUT_OF_STOCK else None
    if isinstance(value, list) and len(value) == 1:
        return read_stock(value[0])
    return None
