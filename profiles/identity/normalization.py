"""Normal forms of identifiers by type, and detection of placeholders. Every normalization is idempotent."""

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from profiles.reading.text import clean_unicode


class BlockedIdentifier(ValueError):
    """A placeholder that systems send for customers whom they do not know."""


class InvalidIdentifier(ValueError):
    """A malformed value."""


PLACEHOLDER_WORDS = frozenset(
    (
        # What programming languages print for an empty value; surrounding brackets and quotes are ignored.
        *("", "null", "nul", "nil", "none", "undefined", "nan", "void", "\\n", "true", "false", "-1"),
        *("infinity", "-infinity", "inf", "-inf", "object", "object object", "object undefined"),
        *("object null", "object promise", "object function", "system.object", "string", "error"),
        # What customers and forms enter for an empty value.
        *("n/a", "n.a", "n.a.", "na", "n\\a", "nothing", "missing", "empty", "blank", "default", "unset"),
        *("not set", "not_set", "notset", "not available", "not applicable", "not provided", "not defined"),
        *("no value", "no data", "no email", "noemail", "no-email", "no_email", "nomail", "no phone"),
        *("tbd", "tba", "todo", "xxx", "xxxx", "xxxxx", "asdf", "asdfasdf", "qwerty", "changeme"),
        *("test", "testing", "test user", "test_user", "testuser", "dummy", "sample", "placeholder"),
        *("invalid", "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply"),
        # Customers without a name.
        *("unknown", "unknown user", "unidentified", "anonymous", "anonymous user", "anon", "anonymized"),
        *("guest", "guest user", "guest_user", "guestuser", "visitor", "not logged in", "not_logged_in"),
        *("notloggedin", "not authenticated", "not_authenticated", "logged out", "logged_out", "loggedout"),
        *("deleted", "deleted user", "removed", "redacted", "filtered", "masked", "hidden", "optout"),
        *("opted out", "opted_out", "nobody", "noone", "no one"),
        # The name of the field instead of its value.
        *("user id", "user_id", "user.id", "userid", "uid", "id", "anonymous id", "anonymous_id"),
        *("anonymousid", "distinct_id", "distinctid", "customer_id", "customerid", "loyalty_id"),
        *("loyaltyid", "email", "e-mail", "email_sha256", "phone", "phone number", "push_token"),
        *("pushtoken", "device_token", "devicetoken", "advertising_id", "advertisingid"),
        # Shared by every Android emulator, and by every iOS device.
        *("9774d56d682e549c", "02:00:00:00:00:00"),
    )
)
"""In lower case, without surrounding brackets and quotes."""

PLACEHOLDER_EMAILS = frozenset(
    (
        *("test@test.com", "none@none.com", "null@null.com", "na@na.com", "no@no.com", "asdf@asdf.com"),
        *("abc@abc.com", "xxx@xxx.com", "123@123.com", "email@email.com", "fake@fake.com"),
        *("dummy@dummy.com", "sample@sample.com", "guest@guest.com", "noreply@noreply.com"),
        *("test@example.com", "none@example.com", "noemail@example.com", "no-email@example.com"),
    )
)
"""The most frequent placeholder addresses, so that their hashes are known too. ``is_placeholder_email`` finds
more, by their form."""

_UNATTENDED_MAILBOXES = frozenset(
    (
        *("guest", "noreply", "donotreply", "null", "undefined", "anonymous", "noemail", "nomail"),
        "mailerdaemon",
    )
)
"""Local parts of mailboxes that are placeholders or unattended at any domain, without word separators."""

# Other addresses at example.com are the customers of tests and demos.
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
    # A system that hashes its values hashes placeholders too, in the spelling that it has.
    for word in (*PLACEHOLDER_WORDS, *PLACEHOLDER_EMAILS, " ", "0", "(null)", "[object Object]", "NaN"):
        for spelling in {word, word.upper(), word.capitalize()}:
            for algorithm in ("md5", "sha1", "sha256"):
                yield hashlib.new(algorithm, spelling.encode(), usedforsecurity=False).hexdigest()


_PLACEHOLDER_DIGESTS = frozenset(_hash_placeholders())


def is_placeholder(text: str) -> bool:
    """Return whether a value of any type is a placeholder: a word, zeros, a template, or a hash of one."""
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
    """Return whether an address, in lower case, is a placeholder or an unattended mailbox."""
    local = address.partition("@")[0].partition("+")[0]
    return (
        address in PLACEHOLDER_EMAILS
        or _WORD_SEPARATORS.sub("", local) in _UNATTENDED_MAILBOXES
        or _PLACEHOLDER_AT_EXAMPLE.fullmatch(address) is not None
        or _SAME_NAME_AND_DOMAIN.fullmatch(address) is not None
    )


def is_placeholder_phone(digits: str) -> bool:
    """Return whether a number, as written or without its country code, is a placeholder.

    Numbers reserved for fiction (555-0100 to 555-0199) are not placeholders: they are customers of tests.
    """
    return len(set(digits)) == 1 or digits in _DIGIT_SEQUENCES


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
"""Scripts with letters that look like letters of another of them, by the first word of the Unicode name."""

_LATIN_LOOKALIKES = frozenset("асԁеһіјӏорԛѕѵԝхуүαγικνορσυχօոսհցզ")
"""Lower-case letters of other scripts that look exactly like Latin ones (from Unicode's confusables)."""

_PHONE_URI_SCHEME = re.compile(r"(tel|sms|callto|whatsapp):", re.IGNORECASE)

_HEX_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)

_BASE64_SHA256 = re.compile(r"[A-Za-z0-9+/_-]{43}=?")


