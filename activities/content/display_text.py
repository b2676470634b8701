"""Texts of shops and customers as a message shows them: entities, broken encodings, empty words, first names.

Shops send texts that went through an HTML page, a wrong encoding or an unfilled template on their way.
What can be read is mended; what says nothing counts as missing. The tables are data: add to them what else
shops send.
"""

import html
import re
import unicodedata

from activities.content.sanitize import strip_unprintable
from profiles.identity.normalization import is_placeholder

MAX_NAME_LENGTH = 40

_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")

_WINDOWS_1252 = {
    byte: bytes([byte]).decode("cp1252") if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else ""
    for byte in range(0x80, 0xA0)
}
"""Control characters that are letters of Windows-1252 read as Latin-1; browsers read them so too."""

_BYTE_OF = {text: byte for byte, text in _WINDOWS_1252.items() if text} | {
    chr(byte): byte for byte in range(0x80, 0x100)
}

_BYTES_AS_LETTERS = re.compile(f"[{re.escape(''.join(_BYTE_OF))}]{{2,}}")

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\u3164"
    "\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""Characters without a shape. Joiners are kept: Persian and Indic names and emoji need them."""

_UNFILLED_TEMPLATE = re.compile(
    r"\{\{\{?[\w .|'-]*\}?\}\}|\$\{[\w.]+\}|<%=? ?[\w.]+ ?%>|\*\|[\w:.]+\|\*|%%?[\w.]+%%?|__\w+__"
)
"""A text that is one placeholder of a template and nothing else."""

EMPTY_TEXTS = frozenset(
    (
        # What programming languages and databases print for a missing value.
        *("null", "nil", "none", "undefined", "nan", "[object object]", "object object", "(null)", "<null>"),
        *("n/a", "n.a.", "n/d", "#n/a", "#ref!", "#name?", "#value!"),
        # What product editors and shop systems fill in.
        *("untitled", "untitled product", "no name", "noname", "no title", "product name", "product_name"),
        *("product title", "item name", "item_name", "default title", "title: default title"),
    )
)
"""Names, variants, categories and brands of products that say nothing, in lower case."""

PLACEHOLDER_NAMES = frozenset(
    (
        # Names of the field: an import without its values, a merge tag of a mail tool without its signs.
        *("fname", "lname", "firstname", "first name", "f name", "given name", "forename", "lastname"),
        *("last name", "surname", "name", "full name", "fullname", "your name", "my name", "contact name"),
        *("customer name", "user name", "username", "nickname", "display name", "billing first name"),
        *("vorname", "nachname", "prenom", "prénom", "nom", "nombre", "apellido", "nome", "voornaam", "naam"),
        *("imie", "imię", "förnamn", "fornavn", "etunimi", "namn", "navn"),
        # What tills, marketplaces and guest checkouts fill in.
        *("customer", "valued customer", "dear customer", "guest customer", "walk in customer", "walk in"),
        *("retail customer", "web customer", "online customer", "cash customer", "cash sale", "buyer"),
        *(
            "client",
            "cliente",
            "kunde",
            "kundin",
            "klant",
            "laufkunde",
            "gast",
            "invité",
            "invitado",
            "ospite",
        ),
        *("user", "new user", "member", "subscriber", "contact", "friend", "there", "shopper", "person"),
        *("shop", "store", "webshop", "admin", "administrator", "owner", "staff", "support", "info", "sales"),
        # What people type into a field that must not stay empty.
        *("none given", "not given", "no name", "noname", "no first name", "private", "privat", "kein name"),
        *("keine angabe", "unbekannt", "inconnu", "desconocido", "sin nombre", "sconosciuto", "onbekend"),
        *("abc", "abcd", "asd", "asdf", "qwe", "qwer", "qwertz", "azerty", "first", "last", "me", "same"),
        *("company", "firma", "gmbh", "ltd", "inc", "llc"),
        # Titles without a name behind them.
        *("mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "madam", "sir madam", "herr", "frau", "hr"),
        *("fr", "mme", "mlle", "monsieur", "madame", "señor", "señora", "sig", "dhr", "mevr"),
    )
)
"""First names that are none, in lower case, with single blanks instead of punctuation. In addition to
``profiles.identity.normalization.PLACEHOLDER_WORDS``."""

_NOT_IN_NAMES = re.compile(r"[/\\@<>{}:;=\[\]|*%#$^~\"!?+,]|www\.|\.\w{2,}|\d{3,}|\ufffd", re.IGNORECASE)

_BETWEEN_WORDS = re.compile(r"[\W_]+")

_ONE_LETTER_REPEATED = re.compile(r"(\w)\1{2,}")

_VOWEL = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýœаеёиоуыэюяіїєαεηιουω]", re.IGNORECASE)

