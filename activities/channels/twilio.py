"""Delivers SMS by Twilio, and classifies its failures as certainly not sent or possibly sent."""

import base64
import json
import logging
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from twilio.base import values
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from activities.channels.adapter import Accepted, MaybeSent, NotSent, OutgoingMessage
from activities.channels.http import (
    MAX_BODY_BYTES,
    PERMANENT_STATUSES,
    ProviderResponse,
    parse_retry_after,
    sanitize_detail,
)
from policy.verdict import Channel

MAX_VALIDITY = timedelta(seconds=36_000)
"""Twilio's own maximum and default for ValidityPeriod."""

ADDRESS_ERROR_CODES = {
    21610: "opted_out",  # the recipient answered STOP
    21211: "bounced",  # not a phone number
    21614: "bounced",  # not a mobile number
    21635: "bounced",  # a landline
    30006: "bounced",  # a landline, or a carrier that cannot be reached
}
"""Codes of twilio.com/docs/api/errors for problems of the address, which is then never used again."""

SENDER_ERROR_CODES = frozenset({21408, 21603, 21606, 21659, 21660})
"""Codes for a sender or region that is not set up: rejected with 400, but an operator may fix the account."""

logging.getLogger("twilio.async_http_client").setLevel(logging.WARNING)  # seven lines per call at INFO


class TwilioAdapter:
    """Sends one text per call by the official async SDK, over pooled connections.

    Needs ``sender`` or ``messaging_service_sid``. The SDK's client needs a running loop, so it is made late.
    """

    channel = Channel.SMS
    provider = "twilio"

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        sender: str | None = None,
        messaging_service_sid: str | None = None,
        base_url: str,
        timeout_s: float = 10.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not sender and not messaging_service_sid:
            raise ValueError("Twilio needs a sender or a messaging service; neither was given")
        self._account, self._token = account_sid, auth_token
        self._sender, self._service = sender or values.unset, messaging_service_sid or values.unset
        self._base_url, self._timeout_s, self._clock = base_url.rstrip("/"), timeout_s, clock
        self._sdk: Client | None = None

    async def deliver(self, outgoing: OutgoingMessage) -> Accepted:
        """Send one text within ``timeout_s``; the provider's id is the message's sid.

        Raises ``NotSent`` or ``MaybeSent``. Not idempotent: Twilio may send a repeated request twice (error
        20500). No status callback is asked for, since Waypost has no route that takes one.
        """
        phase = _RequestPhase(outgoing.begin_by)
        try:
            validity_period = to_validity_period(outgoing.valid_for)
            _PHASE.set(phase)
            message = await self._client().messages.create_async(
                to=outgoing.to,
                body=outgoing.content.text,
                from_=self._sender,
                messaging_service_sid=self._service,
                validity_period=validity_period,
            )
        except (NotSent, MaybeSent):
            raise
        except Exception as exc:
            name = type(exc).__name__
            if not phase.started:
                detail = f"Twilio: {name} before the request began"
                raise NotSent(detail, permanent=True, content_problem=True) from None
            # The response could not be parsed as a message.
            raise MaybeSent(f"Twilio: {name} in a 2xx answer") from None
        if not isinstance(message.sid, str) or not message.sid:
            raise MaybeSent("Twilio answered 2xx without a sid")
        return Accepted(message.sid)

    async def aclose(self) -> None:
        """Close the pooled connections; a later call opens new ones."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.http_client.close()

    def _client(self) -> Client:
        if self._sdk is None:
            self._sdk = Client(
                self._account,
                self._token,
                http_client=_StrictHttpClient(self._timeout_s, self._clock),
                environment={"TWILIO_EDGE": ""},  # else the SDK's own variables would change the host
            )
            self._sdk.api.base_url = self._base_url
        return self._sdk


def to_validity_period(valid_for: timedelta | None) -> Any:
    """Return Twilio's ValidityPeriod: 1 to 36,000 whole seconds, rounded down; unset for no limit.

    Unset, Twilio tries for up to 10 hours, also in quiet hours. Raises ``NotSent`` where no time is left.
    """
    if valid_for is None:
        return values.unset
    if valid_for <= timedelta(0):
        raise NotSent("the message's time was over before Twilio was called; plan it again")
    return max(1, math.floor(min(valid_for, MAX_VALIDITY).total_seconds()))


def raise_for_response(answer: ProviderResponse, now: datetime) -> None:
    """Classify Twilio's response: return for 2xx, raise ``NotSent`` (4xx) or ``MaybeSent`` (all others)."""
    if 200 <= answer.status < 300 and answer.complete:
        return
    if not 400 <= answer.status < 500:
        raise MaybeSent(f"Twilio answered {answer.status}, expected a whole 201")
    code, message = _parse_error(answer)
    problem = ADDRESS_ERROR_CODES.get(code)
    throttled = answer.status == 429 or code == 20429
    detail = f"Twilio refused with {answer.status}" + (f", error {code}" if code else "")
    raise NotSent(
        detail + (f": {message}" if message else ""),
        retry_after=parse_retry_after(answer.headers, now) if throttled else None,
        permanent=bool(problem)
        or (answer.status in PERMANENT_STATUSES and not throttled and code not in SENDER_ERROR_CODES),
        address_problem=problem,
    )


