"""Says a length of time in words, for details and summaries."""

from datetime import timedelta

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def in_words(length: timedelta) -> str:
    """Exact to the second, the largest units first: "7 days", "1 hour 30 minutes", "0 seconds".

    A negative length is said with "minus" in front.
    """
    seconds = int(abs(length).total_seconds())
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}" if count == 1 else f"{count} {unit}s")
    words = " ".join(parts) or "0 seconds"
    return f"minus {words}" if length < timedelta() and parts else words
