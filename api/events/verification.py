"""Whether an event is verified: by the key it came with, or by identity tokens in its context."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from api.events.native import is_cloud_event
from api.events.parsed import Note, Rejection
from api.http.keys import Role
from profiles.identity.tokens import Fault, IdentityTokens, Proof, vouching
from profiles.ingest.pipeline import OURS
from profiles.state.event_records import IncomingEvent

TOKEN_FIELD = "waypost_token"  # noqa: S105 - the name of a field

MOST_TOKENS = 8
"""In one event: one for each type of identifier that can be proved, twice."""

Heard = IncomingEvent | Rejection

Reader = Callable[[dict[str, Any]], Heard]

_RESERVED = f"/source begins with {OURS}, as only Waypost's own events do; send the name of your system"

_PLACE = f"/context/{TOKEN_FIELD}"

_RENEW = "have your server issue a new one by POST /v1/identity/tokens"

_SAYS = {
    Fault.UNKNOWN: "was not issued here, was changed on its way, or its secret is no longer one of "
    f"WAYPOST_SECRETS; {_RENEW}",
    Fault.EXPIRED: f"has expired; {_RENEW}",
}


def vouched(read: Reader, role: Role, tokens: IdentityTokens, *, at: datetime) -> Reader:
    """A reader that also says whether an event is verified.

    The word of a server or admin key always is; that of a write key is where identity tokens in the context
    prove every strong identifier of the event. Tokens are taken out before anything is read: none is kept,
    and a retry with a fresh one is the same event. One that proves nothing becomes a problem of the event.
    Nobody out there is Waypost itself: an event from a source of its own is refused, whatever the key.
    """

    def heard(raw: dict[str, Any]) -> Heard:
        bare, told = _token_taken_out(raw)
        event = read(bare)
        if isinstance(event, Rejection):
            return event
        if event.source.startswith(OURS):
            return Rejection("reserved_source", _RESERVED, "/source", event.id)
        if role.is_trusted:
            return event
        if not told:
            return replace(event, verified=False)
        proofs, notes = _proofs(told, tokens, at)
        found = vouching(event.identifiers, proofs)
        if proofs and found.unproved:
            notes.append(_unproved(found.unproved))
        return replace(event, verified=found.is_full, problems=(*event.problems, *notes))

    return heard


def _token_taken_out(raw: dict[str, Any]) -> tuple[dict[str, Any], Any]:
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
        data, inner = _token_taken_out(raw["data"])
        return {**raw, "data": data}, inner or told
    return raw, told


def _proofs(told: Any, tokens: IdentityTokens, at: datetime) -> tuple[list[Proof], list[Note]]:
    """(what the tokens prove, a note for each that proves nothing)."""
    given: Sequence[Any] = told if isinstance(told, list) else [told]
    if len(given) > MOST_TOKENS:
        return [], [_note(_PLACE, f"holds {len(given)} tokens; send {MOST_TOKENS} at most")]
    proofs: list[Proof] = []
    notes: list[Note] = []
    for index, token in enumerate(given):
        place = f"{_PLACE}/{index}" if isinstance(told, list) else _PLACE
        if not isinstance(token, str):
            notes.append(_note(place, f"must be a token, a text; got {type(token).__name__}; {_RENEW}"))
            continue
        read = tokens.read(token, at=at)
        if isinstance(read, Proof):
            proofs.append(read)
        else:
            notes.append(_note(place, _SAYS[read]))
    return proofs, notes


def _note(place: str, why: str) -> Note:
    return {"code": "bad_token", "pointer": place, "detail": f"{place} {why}"}


def _unproved(kinds: Sequence[str]) -> Note:
    return {
        "code": "unproved_identifier",
        "pointer": _PLACE,
        "detail": f"{_PLACE} does not prove this event's {', '.join(kinds)}, so the event counts as "
        "unverified; send a list with a token for each identifier, or leave the others out",
    }
