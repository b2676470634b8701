"""Admission of requests: the key and the sender's budget, before a body is read or parsed."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.bodies import MAX_BODY_BYTES, body_too_large, declared_size
from api.http.budgets import NO_KEY_LABEL, OverBudget, RequestBudget, SenderBudgets
from api.http.keys import MAX_KEY_LENGTH, ApiKey, ApiKeys, Role, key_from_header
from api.http.metrics import Metrics
from api.http.problems import Problem

MAX_KEYLESS_BODY_BYTES = 512 * 1024
"""Bytes, as sent and after gzip, of a body that is read to find its key. Batches of the browser client
end at 500 kB."""

REFUSAL_DELAY_S = 0.25
"""Seconds before a 429 is answered. A client that does not wait as it says gets few of them a second."""

MAX_DELAYED_REFUSALS = 1000
"""Refusals that wait at once. More are answered without delay, so that they take no memory."""

SERVER_KEY_PATHS = frozenset({"/v1/identity/tokens"})
"""Paths below ``/v1`` for which a server key suffices. All others but those of events need an admin key."""

_MAX_CANDIDATES = 64
"""Places that are looked at. The key stands outside of the event, so that few others come before it."""

_KEY_FIELD = b'"writeKey"'

_BLANKS = b" \t\r\n"

_SCOPE_FIELD = "waypost.admission"


@dataclass(slots=True)
class Admission:
    """A request that sends events: its key, its budget, and where both come from."""

    keys: ApiKeys
    budgets: SenderBudgets
    metrics: Metrics
    address: str
    key: ApiKey | None
    """None: the headers have no key, and the body must."""
    budget: RequestBudget

    @property
    def label(self) -> str:
        """The key's label in metrics."""
        return self.key.label if self.key else NO_KEY_LABEL

    def settle_body(self, size: int) -> None:
        """Charge an inflated body before it is parsed. Raises ``Problem`` 429."""
        try:
            self.budget.settle_body(size)
        except OverBudget as error:
            raise self.refusal(error) from None

    def take_key_from_body(self, body: bytes) -> None:
        """Find the browser client's key in an unparsed body and charge the body to it.

        Linear in the size of the body, and allocates nothing of its size. Raises ``Problem`` 401, 413 or 429.
        """
        if len(body) > MAX_KEYLESS_BODY_BYTES:
            raise keyless_body_too_large()
        known = (self.keys.find(candidate) for candidate in find_write_keys(body))
        key = next((each for each in known if each is not None), None)
        if key is None:
            self.refuse("unknown_key")
            # Says what is missing, as for a header without a key.
            self.keys.authorize(None, Role.WRITE)
        self.budget.give_back()
        self.key, self.budget = key, self.budgets.for_request(key, self.address)
        try:
            self.budget.reserve(len(body))
        except OverBudget as error:
            raise self.refusal(error) from None

    def refuse(self, reason: str) -> None:
        """Count a refusal."""
        self.metrics.refused_requests.labels(self.label, reason).inc()

    def refusal(self, error: OverBudget) -> Problem:
        """Count a refusal and return its 429."""
        self.refuse(error.reason)
        return error.to_problem()


def get_admission(request: Request) -> Admission:
    """Return the admission of a request to an event path."""
    return cast(Admission, request.scope[_SCOPE_FIELD])


def keyless_body_too_large() -> Problem:
    """Return the 413 for a body without a key in the headers."""
    return Problem(
        413,
        f"a body without a key in the headers is over the limit of {MAX_KEYLESS_BODY_BYTES} bytes; send "
        "the key as Authorization: Bearer <key>, or smaller batches",
    )


def find_write_keys(body: bytes) -> list[str]:
    """Return the first values of ``writeKey`` in an unparsed body, at any depth.

    They only tell whether parsing is worth its cost; the parsed body decides which of them is the key.
    """
    found: list[str] = []
    start, seen = body.find(_KEY_FIELD), 0
    while start >= 0 and seen < _MAX_CANDIDATES:
        seen += 1
        first = start + len(_KEY_FIELD)
        value = body[first : first + 2 * MAX_KEY_LENGTH].lstrip(_BLANKS)
        if value.startswith(b":") and (value := value[1:].lstrip(_BLANKS)).startswith(b'"'):
            text, closing, _ = value[1:].partition(b'"')
            if closing:
                found.append(text.decode(errors="replace"))
        start = body.find(_KEY_FIELD, first)
    return found


class AdmissionMiddleware:
    """Refuses a request by its headers: 401 and 403 for its key, 429 for its budget.

    FastAPI reads bodies before it resolves dependencies, so a key that is only checked there comes too late.
    """

    def __init__(self, app: ASGIApp, *, event_paths: frozenset[str], keyless_paths: frozenset[str]) -> None:
        """Create the middleware. ``keyless_paths``: event paths of which the key may be in the body."""
        self._app, self._event_paths, self._keyless_paths = app, event_paths, keyless_paths
        self._delayed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that may be read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._admit(scope)
        except Problem as problem:
            if problem.status == 429 and self._delayed < MAX_DELAYED_REFUSALS:
                self._delayed += 1
                try:
                    await asyncio.sleep(REFUSAL_DELAY_S)
                finally:
                    self._delayed -= 1
            await problem.to_response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        path, request = scope["path"], Request(scope)
        if path in self._event_paths and scope["method"] == "POST":
            scope[_SCOPE_FIELD] = self._admit_events(request, is_keyless=path in self._keyless_paths)
        elif path.startswith("/v1/") and has_body(scope):
            role = Role.SERVER if path in SERVER_KEY_PATHS else Role.ADMIN
            _state(scope).keys.authorize(key_from_header(request), role)

    def _charge_unknown_key(self, state: Any, address: str) -> None:
        """Charge a wrong key, so that keys cannot be tried at any rate. Raises ``Problem`` 429."""
        try:
            state.budgets.for_request(None, address).reserve(0)
        except OverBudget as error:
            raise error.to_problem() from None

    def _admit_events(self, request: Request, *, is_keyless: bool) -> Admission:
        state, address = _state(request.scope), request.client.host if request.client else ""
        refused = state.metrics.refused_requests
        try:
            secret = key_from_header(request)
            key = None if secret is None and is_keyless else state.keys.authorize(secret, Role.WRITE)
        except Problem:
            refused.labels(NO_KEY_LABEL, "unknown_key").inc()
            self._charge_unknown_key(state, address)
            raise
        budget = state.budgets.for_request(key, address)
        admission = Admission(state.keys, state.budgets, state.metrics, address, key, budget)
        limit = MAX_BODY_BYTES if key else MAX_KEYLESS_BODY_BYTES
        size = declared_size(request.scope)
        if size is not None and size > limit:
            raise body_too_large() if key else keyless_body_too_large()
        try:
            # A body of unknown size may become as large as the limit. What it does not use is given back.
            budget.reserve(limit if size is None else size)
        except OverBudget as error:
            raise admission.refusal(error) from None
        return admission


def _state(scope: Scope) -> Any:
    return scope["app"].state.app_state


def has_body(scope: Scope) -> bool:
    """Whether a request announces a body."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() not in (b"", b"0"))
        for name, value in scope["headers"]
    )