def check_printable(kind: str, text: str) -> str:
    """Return the text unchanged. Raises ``InvalidIdentifier`` for invalid or unprintable characters."""
    if _REPLACEMENT_CHARACTER in text:
        raise InvalidIdentifier(f"{kind} has a character that was not valid Unicode; send it as UTF-8")
    if not text.isprintable():
        raise InvalidIdentifier(f"{kind} has characters that do not print; send it without them")
    return text


def is_address(text: str) -> bool:
    """Return whether a text is an email address, whatever its mailbox is."""
    try:
        normalize_email(text)
    except BlockedIdentifier:
        return True
    except InvalidIdentifier:
        return False
    return True


def normalize_email(text: str) -> str:
    """Return an address with a lower-case mailbox and a lower-case ASCII domain (punycode).

    Drops tags, and the dots of a Gmail address, since the provider ignores them too: two spellings of one
    mailbox become one identifier. Messages go to the address as it was given, see ``read_email``. Raises
    ``InvalidIdentifier`` or ``BlockedIdentifier``.
    """
    return read_email(text)[0]


def read_email(text: str) -> tuple[str, str]:
    """Return (normal form, the address as given) of a text with one address.

    The address as given keeps its tag, its dots and its letter case; a name around it, ``mailto:``, blanks
    and invisible characters are left out, and a domain in other letters is written in punycode, so that
    every provider takes it. Raises as ``normalize_email`` does.
    """
    text = _extract_address(check_printable("email", text))
    try:
        parsed = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise InvalidIdentifier(f"email is not an address (write it as ada@example.com): {error}") from None
    written_domain = text.rpartition("@")[2]
    is_same_domain = written_domain.lower() == parsed.ascii_domain.lower()
    given = f"{parsed.local_part}@{written_domain if is_same_domain else parsed.ascii_domain}"
    local, domain = unicodedata.normalize("NFKC", parsed.local_part.lower()), parsed.ascii_domain.lower()
    if not (local.isascii() and parsed.domain.isascii()):
        _check_scripts([local, *parsed.domain.lower().split(".")])
    canonical = _canonical_mailbox(local, domain)
    if is_placeholder_email(f"{local}@{domain}") or is_placeholder_email(canonical):
        raise _placeholder_error("email", "mailbox", canonical)
    return canonical, given


def _extract_address(text: str) -> str:
    """Return the address in ``Ada <ada@x.org>`` or ``mailto:ada@x.org?subject=…``, without final dots."""
    if match := _NAME_WITH_ADDRESS.fullmatch(text):
        text = match[1].strip()
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
    """Refuse look-alike letters: two such scripts in a part, or a part of letters that all look Latin.

    Raises ``InvalidIdentifier``. Parts are the mailbox and each label of the domain. An address of one
    script is accepted, also with a domain that ends in .com.
    """
    scripts = [
        {unicodedata.name(c, "").partition(" ")[0] for c in p if c.isalpha()} & _CONFUSABLE_SCRIPTS
        for p in parts
    ]
    mixed = any(len(part_scripts) > 1 for part_scripts in scripts)
    lookalike = any("LATIN" in part_scripts for part_scripts in scripts) and any(
        part_scripts
        and "LATIN" not in part_scripts
        and all(c in _LATIN_LOOKALIKES for c in part if c.isalpha())
        for part, part_scripts in zip(parts, scripts, strict=True)
    )
    if mixed or lookalike:
        raise InvalidIdentifier(
            "email is of mixed scripts: it has letters that look like Latin ones and are not; type it anew"
        )


def normalize_phone(text: str, region: str | None) -> str:
    """Return a number in E.164, without its extension. ``region`` is used for one without a country code.

    The country is that of the code or of ``region``, never guessed from the number: 07911 123456 is a number
    of Guernsey in some tables, and a British one for its user. Raises ``InvalidIdentifier`` or
    ``BlockedIdentifier``.
    """
    text = _PHONE_URI_SCHEME.sub("", check_printable("phone", text), count=1)
    if is_placeholder_phone("".join(filter(str.isdecimal, text))):
        raise _placeholder_error("phone", "number", text)
    number = _parse_phone(text, region)
    formatted = _format_e164(number)
    if is_placeholder_phone(phonenumbers.national_significant_number(number)):
        raise _placeholder_error("phone", "number", formatted)
    # Some impossible numbers lose another leading digit when they are parsed again; they cannot be dialled.
    if formatted != text and _format_e164(_parse_phone(formatted, None)) != formatted:
        raise InvalidIdentifier("phone is no number of its country (write it as +49151…)")
    return formatted


def _parse_phone(text: str, region: str | None) -> phonenumbers.PhoneNumber:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise InvalidIdentifier(f"phone is not a number (write it as +49151…): {error}") from None
    # A number that can be dialled only within its town does not identify a profile.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise InvalidIdentifier("phone has a wrong number of digits for its country (write it as +49151…)")
    return number


def _format_e164(number: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _placeholder_error(kind: str, what: str, shown: str) -> BlockedIdentifier:
    return BlockedIdentifier(
        f"{kind} {shown[:40]!r} is a placeholder, a {what} of no profile; send no {kind} when there is none"
    )


def normalize_email_sha256(text: str) -> str:
    """Return a SHA-256 digest, in hex digits or base64, as lower-case hex. Raises ``InvalidIdentifier``."""
    if _HEX_SHA256.fullmatch(text):
        return text.lower()
    if _BASE64_SHA256.fullmatch(text):
        try:
            # The standard and the URL-safe alphabet differ in two characters only.
            digest = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_").rstrip("=") + "=")
        except binascii.Error:
            digest = b""
        if len(digest) == 32:
            return digest.hex()
    raise InvalidIdentifier(
        f"email_sha256 must be 64 hex digits or 32 bytes in base64; got {len(text)} characters; "
        "send an address as email"
    )
