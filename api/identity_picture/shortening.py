"""Identifiers as a picture shows them: enough to tell them apart, too little to reach anybody."""

from collections.abc import Iterable

from profiles.shortening import fitting, shortened


def shown(keys: Iterable[str], *, full: bool = False) -> dict[str, str]:
    """Key → what stands for it; two that would look the same are numbered in their order."""
    said: dict[str, str] = {}
    times: dict[tuple[str, str], int] = {}
    for key in dict.fromkeys(keys):
        kind, _, value = key.partition(":")
        text = fitting(value) if full else shortened(kind, value)
        times[kind, text] = count = times.get((kind, text), 0) + 1
        said[key] = text if count == 1 else f"{text} ({count})"
    return said
