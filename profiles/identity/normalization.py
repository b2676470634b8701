"""The one spelling of a value that identifies somebody, type by type. Every function is idempotent."""

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from typing import Literal
from urllib.parse import unquote

import phonenumbers
from email_validator import EmailNotValidError, validate_email


class BlockedIdentifier(ValueError):
    """A value that many systems send for people whom they do not know."""


PLACEHOLDER_WORDS = frozenset(
    (
        # What programming languages print for nothing; brackets and quotes around a word do not count.
        *("", "null", "nul", "nil", "none", "undefined", "nan", "void", "\\n", "true", "false", "-1"),
        *("infinity", "-infinity", "inf", "-inf", "object", "object object", "object undefined"),
        *("object null", "object promise", "object function", "system.object", "string", "error"),
        # What people and forms write for nothing.
        *("n/a", "n.a", "n.a.", "na", "n\\a", "nothing", "missing", "empty", "blank", "default", "unset"),
        *("not set", "not_set", "notset", "not available", "not applicable", "not provided", "not defined"),
        *("no value", "no data", "no email", "noemail", "no-email", "no_email", "nomail", "no phone"),
        *("tbd", "tba", "todo", "xxx", "xxxx", "xxxxx", "asdf", "asdfasdf", "qwerty", "changeme"),
        *("test", "testing", "test user", "test_user", "testuser", "dummy", "sample", "placeholder"),
        *("invalid", "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply"),
        # People without a name.
        *("unknown", "unknown user", "unidentified", "anonymous", "anonymous user", "anon", "anonymized"),
        *("guest", "guest user", "guest_user", "guestuser", "visitor", "not logged in", "not_logged_in"),
        *("notloggedin", "not authenticated", "not_authenticated", "logged out", "logged_out", "loggedout"),
        *("deleted", "deleted user", "removed", "redacted", "filtered", "masked", "hidden", "optout"),
        *("opted out", "opted_out", "nobody", "noone", "no one"),
        # The name of the field where its value should be.
        *("user id", "user_id", "user.id", "userid", "uid", "id", "anonymous id", "anonymous_id"),
        *("anonymousid", "distinct_id", "distinctid", "customer_id", "customerid", "loyalty_id"),
        *("loyaltyid", "email", "e-mail", "email_sha256", "phone", "phone number", "push_token"),
        *("pushtoken", "device_token", "devicetoken", "advertising_id", "advertisingid"),
        # Shared by every emulator of Android, and by every device of iOS.
        *("9774d56d682e549c", "02:00:00:00:00:00"),
    )
)
"""In small letters, without the brackets and quotes around them."""

PLACEHOLDER_EMAILS = frozenset(
    (
        *("test@test.com", "none@none.com", "null@null.com", "na@na.com", "no@no.com", "asdf@asdf.com"),
        *("abc@abc.com", "xxx@xxx.com", "123@123.com", "email@email.com", "fake@fake.com"),
        *("dummy@dummy.com", "sample@sample.com", "guest@guest.com", "noreply@noreply.com"),
        *("test@example.com", "none@example.com", "noemail@example.com", "no-email@example.com"),
    )
)
"""The best-known addresses of nobody, for their hashes; ``is_nobodys_email`` knows more by their form."""

_UNATTENDED_MAILBOXES = frozenset(
    (
        *("guest", "noreply", "donotreply", "null", "undefined", "anonymous", "noemail", "nomail"),
        "mailerdaemon",
    )
)
"""Local parts of nobody's mailbox at any domain, without the signs that part their words."""

# At example.com live the people of tests and demos; but these are nobody.
_PLACEHOLDER_AT_EXAMPLE = re.compile(r"(test|none|no[._-]?e?mail)(\+[^@]*)?@example\.[a-z.]+")

_SAME_NAME_AND_DOMAIN = re.compile(
    r"(test|none|na|no|asdf|abc|xxx|123|email|fake|dummy|sample|user|name)(\+[^@]*)?@\1(\.[a-z.]+)?"
)

_WORD_SEPARATORS = re.compile(r"[._-]")

_SURROUNDING_CHARACTERS = " \t\"'`()[]{}<>"

_WHITESPACE = re.compile(r"\s+")

_ZEROS_AND_PUNCTUATION = re.compile(r"[\W_0]*")

_ONE_REPEATED_CHARACTER = re.compile(r"([^\W_])\1{7,}")

_TEMPLATE_SYNTAX = re.compile(
    r"\{\{|\}\}|\{%|%\}|<%|%>|\$\{|#\{|%\{|%%|\*\||\|\*|%7b%7b"
    r"|^\$[a-z_][\w.]*$|^%[a-z_]\w*%$|^__[a-z_]+__$|^:[a-z_]+$|^@[a-z_]+@$"
    r"|^(\{[\w .-]+\}|\[[\w .-]+\]|<[\w .-]{1,40}>)$",
    re.IGNORECASE,
)