_WORD_OF_NAME = re.compile(r"[^\W\d_]+")


def clean_text(text: str) -> str:
    """Return a text with entities decoded once, broken encodings mended, and nothing unprintable.

    ``&eacute;`` becomes é, ``CafÃ©`` becomes Café: letters that are the bytes of UTF-8 read as Windows-1252.
    Line breaks are kept. What this returns is text, not HTML: a template escapes it.
    """
    if text.isascii() and "&" not in text:
        return strip_unprintable(text)
    decoded = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text) if "&" in text else text
    mended = _BYTES_AS_LETTERS.sub(_decode_run, decoded).translate(_WINDOWS_1252)
    return strip_unprintable(_INVISIBLE.sub("", mended))


def _decode_run(run: re.Match[str]) -> str:
    try:
        return bytes(_BYTE_OF[letter] for letter in run[0]).decode()
    except UnicodeDecodeError:
        return run[0]


def clean_url(url: str) -> str:
    """Return a link as XML feeds and pages write it: ``&amp;`` between parameters is ``&``."""
    return url.replace("&amp;", "&")


def clean_value(text: str) -> str:
    """Return ``clean_text``, or of a link ``clean_url``."""
    return strip_unprintable(clean_url(text)) if "://" in text else clean_text(text)


def to_single_line(text: str, max_length: int) -> str:
    """Return ``clean_text`` with single blanks, cut to ``max_length`` with an ellipsis."""
    flat = " ".join(clean_text(text).split())
    return flat if len(flat) <= max_length else f"{flat[: max_length - 1].rstrip()}…"


def product_text(text: str | None, max_length: int = 80) -> str:
    """Return a text of a product in one line; empty where it says nothing (``EMPTY_TEXTS``)."""
    flat = to_single_line(text or "", max_length)
    says_nothing = (
        flat.lower() in EMPTY_TEXTS
        or _UNFILLED_TEMPLATE.fullmatch(flat)
        or not any(c.isalnum() or unicodedata.category(c) == "So" for c in flat)
    )
    return "" if says_nothing else flat


def greeting_name(first_name: str | None) -> str | None:
    """Return the first name for a greeting; None where it does not look like one.

    Spammers put advertising into the name field of sign-up forms: an address, a host or a long number.
    Systems put the name of the field, an unfilled template or a printed empty value there, see
    ``PLACEHOLDER_NAMES``. A name in capitals is written with an initial capital.
    """
    if first_name is None:
        return None
    name = unicodedata.normalize("NFC", " ".join(clean_text(first_name).split()))
    if not name or len(name) > MAX_NAME_LENGTH or _NOT_IN_NAMES.search(name) or _is_no_name(name):
        return None
    return _WORD_OF_NAME.sub(_lower_capitals, name)


def _is_no_name(name: str) -> bool:
    words = _BETWEEN_WORDS.sub(" ", name.lower()).strip()
    bare = words.rstrip("0123456789 ")
    letters = "".join(c for c in bare if c.isalpha())
    return (
        not letters
        or (len(letters) == 1 and letters.isascii())
        or is_placeholder(name)
        or any(text in PLACEHOLDER_NAMES or is_placeholder(text) for text in (words, bare))
        or all(word in PLACEHOLDER_NAMES or is_placeholder(word) for word in bare.split())
        or _ONE_LETTER_REPEATED.fullmatch(letters) is not None
    )


def _lower_capitals(word: re.Match[str]) -> str:
    """Return ANNE as Anne; initials such as JP and AJ as they are."""
    text = word[0]
    lowered = text.lower()
    is_capitals = len(text) > 2 and text.isupper() and lowered.upper() == text and _VOWEL.search(text)
    return f"{text[0]}{lowered[1:]}" if is_capitals else text
