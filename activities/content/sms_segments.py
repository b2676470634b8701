"""The number of segments of a text message, and the spelling that needs the fewest."""

GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""Basic character set of 3GPP TS 23.038, one septet each."""

GSM_7_EXTENDED = frozenset("^{}\\[~]|€\f")
"""Two septets each."""

_PLAIN_REPLACEMENTS = str.maketrans(
    dict.fromkeys("‘’", "'")
    | dict.fromkeys("“”", '"')
    | dict.fromkeys("–—·", "-")
    | dict.fromkeys("\xa0\u202f", " ")
    | {"…": "..."}
)


def to_cheapest_encoding(text: str) -> str:
    """Replace typographic marks by plain ones: a single ’ more than doubles the segments of a message."""
    return text.translate(_PLAIN_REPLACEMENTS)


def count_segments(text: str) -> int:
    """Return the billed segments: 160 septets in GSM-7, else 70 UTF-16 units; fewer in each of several."""
    if all(c in GSM_7 or c in GSM_7_EXTENDED for c in text):
        length = sum(2 if c in GSM_7_EXTENDED else 1 for c in text)
        single, many = 160, 153
    else:
        length = len(text.encode("utf-16-le")) // 2
        single, many = 70, 67
    return 1 if length <= single else -(-length // many)