_DIGIT_SEQUENCES = frozenset(("123456789", "0123456789", "1234567890", "9876543210", "0987654321"))


def _hash_placeholders() -> Iterator[str]:
    # A system that hashes what it has hashes the placeholder too, in whichever spelling it was.
    for word in (*PLACEHOLDER_WORDS, *PLACEHOLDER_EMAILS, " ", "0", "(null)", "[object Object]", "NaN"):
        for spelled in {word, word.upper(), word.capitalize()}:
            for algorithm in ("md5", "sha1", "sha256"):
                yield hashlib.new(algorithm, spelled.encode(), usedforsecurity=False).hexdigest()


_PLACEHOLDER_DIGESTS = frozenset(_hash_placeholders())


def is_placeholder(text: str) -> bool:
    """Whether a value of any type says "nobody we know": a word, a bare zero, a template, or their hash."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = _WHITESPACE.sub(" ", folded).strip(_SURROUNDING_CHARACTERS)
    return (
        bare in PLACEHOLDER_WORDS
        or bare in _PLACEHOLDER_DIGESTS
        or _ZEROS_AND_PUNCTUATION.fullmatch(bare) is not None
        or _ONE_REPEATED_CHARACTER.fullmatch(bare.replace("-", "")) is not None
        or _TEMPLATE_SYNTAX.search(folded) is not None
    )


def is_placeholder_email(address: str) -> bool:
    """Whether an address, in small letters, is a placeholder or a mailbox that nobody reads."""
    local = address.partition("@")[0].partition("+")[0]
    return (
        address in PLACEHOLDER_EMAILS
        or _WORD_SEPARATORS.sub("", local) in _UNATTENDED_MAILBOXES
        or _PLACEHOLDER_AT_EXAMPLE.fullmatch(address) is not None
        or _SAME_NAME_AND_DOMAIN.fullmatch(address) is not None
    )


def is_placeholder_phone(digits: str) -> bool:
    """Whether a number, as written or without its country code, is one that nobody has.

    Numbers kept free for fiction (555-0100 to 555-0199) are the people of tests, and are not among them.
    """
    return len(set(digits)) == 1 or digits in _DIGIT_SEQUENCES


class InvalidIdentifier(ValueError):
    """A malformed value."""


# Unicode's Default_Ignorable_Code_Point: zero-width and bidi characters, joiners, variation selectors.
_INVISIBLE_CHARACTERS = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

_REPLACEMENT_CHARACTER = "\N{REPLACEMENT CHARACTER}"

_FULL_STOP_TRANSLATION = str.maketrans("\u3002\uff61", "..")

_NAME_WITH_ADDRESS = re.compile(r"[^<]*<([^<>]+)>")

_GMAIL_DOMAINS = frozenset(("gmail.com", "googlemail.com"))

_PLUS_TAG_DOMAINS = _GMAIL_DOMAINS | frozenset(
    (
        *("outlook.com", "outlook.de", "outlook.fr", "outlook.es", "outlook.it", "outlook.co.uk"),
        *("hotmail.com", "hotmail.de", "hotmail.fr", "hotmail.es", "hotmail.it", "hotmail.co.uk"),
        *("live.com", "live.de", "live.fr", "live.nl", "live.co.uk", "msn.com", "passport.com"),
        *("icloud.com", "me.com", "mac.com", "fastmail.com", "fastmail.fm"),
        *("proton.me", "protonmail.com", "protonmail.ch", "pm.me"),
    )
)
"""Providers that deliver ada+anything@ to ada@."""

_CONFUSABLE_SCRIPTS = frozenset(
    ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE", "LISU", "DESERET")
)
"""Scripts with letters that look like another's of this set, by the first word of a letter's Unicode name."""

_LATIN_LOOKALIKES = frozenset("асԁеһіјӏорԛѕѵԝхуүαγικνορσυχօոսհցզ")
"""Small letters of other scripts that look Latin (Unicode's confusables, the exact ones)."""

_PHONE_URI_SCHEME = re.compile(r"(tel|sms|callto|whatsapp):", re.IGNORECASE)

_HEX_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)

_BASE64_SHA256 = re.compile(r"[A-Za-z0-9+/_-]{43}=?")


