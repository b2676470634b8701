"""Whether an event is verified: by the key it came with, or by identity tokens in its context."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from api.events.native import is_cloud_event
from api.events.parsed import EventWarning, Rejection
from api.http.keys import Role
from profiles.identity.tokens import IdentityProof, IdentityTokens, TokenFault, verify_identifiers
from profiles.ingest.pipeline import INTERNAL_SOURCE_PREFIX
from profiles.state.event_records import IncomingEvent

TOKEN_FIELD = "waypost_token"  # noqa: S105 - the name of a field

MAX_TOKENS_PER_EVENT = 8
"""In one event: one for each type of identifier that can be proved, twice."""

ParseResult = IncomingEvent | Rejection

EventParser = Callable[[dict[str, Any]], ParseResult]

_RESERVED_SOURCE_DETAIL = f"/source begins with {INTERNAL_SOURCE_PREFIX}, as only Waypost's own events do; send the name of your system"

_TOKEN_POINTER = f"/context/{TOKEN_FIELD}"

_RENEWAL_HINT = "have your server issue a new one by POST /v1/identity/tokens"

_TOKEN_FAULT_DETAILS = {
    TokenFault.UNKNOWN: "was not issued here, was changed on its way, or its secret is no longer one of "
    f"WAYPOST_SECRETS; {_RENEWAL_HINT}",
    TokenFault.EXPIRED: f"has expired; {_RENEWAL_HINT}",
}


def with_verification(read: EventParser, role: Role, tokens: IdentityTokens, *, at: datetime) -> EventParser:
    """A reader that also says whether an event is verified.

    The word of a server or admin key always is; that of a write key is where identity tokens in the context
    prove every strong identifier of the event. Tokens are taken out before anything is read: none is kept,
    and a retry with a fresh one is the same event. One that proves nothing becomes a problem of the event.
    Nobody out there is Waypost itself: an event from a source of its own is refused, whatever the key.
    """

    def heard(raw: dict[str, Any]) -> ParseResult:
        bare, told = _extract_token(raw)
        event = read(bare)
        if isinstance(event, Rejection):
            return event
        if event.source.startswith(INTERNAL_SOURCE_PREFIX):
            return Rejection("reserved_source", _RESERVED_SOURCE_DETAIL, "/source", event.id)
        if role.is_trusted:
            return event
        if not told:
            return replace(event, verified=False)
        proofs, notes = _verify_tokens(told, tokens, at)
        found = verify_identifiers(event.identifiers, proofs)
        if proofs and found.unproved_types:
            notes.append(_unproved_identifier_warning(found.unproved_types))
        return replace(event, verified=found.is_verified, problems=(*event.problems, *notes))

    return heard


def _extract_token(raw: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """(the event without a token, what stood in its place)."""
    told = None
    context = raw.get("context")
    if isinstance(context, dict) and TOKEN_FIELD in context:
        told = context[TOKEN_FIELD]
        rest = {name: value for name, value in context.items() if name != TOKEN_FIELD}
        raw = {name: value for name, value in raw.items() if name != "context"}
        # An emptied context would make a try with a token differ from one without.
        if rest:
            raw["context"] = rest
    if is_cloud_event(raw) and isinstance(raw.get("data"), dict):
        data, inner = _extract_token(raw["data"])
        return {**raw, "data": data}, inner or told
    return raw, told


def _verify_tokens(
    told: Any, tokens: IdentityTokens, at: datetime
) -> tuple[list[IdentityProof], list[EventWarning]]:
    """(what the tokens prove, a note for each that proves nothing)."""
    given: Sequence[Any] = told if isinstance(told, list) else [told]
    if len(given) > MAX_TOKENS_PER_EVENT:
        return [], [
            _bad_token_warning(
                _TOKEN_POINTER, f"holds {len(given)} tokens; send {MAX_TOKENS_PER_EVENT} at most"
            )
        ]
    proofs: list[IdentityProof] = []
    notes: list[EventWarning] = []
    for index, token in enumerate(given):
        place = f"{_TOKEN_POINTER}/{index}" if isinstance(told, list) else _TOKEN_POINTER
        if not isinstance(token, str):
            notes.append(
                _bad_token_warning(
                    place, f"must be a token, a text; got {type(token).__name__}; {_RENEWAL_HINT}"
                )
            )
            continue
        read = tokens.verify(token, at=at)
        if isinstance(read, IdentityProof):
            proofs.append(read)
        else:
            notes.append(_bad_token_warning(place, _TOKEN_FAULT_DETAILS[read]))
    return proofs, notes


def _bad_token_warning(place: str, why: str) -> EventWarning:
    return {"code": "bad_token", "pointer": place, "detail": f"{place} {why}"}


def _unproved_identifier_warning(kinds: Sequence[str]) -> EventWarning:
    return {
        "code": "unproved_identifier",
        "pointer": _TOKEN_POINTER,
        "detail": f"{_TOKEN_POINTER} does not prove this event's {', '.join(kinds)}, so the event counts as "
        "unverified; send a list with a token for each identifier, or leave the others out",
    }
