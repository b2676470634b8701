"""Values that identify nobody: placeholders, templates left unrendered, mailboxes and numbers of nobody."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator


class BlockedIdentifier(ValueError):
    """A value that many systems send for people whom they do not know."""


WORDS = frozenset(
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

EMAILS = frozenset(
    (
        *("test@test.com", "none@none.com", "null@null.com", "na@na.com", "no@no.com", "asdf@asdf.com"),
        *("abc@abc.com", "xxx@xxx.com", "123@123.com", "email@email.com", "fake@fake.com"),
        *("dummy@dummy.com", "sample@sample.com", "guest@guest.com", "noreply@noreply.com"),
        *("test@example.com", "none@example.com", "noemail@example.com", "no-email@example.com"),
    )
)
"""The best-known addresses of nobody, for their hashes; ``is_nobodys_email`` knows more by their form."""

_READ_BY_NOBODY = frozenset(
    (
        *("guest", "noreply", "donotreply", "null", "undefined", "anonymous", "noemail", "nomail"),
        "mailerdaemon",
    )
)
"""Local parts of nobody's mailbox at any domain, without the signs that part their words."""

# At example.com live the people of tests and demos; but these are nobody.
_AT_EXAMPLE = re.compile(r"(test|none|no[._-]?e?mail)(\+[^@]*)?@example\.[a-z.]+")
_AT_ITSELF = re.compile(
    r"(test|none|na|no|asdf|abc|xxx|123|email|fake|dummy|sample|user|name)(\+[^@]*)?@\1(\.[a-z.]+)?"
)
_SEPARATORS = re.compile(r"[._-]")

_AROUND = " \t\"'`()[]{}<>"
_BLANKS = re.compile(r"\s+")
_NO_SIGN = re.compile(r"[\W_0]*")
_ONE_SIGN = re.compile(r"([^\W_])\1{7,}")
_TEMPLATE = re.compile(
    r"\{\{|\}\}|\{%|%\}|<%|%>|\$\{|#\{|%\{|%%|\*\||\|\*|%7b%7b"
    r"|^\$[a-z_][\w.]*$|^%[a-z_]\w*%$|^__[a-z_]+__$|^:[a-z_]+$|^@[a-z_]+@$"
    r"|^(\{[\w .-]+\}|\[[\w .-]+\]|<[\w .-]{1,40}>)$",
    re.IGNORECASE,
)
_SEQUENCES = frozenset(("123456789", "0123456789", "1234567890", "9876543210", "0987654321"))


def _digests() -> Iterator[str]:
    # A system that hashes what it has hashes the placeholder too, in whichever spelling it was.
    for word in (*WORDS, *EMAILS, " ", "0", "(null)", "[object Object]", "NaN"):
        for spelled in {word, word.upper(), word.capitalize()}:
            for algorithm in ("md5", "sha1", "sha256"):
                yield hashlib.new(algorithm, spelled.encode(), usedforsecurity=False).hexdigest()


_DIGESTS = frozenset(_digests())


def is_placeholder(text: str) -> bool:
    """Whether a value of any type says "nobody we know": a word, a bare zero, a template, or their hash."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = _BLANKS.sub(" ", folded).strip(_AROUND)
    return (
        bare in WORDS
        or bare in _DIGESTS
        or _NO_SIGN.fullmatch(bare) is not None
        or _ONE_SIGN.fullmatch(bare.replace("-", "")) is not None
        or _TEMPLATE.search(folded) is not None
    )


def is_nobodys_email(address: str) -> bool:
    """Whether an address, in small letters, is a placeholder or a mailbox that nobody reads."""
    local = address.partition("@")[0].partition("+")[0]
    return (
        address in EMAILS
        or _SEPARATORS.sub("", local) in _READ_BY_NOBODY
        or _AT_EXAMPLE.fullmatch(address) is not None
        or _AT_ITSELF.fullmatch(address) is not None
    )


def is_nobodys_phone(digits: str) -> bool:
    """Whether a number, as written or without its country code, is one that nobody has.

    Numbers kept free for fiction (555-0100 to 555-0199) are the people of tests, and are not among them.
    """
    return len(set(digits)) == 1 or digits in _SEQUENCES
