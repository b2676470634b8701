"""How many segments a text message takes, and the spelling that takes the fewest."""

GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""Basic character set of 3GPP TS 23.038, one septet each."""

GSM_7_EXTENDED = frozenset("^{}\\[~]|€\f")
"""Two septets each."""

_PLAIN_REPLACEMENTS = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "–": "-",
        "—": "-",
        "…": "...",
        "\xa0": " ",
        "\u202f": " ",
        "·": "-",
    }
)


def to_cheapest_encoding(text: str) -> str:
    """Typographic marks in plain spelling: a single ’ makes a whole message cost more than twice as much."""
    return text.translate(_PLAIN_REPLACEMENTS)


def count_segments(text: str) -> int:
    """Segments billed: one of 160 septets or many of 153; with any other character 70 and 67 UTF-16 units."""
    if all(c in GSM_7 or c in GSM_7_EXTENDED for c in text):
        length = sum(2 if c in GSM_7_EXTENDED else 1 for c in text)
        single, many = 160, 153
    else:
        length = len(text.encode("utf-16-le")) // 2
        single, many = 70, 67
    return 1 if length <= single else -(-length // many)
