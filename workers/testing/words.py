"""A decision in words: why a message was not sent."""

from policy.verdict import Reason

_WORDS = {
    Reason.PURCHASED: "it has been bought",
    Reason.OPTED_OUT: "the person said no",
    Reason.NO_CONSENT: "the person never said yes",
    Reason.CAPPED: "the person has had enough messages for now",
    Reason.QUIET_HOURS: "it is quiet time there",
    Reason.NO_ADDRESS: "there is no address to send it to",
    Reason.BOUNCED: "the address takes no messages",
    Reason.COMPLAINED: "the person reported a message as spam",
    Reason.EXPIRED: "its time is over",
    Reason.OUT_OF_STOCK: "it is sold out",
    Reason.LOWER_PRIORITY: "something else comes first",
    Reason.HOLDOUT: "the person is held out, to measure against",
    Reason.RUN_ENDED: "what it is about is over",
    Reason.ERASED: "the person has been erased",
    Reason.KILL_SWITCH: "sending is switched off",
    Reason.PROVIDER_BUDGET: "the provider has no room",
    Reason.DUPLICATE: "it has been sent before",
    Reason.CONTENT: "its text cannot be written",
    Reason.ERROR: "something failed",
}


def why(reason: str | None, detail: str = "") -> str:
    """A reason of the HTTP contract in plain words, with what it stood on."""
    if reason is None:
        return detail
    plain = _WORDS[Reason(reason)] if reason in list(Reason) else reason
    return f"{plain} ({detail})" if detail else plain
