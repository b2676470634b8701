"""An identifier as others may see it: enough to tell which one it is, too little to reach anybody."""

_BOTH_ENDS = ("push_token", "email_sha256")
"""Long random texts: four letters of each end give nothing away."""

_LONGEST_WHOLE = 44


def shortened(kind: str, value: str) -> str:
    """One value without its middle: a…@example.com, +49…78, u…11."""
    if kind == "email":
        name, _, domain = value.rpartition("@")
        return f"{name[:1]}…@{fitting(domain)}"
    if kind == "phone":
        return f"{value[:3]}…{value[-2:]}"
    if kind in _BOTH_ENDS and len(value) >= 16:
        return f"{value[:4]}…{value[-4:]}"
    last = min(2, (len(value) - 1) // 2)
    return f"{value[:1]}…{value[len(value) - last :]}"


def fitting(text: str) -> str:
    """A text without its middle, where it is too long for a line."""
    half = _LONGEST_WHOLE // 2
    return text if len(text) <= _LONGEST_WHOLE else f"{text[:half]}…{text[-half:]}"
