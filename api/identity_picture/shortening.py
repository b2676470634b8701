"""Identifiers as a picture shows them: enough to tell them apart, too little to reach anybody."""

from collections.abc import Iterable

_BOTH_ENDS = ("push_token", "email_sha256")
"""Long random texts: four letters of each end give nothing away."""

_LONGEST_WHOLE = 44


def shortened(kind: str, value: str) -> str:
    """One value without its middle: a…@example.com, +49…78, u…11."""
    if kind == "email":
        name, _, domain = value.rpartition("@")
        return f"{name[:1]}…@{_fitting(domain)}"
    if kind == "phone":
        return f"{value[:3]}…{value[-2:]}"
    if kind in _BOTH_ENDS and len(value) >= 16:
        return f"{value[:4]}…{value[-4:]}"
    last = min(2, (len(value) - 1) // 2)
    return f"{value[:1]}…{value[len(value) - last :]}"


def shown(keys: Iterable[str], *, full: bool = False) -> dict[str, str]:
    """Key → what stands for it; two that would look the same are numbered in their order."""
    said: dict[str, str] = {}
    times: dict[tuple[str, str], int] = {}
    for key in dict.fromkeys(keys):
        kind, _, value = key.partition(":")
        text = _fitting(value) if full else shortened(kind, value)
        times[kind, text] = count = times.get((kind, text), 0) + 1
        said[key] = text if count == 1 else f"{text} ({count})"
    return said


def _fitting(text: str) -> str:
    half = _LONGEST_WHOLE // 2
    return text if len(text) <= _LONGEST_WHOLE else f"{text[:half]}…{text[-half:]}"
