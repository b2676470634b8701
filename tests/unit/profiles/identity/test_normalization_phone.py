"""Spellings of phone numbers, by region: which are one line, and which are nobody's."""

import pytest

from profiles.identity.identifiers import normalize_identifier
from profiles.identity.normalization import BlockedIdentifier, InvalidIdentifier

ADA = "+4915112345678"

BLOCKED, INVALID = BlockedIdentifier, InvalidIdentifier

# What the row stands for, the region, the value, and its one spelling or the error.
ROWS: list[tuple[str, str | None, object, str | type[ValueError]]] = [
    ("E.164", None, "+4915112345678", ADA),
    ("E.164 in another region", "US", "+4915112345678", ADA),
    ("blanks", None, "+49 151 1234 5678", ADA),
    ("hyphens", None, "+49-151-1234-5678", ADA),
    ("dots", None, "+49.151.12345678", ADA),
    ("slash", None, "+49 151/12345678", ADA),
    ("brackets", None, "+49 (151) 12345678", ADA),
    ("a zero in brackets", None, "+49 (0)151 12345678", ADA),
    ("hard and thin blanks", None, "+49\u00a0151\u202f1234\u20095678", ADA),
    ("a hyphen of typographers", None, "+49 151\u201012345678", ADA),
    ("zero width space", None, "+49151\u200b12345678", ADA),
    ("bidi marks of a contacts app", None, "\u202a+49 151 12345678\u202c", ADA),
    ("fullwidth digits", None, "＋４９１５１１２３４５６７８", ADA),
    ("Arabic digits", None, "+٤٩١٥١١٢٣٤٥٦٧٨", ADA),
    ("Devanagari digits", None, "+४९१५११२३४५६७८", ADA),
    ("tel", None, "tel:+49-151-12345678", ADA),
    ("tel in capitals", None, "TEL:+4915112345678", ADA),
    ("tel with a context", None, "tel:0151-12345678;phone-context=+49", ADA),
    ("tel with an extension", None, "tel:+49-151-12345678;ext=5", ADA),
    ("sms", None, "sms:+4915112345678", ADA),
    ("callto", None, "callto:+4915112345678", ADA),
    ("whatsapp, as Twilio writes it", None, "whatsapp:+4915112345678", ADA),
    ("ext.", None, "+49 151 12345678 ext. 5", ADA),
    ("x", None, "+49 151 12345678x5", ADA),
    ("hash", None, "+49 151 12345678#5", ADA),
    ("national in its region", "DE", "0151 12345678", ADA),
    ("national, fullwidth", "DE", "０１５１ １２３４５６７８", ADA),
    ("00 in Germany", "DE", "0049 151 12345678", ADA),
    ("00 in Britain", "GB", "0049 151 12345678", ADA),
    ("011 in America", "US", "011 49 151 12345678", ADA),
    ("0011 in Australia", "AU", "0011 49 151 12345678", ADA),
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
    ("a number in its region", "DE", 15112345678, ADA),
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


@pytest.mark.parametrize(("region", "value", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_a_phone_number_has_one_spelling_or_is_nobodys(
    region: str | None, value: object, expected: str | type[ValueError]
) -> None:
    if isinstance(expected, str):
        assert expected == normalize_identifier("phone", value, region=region)
        assert {expected} == {
            normalize_identifier("phone", expected, region=other) for other in (region, None, "US")
        }
        return
    with pytest.raises(ValueError) as refused:
        normalize_identifier("phone", value, region=region)

    assert expected is type(refused.value)
