"""Verification of events: by the role of the key, or by identity tokens in the context."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from api.events.native import is_cloud_event
from api.events.parsed import EventWarning, Rejection, event_warning
from api.http.keys import Role
from profiles.events import (
    BackInStock,
    CustomerLapsed,
    OptInRequested,
    OutOfStock,
    PriceDropped,
    ProductUpdated,
    SegmentEntered,
)
from profiles.identity.tokens import IdentityProof, IdentityTokens, TokenFault, verify_identifiers
from profiles.ingest.pipeline import INTERNAL_SOURCE_PREFIX
from profiles.state.event_records import IncomingEvent

TOKEN_FIELD = "waypost_token"  # noqa: S105 - the name of a field

SHOP_EVENTS = frozenset(event.event_name for event in (ProductUpdated, PriceDropped, BackInStock, OutOfStock))
"""Statements of the shop about its products, for everybody: verified under a server or admin key only."""

MAX_TOKENS_PER_EVENT = 8
"""Tokens in one event: two for each type of identifier that can be proved."""

ParseResult = IncomingEvent | Rejection

EventParser = Callable[[dict[str, Any]], ParseResult]

_RESERVED_SOURCE_DETAIL = (
    f"/source begins with {INTERNAL_SOURCE_PREFIX}, as only Waypost's own events do; "
    "send the name of your system"
)

RESERVED_EVENT_TYPES = frozenset({OptInRequested.event_name})
"""Events that Waypost alone may write, because they start a message to an address that is not confirmed."""

_RESERVED_TYPE_DETAIL = (
    f"/type is {OptInRequested.event_name!r}, which only Waypost writes; send the grant or the checkout"
)

SERVER_EVENT_TYPES = frozenset({CustomerLapsed.event_name, SegmentEntered.event_name})
"""Events that Waypost's sweeps and the shop's systems write, because they enter a person into a journey."""

_SERVER_TYPE_DETAIL = (
    "/type is a statement about a person that only Waypost or a server key may make; send it with a server "
    "key, or send what the person did"
)

_LOOK_ALIKE_SLASHES = str.maketrans(dict.fromkeys("\u2044\u2215\u29f8\\", "/"))


def name_skeleton(name: str) -> str:
    """Return a name without what does not show: in one case, width and spacing, without invisible signs."""
    if not (name.isascii() and name.isprintable()):
        shown = unicodedata.normalize("NFKD", name)
        # Controls, format characters and marks: a zero-width space, a soft hyphen, an accent.
        name = "".join(sign for sign in shown if unicodedata.category(sign)[0] not in "CM" or sign.isspace())
    return " ".join(name.translate(_LOOK_ALIKE_SLASHES).casefold().split()).replace(" /", "/")


_RESERVED_SKELETONS = {name_skeleton(name) for name in RESERVED_EVENT_TYPES}

_SERVER_SKELETONS = {name_skeleton(name) for name in SERVER_EVENT_TYPES}

_TOKEN_POINTER = f"/context/{TOKEN_FIELD}"

_RENEWAL_HINT = "have your server issue a new one by POST /v1/identity/tokens"

_TOKEN_FAULT_DETAILS = {
    TokenFault.UNKNOWN: "was not issued here, was changed on its way, or its secret is no longer one of "
    f"WAYPOST_SECRETS; {_RENEWAL_HINT}",
    TokenFault.EXPIRED: f"has expired; {_RENEWAL_HINT}",
}


def with_verification(
    read: EventParser, role: Role, tokens: IdentityTokens, *, at: datetime, sender: str = ""
) -> EventParser:
    """Wrap a parser so that it also decides whether an event is verified. ``sender``: the key's label.

    Events under a server or admin key are; under a write key if identity tokens in the context prove all
    their strong identifiers. Tokens are removed before parsing, so a retry with a fresh token is the same
    event. One that proves nothing becomes a warning. An event with one of Waypost's own sources is rejected.
    """

    def parse(raw: dict[str, Any]) -> ParseResult:
        without_token, tokens_in_event = _extract_token(raw)
        event = read(without_token)
        if isinstance(event, Rejection):
            return event
        if name_skeleton(event.source).startswith(INTERNAL_SOURCE_PREFIX):
            return Rejection("reserved_source", _RESERVED_SOURCE_DETAIL, "/source", event.id)
        if (name := name_skeleton(event.type)) in _RESERVED_SKELETONS:
            return Rejection("reserved_type", _RESERVED_TYPE_DETAIL, "/type", event.id)
        if name in _SERVER_SKELETONS and role < Role.SERVER:
            return Rejection("reserved_type", _SERVER_TYPE_DETAIL, "/type", event.id)
        event = replace(event, sender=sender)
        if role >= Role.SERVER:
            return event
        # A token proves who a customer is, which says nothing about the shop's products.
        if not tokens_in_event or event.type in SHOP_EVENTS:
            return replace(event, verified=False)
        proofs, warnings = _verify_tokens(tokens_in_event, tokens, at)
        verification = verify_identifiers(event.identifiers, proofs)
        if proofs and verification.unproved_types:
            types = ", ".join(verification.unproved_types)
            detail = (
                f"does not prove this event's {types}, so the event counts as unverified; send a list with a "
                "token for each identifier, or leave the others out"
            )
            warnings.append(event_warning("unproved_identifier", _TOKEN_POINTER, detail))
        problems = (*event.problems, *warnings)
        return replace(event, verified=verification.is_verified, by_customer=True, problems=problems)

    return parse


def _extract_token(raw: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return (the event without its token field, the value of the field or None)."""
    token = None
    context = raw.get("context")
    if isinstance(context, dict) and TOKEN_FIELD in context:
        token = context[TOKEN_FIELD]
        rest = {name: value for name, value in context.items() if name != TOKEN_FIELD}
        raw = {name: value for name, value in raw.items() if name != "context"}
        # An empty context would make a retry with a token differ from one without.
        if rest:
            raw["context"] = rest
    if is_cloud_event(raw) and isinstance(raw.get("data"), dict):
        data, inner = _extract_token(raw["data"])
        return {**raw, "data": data}, inner or token
    return raw, token


def _verify_tokens(
    value: Any, tokens: IdentityTokens, at: datetime
) -> tuple[list[IdentityProof], list[EventWarning]]:
    """Return (what the tokens prove, a warning for each that proves nothing)."""
    tokens_in_event: Sequence[Any] = value if isinstance(value, list) else [value]
    if len(tokens_in_event) > MAX_TOKENS_PER_EVENT:
        detail = f"holds {len(tokens_in_event)} tokens; send {MAX_TOKENS_PER_EVENT} at most"
        return [], [event_warning("bad_token", _TOKEN_POINTER, detail)]
    proofs: list[IdentityProof] = []
    warnings: list[EventWarning] = []
    for index, token in enumerate(tokens_in_event):
        pointer = f"{_TOKEN_POINTER}/{index}" if isinstance(value, list) else _TOKEN_POINTER
        if not isinstance(token, str):
            detail = f"must be a token, a text; got {type(token).__name__}; {_RENEWAL_HINT}"
            warnings.append(event_warning("bad_token", pointer, detail))
            continue
        proof = tokens.verify(token, at=at)
        if isinstance(proof, IdentityProof):
            proofs.append(proof)
        else:
            warnings.append(event_warning("bad_token", pointer, _TOKEN_FAULT_DETAILS[proof]))
    return proofs, warnings