def clean_unicode(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text in a Unicode normalisation form, without margins and without what cannot be seen."""
    if text.isascii():
        return text.strip()
    return _INVISIBLE_CHARACTERS.sub(
        "", unicodedata.normalize(form, _INVISIBLE_CHARACTERS.sub("", text))
    ).strip()


def check_printable(kind: str, text: str) -> str:
    """An id, a token: case stays. Raises ``InvalidIdentifier`` for what cannot have been meant."""
    if _REPLACEMENT_CHARACTER in text:
        raise InvalidIdentifier(f"{kind} has a character that was not valid Unicode; send it as UTF-8")
    if not text.isprintable():
        raise InvalidIdentifier(f"{kind} has characters that do not print; send it without them")
    return text


def normalize_email(text: str) -> str:
    """An address: the mailbox in small letters, the domain in small ASCII letters (punycode).

    The result still delivers: of what it drops, tags and a Gmail address's dots, the provider drops all.
    """
    text = _extract_address(check_printable("email", text))
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise InvalidIdentifier(f"email is not an address (write it as ada@example.com): {error}") from None
    local, domain = unicodedata.normalize("NFKC", found.local_part.lower()), found.ascii_domain.lower()
    _check_scripts([local, *found.domain.lower().split(".")])
    spelled = _canonical_mailbox(local, domain)
    if is_placeholder_email(f"{local}@{domain}") or is_placeholder_email(spelled):
        raise _placeholder_error("email", "mailbox", spelled)
    return spelled


def _extract_address(text: str) -> str:
    """What stands in ``Ada <ada@x.org>`` or ``mailto:ada@x.org?subject=…``, without full stops at its end."""
    if found := _NAME_WITH_ADDRESS.fullmatch(text):
        text = found[1].strip()
    if text[:7].lower() == "mailto:":
        text = check_printable("email", clean_unicode(unquote(text[7:].partition("?")[0]), "NFKC"))
    local, at, domain = text.rpartition("@")
    return local + at + domain.translate(_FULL_STOP_TRANSLATION).rstrip(".")


def _canonical_mailbox(local: str, domain: str) -> str:
    name = local.partition("+")[0] if domain in _PLUS_TAG_DOMAINS else local
    if domain in _GMAIL_DOMAINS:
        name, domain = name.replace(".", ""), "gmail.com"
    if not name:
        raise InvalidIdentifier("email has nothing before its +tag; write it as ada+tag@example.com")
    return f"{name}@{domain}"


def _check_scripts(parts: list[str]) -> None:
    """Refuse letters that pose as others: two look-alike scripts within a part, or a part that is all posing.

    Parts are the mailbox and each label of the domain, so an address wholly of one script is fine, and so is
    one whose domain ends in .com.
    """
    scripts = [
        {unicodedata.name(c, "").partition(" ")[0] for c in p if c.isalpha()} & _CONFUSABLE_SCRIPTS
        for p in parts
    ]
    mixed = any(len(found) > 1 for found in scripts)
    posing = any("LATIN" in found for found in scripts) and any(
        found and "LATIN" not in found and all(c in _LATIN_LOOKALIKES for c in part if c.isalpha())
        for part, found in zip(parts, scripts, strict=True)
    )
    if mixed or posing:
        raise InvalidIdentifier(
            "email is of mixed scripts: it has letters that look like Latin ones and are not; type it anew"
        )


def normalize_phone(text: str, region: str | None) -> str:
    """A number in E.164, its extension dropped; ``region`` reads one without a country code.

    The country is that of the code or of ``region``, never guessed from the number: 07911 123456 is a number
    of Guernsey to some tables and of Britain to whoever typed it.
    """
    text = _PHONE_URI_SCHEME.sub("", check_printable("phone", text), count=1)
    if is_placeholder_phone("".join(c for c in text if c.isdecimal())):
        raise _placeholder_error("phone", "number", text)
    number = _parse_phone(text, region)
    spelled = _format_e164(number)
    if is_placeholder_phone(phonenumbers.national_significant_number(number)):
        raise _placeholder_error("phone", "number", spelled)
    # Some nonsense, read again, loses another leading digit: no such number can be dialled.
    if _format_e164(_parse_phone(spelled, None)) != spelled:
        raise InvalidIdentifier("phone is no number of its country (write it as +49151…)")
    return spelled


def _parse_phone(text: str, region: str | None) -> phonenumbers.PhoneNumber:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise InvalidIdentifier(f"phone is not a number (write it as +49151…): {error}") from None
    # A number that can be dialled within its town only names nobody.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise InvalidIdentifier("phone has a wrong number of digits for its country (write it as +49151…)")
    return number


def _format_e164(number: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _placeholder_error(kind: str, what: str, shown: str) -> BlockedIdentifier:
    return BlockedIdentifier(
        f"{kind} {shown[:40]!r} is a placeholder, a {what} of nobody; send no {kind} when there is none"
    )


def normalize_email_sha256(text: str) -> str:
    """A SHA-256 digest of a normalised address, from 64 hex digits or base64, as small hex digits."""
    if _HEX_SHA256.fullmatch(text):
        return text.lower()
    if _BASE64_SHA256.fullmatch(text):
        try:
            # Standard and URL-safe alphabets differ in two characters only.
            digest = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_").rstrip("=") + "=")
        except binascii.Error:
            digest = b""
        if len(digest) == 32:
            return digest.hex()
    raise InvalidIdentifier(
        f"email_sha256 must be 64 hex digits or 32 bytes in base64; got {len(text)} characters; "
        "send an address as email"
    )
