"""Spellings of addresses: which are one mailbox, which are two, and which are nobody's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.identity.identifiers import normalize_identifier
from profiles.identity.normalization import BlockedIdentifier, InvalidIdentifier

ADA = "ada@x.org"

BLOCKED, INVALID = BlockedIdentifier, InvalidIdentifier

# What the row stands for, the value, and its one spelling or the error.
ROWS: list[tuple[str, object, str | type[ValueError]]] = [
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


@pytest.mark.parametrize(("value", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_an_address_has_one_spelling_or_is_nobodys(value: object, expected: str | type[ValueError]) -> None:
    if isinstance(expected, str):
        assert expected == normalize_identifier("email", value)
        assert expected == normalize_identifier("email", expected)
        return
    with pytest.raises(ValueError) as refused:
        normalize_identifier("email", value)

    assert expected is type(refused.value)


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
