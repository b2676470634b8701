"""Spellings of identifiers: which are one address, line or id, which are two, and which are nobody's."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.identity.identifiers import IDENTIFIER_TYPES, implied_identifiers, normalize_identifier
from profiles.identity.normalization import (
    PLACEHOLDER_EMAILS,
    PLACEHOLDER_WORDS,
    BlockedIdentifier,
    InvalidIdentifier,
)

ADA, ADA_PHONE = "ada@x.org", "+4915112345678"

BLOCKED, INVALID = BlockedIdentifier, InvalidIdentifier

OPAQUE = ("user_id", "loyalty_id", "push_token", "anonymous_id")

HASH = hashlib.sha256(b"ada@x.org").hexdigest()

BASE64 = base64.b64encode(bytes.fromhex(HASH)).decode()

OF_NOTHING = hashlib.sha256(b"").digest()

# Rows: what each stands for, (the region of a phone number,) the value, and its one spelling or the error.
EMAILS: list[tuple[str, object, str | type[ValueError]]] = [
    ("plain", "ada@x.org", ADA),
    ("capitals", "Ada@X.ORG", ADA),
    ("margins", " \t ada@x.org \r\n", ADA),
    ("a hard blank as margin", "\u00a0ada@x.org\u3000", ADA),
    ("zero width space", "a\u200bda@x.org", ADA),
    ("zero width joiner", "ada@x\u200d.org", ADA),
    ("zero width non-joiner", "ada\u200c@x.org", ADA),
    ("word joiner", "ada\u2060@x.org", ADA),
    ("byte order mark", "\ufeffada@x.org", ADA),
    ("soft hyphen", "a\u00adda@x.org", ADA),
    ("left-to-right mark", "\u200eada@x.org", ADA),
    ("right-to-left override", "\u202eada@x.org\u202c", ADA),
    ("isolates", "\u2066ada@x.org\u2069", ADA),
    ("a variation selector", "ada\ufe0f@x.org", ADA),
    ("tag characters", "ada@x.org\U000e0041", ADA),
    ("fullwidth letters", "ａｄａ＠ｘ．ｏｒｇ", ADA),
    ("ideographic full stop", "ada@x。org", ADA),
    ("halfwidth ideographic full stop", "ada@x｡org", ADA),
    ("mathematical bold", "\U0001d41a\U0001d41d\U0001d41a@x.org", ADA),
    ("circled letters", "ⓐⓓⓐ@x.org", ADA),
    ("long s", "aſa@x.org", "asa@x.org"),
    ("Kelvin sign", "\u212aada@x.org", "kada@x.org"),
    ("a ligature", "ﬁ@x.org", "fi@x.org"),
    ("a letter in two characters", "jose\u0301@x.org", "josé@x.org"),
    ("a letter in one character", "jos\u00e9@x.org", "josé@x.org"),
    ("a capital with an accent", "JOS\u00c9@x.org", "josé@x.org"),
    ("another letter", "jose@x.org", "jose@x.org"),
    ("mailto", "mailto:ada@x.org", ADA),
    ("mailto in capitals", "MAILTO:ada@x.org", ADA),
    ("mailto with a subject", "mailto:ada@x.org?subject=Hi", ADA),
    ("mailto, escaped", "mailto:ada%40x.org", ADA),
    ("a name and the address", "Ada Lovelace <ada@x.org>", ADA),
    ("a quoted name", '"Lovelace, Ada" <ada@x.org>', ADA),
    ("a name in other letters", "Ада <ada@x.org>", ADA),
    ("angle brackets alone", "<ada@x.org>", ADA),
    ("a name and mailto", "Ada <mailto:ada@x.org>", ADA),
    ("a full stop at the end", "ada@x.org.", ADA),
    ("full stops at the end", "ada@x.org...", ADA),
    ("an IDN written out", "ada@bücher.de", "ada@xn--bcher-kva.de"),
    ("an IDN in capitals", "ada@BÜCHER.DE", "ada@xn--bcher-kva.de"),
    ("an IDN in punycode", "ada@xn--bcher-kva.de", "ada@xn--bcher-kva.de"),
    ("punycode in capitals", "ada@XN--BCHER-KVA.de", "ada@xn--bcher-kva.de"),
    ("an IDN with a combining mark", "ada@bu\u0308cher.de", "ada@xn--bcher-kva.de"),
    ("sharp s is a letter", "ada@faß.de", "ada@xn--fa-hia.de"),
    ("double s is another", "ada@fass.de", "ada@fass.de"),
    ("wholly Cyrillic", "ада@почта.рф", "ада@xn--80a1acny.xn--p1ai"),
    ("wholly Cyrillic, domain in punycode", "ада@xn--80a1acny.xn--p1ai", "ада@xn--80a1acny.xn--p1ai"),
    ("wholly Greek", "λόγος@δοκιμή.ελ", "λόγος@xn--jxalpdlp.xn--qxam"),
    ("a Cyrillic mailbox in Latin surroundings", "иван@x.org", "иван@x.org"),
    ("a Greek mailbox in Latin surroundings", "δήμος@x.org", "δήμος@x.org"),
    ("Japanese with Latin", "田中tanaka@x.org", "田中tanaka@x.org"),
    ("Hangul domain", "kim@한국.kr", "kim@xn--3e0b707e.kr"),
    ("Gmail's dots", "a.d.a@gmail.com", "ada@gmail.com"),
    ("Gmail's tag", "ada+shop@gmail.com", "ada@gmail.com"),
    ("Gmail's other name", "ada@googlemail.com", "ada@gmail.com"),
    ("Gmail, all at once", "Ada <A.d.a+x+y@GoogleMail.com.>", "ada@gmail.com"),
    ("dots elsewhere", "a.d.a@x.org", "a.d.a@x.org"),
    ("dots at Outlook", "a.d.a@outlook.com", "a.d.a@outlook.com"),
    ("a subdomain of Gmail is not Gmail", "a.da+x@mail.gmail.com", "a.da+x@mail.gmail.com"),
    ("a tag at Outlook", "ada+shop@outlook.com", "ada@outlook.com"),
    ("a tag at Hotmail", "ada+shop@hotmail.com", "ada@hotmail.com"),
    ("a tag at Hotmail in Germany", "ada+shop@hotmail.de", "ada@hotmail.de"),
    ("a tag at Live", "ada+shop@live.com", "ada@live.com"),
    ("a tag at iCloud", "ada+shop@icloud.com", "ada@icloud.com"),
    ("a tag at me.com", "ada+shop@me.com", "ada@me.com"),
    ("a tag at Fastmail", "ada+shop@fastmail.com", "ada@fastmail.com"),
    ("a tag at Proton", "ada+shop@proton.me", "ada@proton.me"),
    ("a tag at Proton's older name", "ada+shop@protonmail.com", "ada@protonmail.com"),
    ("an empty tag at Gmail", "ada+@gmail.com", "ada@gmail.com"),
    ("a tag where nobody knows", "ada+shop@x.org", "ada+shop@x.org"),
    ("a hyphen is no tag", "ada-shop@gmail.com", "ada-shop@gmail.com"),
    ("example.com is where people of tests live", "ada@example.com", "ada@example.com"),
    ("a tester's address", "tester@example.com", "tester@example.com"),
    ("test at a real shop", "test@x.org", "test@x.org"),
    ("signs that are allowed", "o'neil_%&@x.org", "o'neil_%&@x.org"),
    ("a Cyrillic letter among Latin ones", "аda@x.org", INVALID),
    ("a Greek letter among Latin ones", "adα@x.org", INVALID),
    ("an Armenian letter among Latin ones", "adօ@x.org", INVALID),
    ("a Latin letter among Cyrillic ones", "aда@почта.рф", INVALID),
    ("nothing but look-alikes before a Latin domain", "аса@x.org", INVALID),
    ("a domain of look-alikes", "ada@аррӏе.com", INVALID),
    ("the same in punycode", "ada@xn--80ak6aa92e.com", INVALID),
    ("a domain of mixed scripts in punycode", "ada@xn--pple-43d.com", INVALID),
    ("micro sign among Latin ones", "µsoft@x.org", INVALID),
    ("invisible letters in punycode", "ada@xn--mgba3gch31f060k.com", INVALID),
    ("no at", "ada at example", INVALID),
    ("two ats", "ada@ada@x.org", INVALID),
    ("no domain", "ada@", INVALID),
    ("no mailbox", "@x.org", INVALID),
    ("a domain without a dot", "ada@localhost", INVALID),
    ("two dots", "ada..l@x.org", INVALID),
    ("a blank inside", "ada l@x.org", INVALID),
    ("a line break inside", "ada@x.org\nBcc: b@x.org", INVALID),
    ("two addresses", "ada@x.org, ben@x.org", INVALID),
    ("nothing but a tag", "+shop@gmail.com", INVALID),
    ("an address by number", "ada@[127.0.0.1]", INVALID),
    ("punycode of nothing", "ada@xn--zzzzz99999.com", INVALID),
    ("what was not UTF-8", "ada\ufffd@x.org", INVALID),
    ("half a surrogate pair", "ada\ud800@x.org", INVALID),
    ("NUL", "ada\x00@x.org", INVALID),
    ("too long", "a" * 320 + "@x.org", INVALID),
    ("10 KB", "ada@" + "x" * 10_000 + ".org", INVALID),
    ("longer than it looks", "\ufdfa" * 100 + "@x.org", INVALID),
    ("true", True, INVALID),
    ("a list", ["ada@x.org"], INVALID),
    ("an object", {"email": "ada@x.org"}, INVALID),
    ("a number", 42, INVALID),
    ("nothing", "", BLOCKED),
    ("nothing that can be seen", "\u200b\ufeff", BLOCKED),
    ("null", "null", BLOCKED),
    ("null in brackets", "(null)", BLOCKED),
    ("a guest anywhere", "guest@x.org", BLOCKED),
    ("a guest with a tag", "guest+17@x.org", BLOCKED),
    ("noreply", "noreply@x.org", BLOCKED),
    ("no-reply", "No-Reply@x.org", BLOCKED),
    ("no.reply at Gmail", "no.reply@gmail.com", BLOCKED),
    ("do_not_reply", "do_not_reply@x.org", BLOCKED),
    ("test at test", "test@test.com", BLOCKED),
    ("test at test elsewhere", "Test@test.co.uk", BLOCKED),
    ("test at example", "test@example.com", BLOCKED),
    ("test at example, tagged", "test+1@example.org", BLOCKED),
    ("none at example", "none@example.net", BLOCKED),
    ("no email at example", "no-email@example.com", BLOCKED),
    ("null anywhere", "null@x.org", BLOCKED),
    ("undefined anywhere", "undefined@x.org", BLOCKED),
    ("a zero width placeholder", "no\u200breply@x.org", BLOCKED),
    ("a fullwidth placeholder", "ｎｏｒｅｐｌｙ@x.org", BLOCKED),
    ("a template", "{{user.email}}", BLOCKED),
    ("a template as mailbox", "{{user.id}}@x.org", BLOCKED),
    ("Mailchimp's field", "*|EMAIL|*", BLOCKED),
    ("a field between percents", "%%email%%", BLOCKED),
]  # fmt: skip


PHONES: list[tuple[str, str | None, object, str | type[ValueError]]] = [
    ("E.164", None, "+4915112345678", ADA_PHONE),
    ("E.164 in another region", "US", "+4915112345678", ADA_PHONE),
    ("blanks", None, "+49 151 1234 5678", ADA_PHONE),
    ("hyphens", None, "+49-151-1234-5678", ADA_PHONE),
    ("dots", None, "+49.151.12345678", ADA_PHONE),
    ("slash", None, "+49 151/12345678", ADA_PHONE),
    ("brackets", None, "+49 (151) 12345678", ADA_PHONE),
    ("a zero in brackets", None, "+49 (0)151 12345678", ADA_PHONE),
    ("hard and thin blanks", None, "+49\u00a0151\u202f1234\u20095678", ADA_PHONE),
    ("a hyphen of typographers", None, "+49 151\u201012345678", ADA_PHONE),
    ("zero width space", None, "+49151\u200b12345678", ADA_PHONE),
    ("bidi marks of a contacts app", None, "\u202a+49 151 12345678\u202c", ADA_PHONE),
    ("fullwidth digits", None, "＋４９１５１１２３４５６７８", ADA_PHONE),
    ("Arabic digits", None, "+٤٩١٥١١٢٣٤٥٦٧٨", ADA_PHONE),
    ("Devanagari digits", None, "+४९१५११२३४५६७८", ADA_PHONE),
    ("tel", None, "tel:+49-151-12345678", ADA_PHONE),
    ("tel in capitals", None, "TEL:+4915112345678", ADA_PHONE),
    ("tel with a context", None, "tel:0151-12345678;phone-context=+49", ADA_PHONE),
    ("tel with an extension", None, "tel:+49-151-12345678;ext=5", ADA_PHONE),
    ("sms", None, "sms:+4915112345678", ADA_PHONE),
    ("callto", None, "callto:+4915112345678", ADA_PHONE),
    ("whatsapp, as Twilio writes it", None, "whatsapp:+4915112345678", ADA_PHONE),
    ("ext.", None, "+49 151 12345678 ext. 5", ADA_PHONE),
    ("x", None, "+49 151 12345678x5", ADA_PHONE),
    ("hash", None, "+49 151 12345678#5", ADA_PHONE),
    ("national in its region", "DE", "0151 12345678", ADA_PHONE),
    ("national, fullwidth", "DE", "０１５１ １２３４５６７８", ADA_PHONE),
    ("00 in Germany", "DE", "0049 151 12345678", ADA_PHONE),
    ("00 in Britain", "GB", "0049 151 12345678", ADA_PHONE),
    ("011 in America", "US", "011 49 151 12345678", ADA_PHONE),
    ("0011 in Australia", "AU", "0011 49 151 12345678", ADA_PHONE),
    ("Britain reads what looks like Guernsey", "GB", "07911 123456", "+447911123456"),
    ("Guernsey reads it the same", "GG", "07911 123456", "+447911123456"),
    ("British with its code", None, "+44 (0)7911 123456", "+447911123456"),
    ("American with a one", "US", "1 (212) 736-5000", "+12127365000"),
    ("American without", "US", "212.736.5000", "+12127365000"),
    ("in letters", "US", "1-800-FLOWERS", "+18003569377"),
    ("Italian, the zero stays", "IT", "06 1234 5678", "+390612345678"),
    ("Italian with its code", None, "+39 06 1234 5678", "+390612345678"),
    ("Russian with an eight", "RU", "8 916 123-45-67", "+79161234567"),
    ("French", "FR", "06 39 98 00 01", "+33639980001"),
    ("the same digits elsewhere", "PL", "639 980 001", "+48639980001"),
    ("no country's", None, "+800 1234 5678", "+80012345678"),
    ("Twilio's number for tests", None, "+15005550006", "+15005550006"),
    ("British, free for fiction", None, "+447700900123", "+447700900123"),
    ("555 outside of 01xx", None, "+12125550223", "+12125550223"),
    ("555-01xx in another country", None, "+4915155501234", "+4915155501234"),
    ("no country", None, "0151 12345678", INVALID),
    ("00 without a region", None, "0049 151 12345678", INVALID),
    ("no region of the world", "XX", "0151 12345678", INVALID),
    ("too short", None, "+49 1", INVALID),
    ("too long", None, "+49 151 12345678 12345678", INVALID),
    ("of a town only", "US", "736-5000", INVALID),
    ("of an emergency", "DE", "112", INVALID),
    ("no country has this code", None, "+999 151 12345678", INVALID),
    ("not the same when read again", "AR", "000191 862331", INVALID),
    ("words", "DE", "call me", INVALID),
    ("an address", "DE", "ada@x.org", INVALID),
    ("a number of a computer", None, "+1e10", INVALID),
    ("NUL", None, "+49151\x0012345678", INVALID),
    ("half a surrogate pair", None, "+4915112345678\udfff", INVALID),
    ("10 KB", None, "+" + "1" * 10_000, INVALID),
    ("a list", None, ["+4915112345678"], INVALID),
    ("false", None, False, INVALID),
    ("a fraction", None, 1.5, INVALID),
    ("a number without a country", None, 15112345678, INVALID),
    ("a number in its region", "DE", 15112345678, ADA_PHONE),
    ("null", None, "null", BLOCKED),
    ("unknown", "DE", "Unknown", BLOCKED),
    ("zeros", None, "+0000000000", BLOCKED),
    ("zeros after a country", None, "+10000000000", BLOCKED),
    ("ones", None, "1111111111", BLOCKED),
    ("nines with signs", "US", "(999) 999-9999", BLOCKED),
    ("nines after a country", None, "+1 999 999 9999", BLOCKED),
    ("one digit after a zero", "DE", "0111 1111111", BLOCKED),
    ("counting", None, "1234567890", BLOCKED),
    ("counting in America", "US", "123-456-7890", BLOCKED),
    ("counting after a country", None, "+1 123 456 7890", BLOCKED),
    ("counting down", "US", "9876543210", BLOCKED),
    ("free for fiction: people of tests", None, "+1 212 555 0123", "+12125550123"),
    ("free for fiction, the first", "US", "(312) 555-0100", "+13125550100"),
    ("free for fiction, fullwidth", None, "＋１２１２５５５０１２３", "+12125550123"),
    ("a template", None, "{{ customer.phone }}", BLOCKED),
]  # fmt: skip


IDS: list[tuple[str, object, str | type[ValueError]]] = [
    ("plain", "u-42", "u-42"),
    ("a number", 42, "42"),
    ("a long number", 12345678901234567890, "12345678901234567890"),
    ("a number below zero", -5, "-5"),
    ("case stays", "Case Stays", "Case Stays"),
    ("margins", " u-42\n", "u-42"),
    ("zero width", "u\u200b-4\ufeff2", "u-42"),
    ("bidi", "\u202eu-42\u202c", "u-42"),
    ("a letter in two characters", "jose\u0301", "josé"),
    ("a letter in two characters, parted", "jose\u200b\u0301", "josé"),
    ("compatibility stays", "ｕ４２", "ｕ４２"),
    ("a look-alike stays another", "\u0430da", "\u0430da"),
    ("mixed scripts are an id's own business", "идent", "идent"),
    ("a UUID", "5f0c6c1e-4b7a-4b1e-9a51-0d5f7ad8d7e1", "5f0c6c1e-4b7a-4b1e-9a51-0d5f7ad8d7e1"),
    ("one letter", "u", "u"),
    ("one digit", "7", "7"),
    ("the same digit a few times", "1111", "1111"),
    ("a word within", "testuser-7", "testuser-7"),
    ("a dollar within", "$device:17a", "$device:17a"),
    ("a token of Expo", "ExponentPushToken[xyz]", "ExponentPushToken[xyz]"),
    ("as long as may be", "x1" * 160, "x1" * 160),
    ("10 KB", "x1" * 5_000, INVALID),
    ("NUL", "u\x0042", INVALID),
    ("a tab within", "u\t42", INVALID),
    ("an escape", "u\x1b[0m42", INVALID),
    ("half a surrogate pair", "u\ud80042", INVALID),
    ("what was not UTF-8", "u\ufffd42", INVALID),
    ("true", True, INVALID),
    ("nothing at all", None, INVALID),
    ("a fraction", 1.5, INVALID),
    ("a list", ["u"], INVALID),
    ("an object", {}, INVALID),
    ("bytes", b"u-42", INVALID),
    ("blanks", " \t ", BLOCKED),
    ("zero", 0, BLOCKED),
    ("minus one", -1, BLOCKED),
    ("a zero UUID", "00000000-0000-0000-0000-000000000000", BLOCKED),
    ("a full UUID", "FFFFFFFF-ffff-ffff-ffff-ffffffffffff", BLOCKED),
    ("dashes", "---", BLOCKED),
    ("a question mark", "?", BLOCKED),
    ("one letter, often", "xxxxxxxxxx", BLOCKED),
    ("a variable of a shell", "$user_id", BLOCKED),
    ("a variable in braces", "${user.id}", BLOCKED),
    ("Handlebars", "{{user.id}}", BLOCKED),
    ("Handlebars within", "id-{{ user.id }}", BLOCKED),
    ("Liquid", "{% user %}", BLOCKED),
    ("ERB", "<%= user.id %>", BLOCKED),
    ("Ruby", "#{user.id}", BLOCKED),
    ("percents", "%%email%%", BLOCKED),
    ("one percent each", "%USER_ID%", BLOCKED),
    ("Mailchimp", "*|UNIQID|*", BLOCKED),
    ("TikTok", "__USER_ID__", BLOCKED),
    ("one brace", "{user id}", BLOCKED),
    ("square brackets", "[USER_ID]", BLOCKED),
    ("angle brackets", "<user id>", BLOCKED),
    ("of a route", ":user_id", BLOCKED),
    ("in a URL", "%7B%7Buser.id%7D%7D", BLOCKED),
    ("SHA-256 of nothing", OF_NOTHING.hex(), BLOCKED),
    ("SHA-256 of nothing, in capitals", OF_NOTHING.hex().upper(), BLOCKED),
    ("SHA-256 of null", hashlib.sha256(b"null").hexdigest(), BLOCKED),
    ("SHA-256 of NULL", hashlib.sha256(b"NULL").hexdigest(), BLOCKED),
    ("SHA-256 of a blank", hashlib.sha256(b" ").hexdigest(), BLOCKED),
    ("SHA-256 of test@test.com", hashlib.sha256(b"test@test.com").hexdigest(), BLOCKED),
    ("SHA-1 of undefined", hashlib.sha1(b"undefined").hexdigest(), BLOCKED),
    ("MD5 of nothing", hashlib.md5(b"").hexdigest(), BLOCKED),
    ("MD5 of none", hashlib.md5(b"none").hexdigest(), BLOCKED),
]  # fmt: skip

HASHES: list[tuple[str, object, str | type[ValueError]]] = [
    ("small hex digits", HASH, HASH),
    ("capital hex digits", HASH.upper(), HASH),
    ("margins", f" {HASH}\n", HASH),
    ("zero width", f"\u200b{HASH}", HASH),
    ("base64", BASE64, HASH),
    ("base64 without its end", BASE64.rstrip("="), HASH),
    ("base64 for URLs", BASE64.replace("+", "-").replace("/", "_"), HASH),
    ("MD5 of an address", hashlib.md5(b"ada@x.org").hexdigest(), INVALID),
    ("an address", "ada@x.org", INVALID),
    ("a digit too few", HASH[1:], INVALID),
    ("no hex digit", "g" + HASH[1:], INVALID),
    ("a number", 42, INVALID),
    ("10 KB", "a1" * 5_000, INVALID),
    ("zeros", "0" * 64, BLOCKED),
    ("base64 of nothing's hash", base64.b64encode(OF_NOTHING).decode(), BLOCKED),
    ("base64 of zeros", base64.b64encode(bytes(32)).decode(), BLOCKED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "region", "value", "expected"),
    [
        *(pytest.param("email", None, *row, id=f"email: {name}") for name, *row in EMAILS),
        *(pytest.param("phone", *row, id=f"phone: {name}") for name, *row in PHONES),
        *(pytest.param("email_sha256", None, *row, id=f"hash: {name}") for name, *row in HASHES),
        # A push token may be longer than an id.
        *(pytest.param(kind, None, *row, id=f"{kind}: {name}") for kind in OPAQUE for name, *row in IDS),
        # Shops use addresses as user ids, and write them in any case.
        pytest.param("user_id", None, "Ada@x.org", "ada@x.org", id="user_id: an address"),
        pytest.param("anonymous_id", None, "Ada@x.org", "Ada@x.org", id="anonymous_id: an address"),
    ],
)
def test_a_value_has_one_spelling_or_is_nobodys(
    kind: str, region: str | None, value: object, expected: str | type[ValueError]
) -> None:
    if isinstance(expected, str):
        assert expected == normalize_identifier(kind, value, region=region)
        assert {expected} == {
            normalize_identifier(kind, expected, region=other) for other in (region, None, "US")
        }
        return
    with pytest.raises(ValueError) as refused:
        normalize_identifier(kind, value, region=region)

    assert expected is type(refused.value)
    assert kind in str(refused.value)


def spelled(kind: str, value: str) -> str | None:
    """The spelling of a value, or None of a placeholder."""
    try:
        return normalize_identifier(kind, value)
    except BlockedIdentifier as refused:
        return None if "placeholder" in str(refused) else str(refused)


def test_there_are_more_than_eighty_placeholders() -> None:
    assert len(PLACEHOLDER_WORDS) >= 80


@pytest.mark.parametrize("kind", IDENTIFIER_TYPES)
def test_a_placeholder_is_nobodys_under_every_type_however_it_is_dressed(kind: str) -> None:
    for word in PLACEHOLDER_WORDS:
        dressed = (word, word.upper(), f" {word} ", f"({word})", f'"{word}"', f"<{word}>", f"[{word}]",
                   f"{word}\u200b", "\u2060" + word)  # fmt: skip

        assert {value: spelled(kind, value) for value in dressed} == dict.fromkeys(dressed), word


@pytest.mark.parametrize("kind", ["user_id", "anonymous_id", "email_sha256"])
def test_the_hash_of_a_placeholder_is_nobodys(kind: str) -> None:
    for value in PLACEHOLDER_WORDS | PLACEHOLDER_EMAILS:
        with pytest.raises(BlockedIdentifier):
            normalize_identifier(kind, hashlib.sha256(value.encode()).hexdigest())


def test_a_well_known_address_of_nobody_is_nobodys() -> None:
    for value in PLACEHOLDER_EMAILS:
        with pytest.raises(BlockedIdentifier):
            normalize_identifier("email", value)


def test_every_address_implies_its_hash_and_nothing_else_does() -> None:
    named = (("user_id", "42"), ("email", "ben@x.org"), ("email", "ada@x.org"), ("phone", "+4915112345678"))

    assert (
        ("email_sha256", HASH),
        ("email_sha256", hashlib.sha256(b"ben@x.org").hexdigest()),
    ) == implied_identifiers(named)
    assert normalize_identifier("email_sha256", implied_identifiers([("email", "ada@x.org")])[0][1]) == HASH


NEVER_SEEN = (
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u202e\u2060\u2066\u2069\ufeff\u00ad\u061c\u180e\ufe0f"
)


@given(st.data())
def test_what_cannot_be_seen_makes_no_other_address(data: st.DataObject) -> None:
    told = "".join(data.draw(st.text(NEVER_SEEN, max_size=2)) + letter for letter in "Ada.L@Bücher.de")

    assert normalize_identifier("email", told) == "ada.l@xn--bcher-kva.de"


LOOK_ALIKES = {"a": "аαɑ", "c": "сϲ", "e": "еε", "o": "оοօ", "p": "рρ", "x": "хχ", "y": "уγ", "i": "іιı"}


@given(st.data())
def test_a_look_alike_never_equals_the_latin_spelling(data: st.DataObject) -> None:
    real = "apocope.ixy@pepco.io"
    posing = "".join(data.draw(st.sampled_from(letter + LOOK_ALIKES.get(letter, ""))) for letter in real)
    try:
        spelled = normalize_identifier("email", posing)
    except InvalidIdentifier:
        return

    assert (spelled == real) is (posing == real)