def _parse_error(answer: ProviderResponse) -> tuple[int, str]:
    """Return code and message of an error body, in the old form or RFC 9457; (0, "") for any other body."""
    try:
        body = json.loads(answer.body)
        message = body.get("message") or body.get("detail") or body.get("title") or ""
        code = body.get("code")
        return (code if isinstance(code, int) and code < 100_000 else 0), sanitize_detail(str(message))
    except (ValueError, AttributeError, RecursionError):
        return 0, ""


@dataclass(slots=True)
class _RequestPhase:
    """How far the request of one call has come."""

    begin_by: float | None
    """By the monotonic clock, in seconds; None: no limit."""
    started: bool = False
    """Whether a byte of it may have been sent."""

    def seconds_to_begin(self) -> float:
        return math.inf if self.begin_by is None else self.begin_by - time.monotonic()


_PHASE: ContextVar[_RequestPhase | None] = ContextVar("waypost_twilio_request")
"""Of the call in this context; the SDK passes nothing of ours on to its HTTP client."""

_TOO_LATE = "Twilio: the claim ended before the request began"


class _StrictHttpClient(AsyncTwilioHttpClient):  # type: ignore[misc]
    """The SDK's HTTP client with a working timeout (twilio-python #925) and classified failures.

    Follows no redirects, repeats no request, and reads at most ``MAX_BODY_BYTES``.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], datetime]) -> None:
        super().__init__(pool_connections=False, timeout=timeout_s)
        self._clock, self._timeout_s = clock, timeout_s
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_mark_started)
        self.session = aiohttp.ClientSession(
            # Idle connections are closed early: a request on one that Twilio closed has an unknown outcome.
            connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=5),
            trace_configs=[trace],
            trust_env=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, str] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        allow_redirects: bool = False,
    ) -> Response:
        """Make one request. Raises ``NotSent`` or ``MaybeSent`` for all but a complete 2xx response."""
        phase = _PHASE.get(None) or _RequestPhase(None)
        if (left := phase.seconds_to_begin()) <= 0:
            raise NotSent(_TOO_LATE)
        sent_headers = {**(headers or {}), **(_basic_auth_header(auth) if auth else {})}
        try:
            async with self.session.request(
                method,
                url,
                params=params,
                data=data,
                headers=sent_headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=self._timeout_s, connect=min(0.4 * self._timeout_s, left)
                ),
                trace_request_ctx=phase,
            ) as response:
                answer = await _read_limited(response)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            what = f"Twilio: {type(exc).__name__}"
            if phase.started:
                raise MaybeSent(f"{what} after the request had begun") from None
            wrong = isinstance(exc, UnicodeError)  # a text that cannot be encoded
            detail = f"{what} before the request began"
            raise NotSent(detail, permanent=wrong, content_problem=wrong) from None
        raise_for_response(answer, self._clock())
        return Response(answer.status, answer.body.decode(errors="replace"), answer.headers)


async def _mark_started(session: aiohttp.ClientSession, context: Any, sent: object) -> None:
    """Mark the request as started. Called by aiohttp just before it writes the first byte.

    Raises ``NotSent``, which ends the request, where the claim has ended meanwhile.
    """
    phase: _RequestPhase = context.trace_request_ctx
    if phase.seconds_to_begin() <= 0:
        raise NotSent(_TOO_LATE)
    phase.started = True


async def _read_limited(response: aiohttp.ClientResponse) -> ProviderResponse:
    headers = {name.lower(): value for name, value in response.headers.items()}
    body = bytearray()
    try:
        while len(body) <= MAX_BODY_BYTES and (chunk := await response.content.read(MAX_BODY_BYTES)):
            body += chunk
    except (TimeoutError, aiohttp.ClientError, OSError):
        return ProviderResponse(response.status, headers, complete=False)
    return ProviderResponse(
        response.status, headers, bytes(body[:MAX_BODY_BYTES]), complete=len(body) <= MAX_BODY_BYTES
    )


def _basic_auth_header(auth: tuple[str, str]) -> dict[str, str]:
    pair = base64.b64encode(f"{auth[0]}:{auth[1]}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}
