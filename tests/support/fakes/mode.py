"""How a fake provider treats a call: does a person receive it, and what does the caller see."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Then(StrEnum):
    """What the caller sees."""

    ANSWER = "answer"
    HANG = "hang"
    """Nothing, until released; then the answer."""
    RESET = "reset"
    """A TCP reset."""
    CLOSE = "close"
    """An orderly end of the connection, without an answer."""
    DRIP = "drip"
    """Head at once, then the body a byte at a time, slowly, without end."""
    DRIP_HEAD = "drip_head"
    """The head a byte at a time, slowly."""
    CUT = "cut"
    """Head and half of the body, then the end of the connection."""
    GARBAGE = "garbage"
    """Bytes that are not HTTP."""


@dataclass(frozen=True)
class Mode:
    """One way to treat a call."""

    name: str
    takes: bool = False
    """Whether a person receives the message (it goes into the ledger)."""
    then: Then = Then.ANSWER
    reads: bool = True
    """False: answers before the request's body is read."""
    status: int | None = None
    """None: the provider's own answer to success."""
    code: int | None = None
    """Twilio's error code, in the body."""
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    """None: the provider's own body for the status."""
    reset_in_s: float | None = None
    """Adds X-RateLimit-Reset this far ahead, in epoch seconds."""

    @staticmethod
    def named(name: str, **changes: Any) -> "Mode":
        """Give a mode of ``MODES`` with fields replaced. Raises ``LookupError`` that lists what there is."""
        if name not in MODES:
            raise LookupError(f"no mode {name!r}; there is {', '.join(MODES)}")
        return replace(MODES[name], **changes)


_PAGE = "<!doctype html><title>Welcome</title><p>This network asks you to sign in."

MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("accept", takes=True),
        Mode("accept_then_hang", takes=True, then=Then.HANG),
        Mode("accept_then_reset", takes=True, then=Then.RESET),
        Mode("accept_then_close", takes=True, then=Then.CLOSE),
        Mode("accept_then_error", takes=True, status=500),
        Mode("accept_then_redirect", takes=True, status=307, headers={"Location": "/elsewhere"}),
        Mode("accept_then_drip", takes=True, then=Then.DRIP),
        Mode("accept_then_drip_head", takes=True, then=Then.DRIP_HEAD),
        Mode("accept_then_cut", takes=True, then=Then.CUT),
        Mode("accept_then_garbage", takes=True, then=Then.GARBAGE),
        Mode("accept_then_flood", takes=True, body='{"padding": "' + "x" * 10_000_000 + '"}'),
        Mode("hang", then=Then.HANG),
        Mode("reset", then=Then.RESET, reads=False),
        Mode("close", then=Then.CLOSE, reads=False),
        Mode("reject", status=400),
        Mode("throttle", status=429, reset_in_s=2.0),
        Mode("unavailable", status=503, reads=False),
        Mode("html", status=200, headers={"Content-Type": "text/html"}, body=_PAGE),
        Mode("redirect", status=302, headers={"Location": "/elsewhere"}),
        Mode("empty", status=200, body="{}"),
    )
}
"""By name. A listener that refuses connections is no mode of a call: see ``FakeProvider.refuse``."""
