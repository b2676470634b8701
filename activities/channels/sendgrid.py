"""Delivers email by SendGrid, and classifies its failures as certainly not sent or possibly sent."""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.request import OpenerDirector, Request

import python_http_client
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Content as Part
from sendgrid.helpers.mail import (
    CustomArg,
    From,
    Header,
    Mail,
    MailSettings,
    MimeType,
    Personalization,
    SandBoxMode,
    Subject,
    To,
)

from activities.channels.adapter import Accepted, MaybeSent, NotSent, OutgoingMessage
from activities.channels.http import (
    PERMANENT_STATUSES,
    NotConnected,
    ProviderResponse,
    TrackedConnection,
    build_opener,
    parse_retry_after,
    read_response,
    sanitize_detail,
)
from policy.verdict import Channel

logging.getLogger("python_http_client.client").setLevel(logging.INFO)  # at DEBUG it logs key and body


class SendGridAdapter:
    """Sends one mail per call by the official SDK, each on its own connection.

    The SDK blocks, so calls run on a pool of ``max_concurrent_calls`` threads. A call without a connection
    within 40 % of ``timeout_s``, or by the end of the claim, is aborted and counts as not sent.
    """

    channel = Channel.EMAIL
    provider = "sendgrid"

    def __init__(
        self,
        api_key: str,
        sender: str,
        *,
        base_url: str,
        timeout_s: float = 10.0,
        max_concurrent_calls: int = 16,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._key, self._sender, self._base_url = api_key, sender, base_url.rstrip("/")
        self._timeout_s, self._clock = timeout_s, clock
        self._tls = tls or ssl.create_default_context()
        self._pool = ThreadPoolExecutor(max_concurrent_calls, thread_name_prefix="sendgrid")

    async def deliver(self, outgoing: OutgoingMessage) -> Accepted:
        """Send one mail within ``timeout_s``; the provider's id is its X-Message-Id.

        Raises ``NotSent`` or ``MaybeSent``. Not idempotent: SendGrid has no idempotency key. A call that is
        cancelled before it begins is never sent.
        """
        if outgoing.valid_for is not None and outgoing.valid_for <= timedelta(0):
            raise NotSent("the message's time was over before SendGrid was called; plan it again")
        connect_timeout = min(0.4 * self._timeout_s, outgoing.seconds_to_begin())
        wire = TrackedConnection(timeout=self._timeout_s, connect_timeout=connect_timeout)
        try:
            call = asyncio.get_running_loop().run_in_executor(self._pool, self._send_blocking, outgoing, wire)
        except RuntimeError:
            raise NotSent("the worker is stopping; SendGrid was not called") from None
        try:
            done, _ = await asyncio.wait({call}, timeout=self._timeout_s)
        except asyncio.CancelledError:
            self._abort(call, wire)
            raise
        if not done:
            self._abort(call, wire)
            raise self._to_error(wire, f"no answer in {self._timeout_s:g} s")
        return classify_response(call.result(), self._clock())

    async def aclose(self) -> None:
        """Wait for the calls in progress, then release the threads."""
        await asyncio.to_thread(self._pool.shutdown)

    def _send_blocking(self, outgoing: OutgoingMessage, wire: TrackedConnection) -> ProviderResponse:
        """Call SendGrid. Called on a thread of the pool."""
        try:
            sdk = SendGridAPIClient(self._key, host=self._base_url)
            client = _TrackedClient(sdk.client, partial(build_opener, wire, self._tls), self._timeout_s)
            sdk.client = client
            response = sdk.send(build_request_body(outgoing, self._sender))
            answer: ProviderResponse = response.body
        except NotConnected as exc:
            raise NotSent(f"SendGrid could not be reached: {exc}") from None
        except Exception as exc:
            raise self._to_error(wire, type(exc).__name__, permanent=not isinstance(exc, OSError)) from None
        return answer

    @staticmethod
    def _abort(call: asyncio.Future[ProviderResponse], wire: TrackedConnection) -> None:
        wire.abort()
        call.cancel()  # a late result is discarded

    @staticmethod
    def _to_error(wire: TrackedConnection, what: str, *, permanent: bool = False) -> NotSent | MaybeSent:
        if wire.request_started:
            return MaybeSent(f"SendGrid: {what} after the request had begun")
        detail = f"SendGrid: {what} before the request began"
        return NotSent(detail, permanent=permanent, content_problem=permanent)


def build_request_body(outgoing: OutgoingMessage, sender: str) -> dict[str, Any]:
    """Build the request body: one personalization, with Waypost's message id as the only metadata.

    SendGrid stores custom arguments and categories permanently and readably: no personal data in them.
    """
    content = outgoing.content
    mail = Mail(from_email=From(sender))
    person = Personalization()
    to = To()
    to.email = outgoing.to  # set directly, since the constructor would parse a name from it
    person.add_to(to)
    person.add_custom_arg(CustomArg("message_id", outgoing.message_id))
    for name, value in content.headers.items():
        person.add_header(Header(name, value))
    mail.add_personalization(person)
    mail.subject = Subject(content.subject)
    if content.text:
        mail.add_content(Part(MimeType.text, content.text))
    if content.html:
        mail.add_content(Part(MimeType.html, content.html))
    mail.mail_settings = MailSettings(sandbox_mode=SandBoxMode(enable=False))
    body: dict[str, Any] = mail.get()
    return body


def classify_response(answer: ProviderResponse, now: datetime) -> Accepted:
    """Classify SendGrid's response: accepted, or raise ``NotSent`` (4xx) or ``MaybeSent`` (all others).

    Only a complete 202 with an X-Message-Id is an acceptance. A page with status 200 is from a proxy, which
    may or may not have forwarded the request.
    """
    if answer.status == 202 and answer.complete and answer.headers.get("x-message-id"):
        return Accepted(answer.headers["x-message-id"])
    if not 400 <= answer.status < 500:
        raise MaybeSent(f"SendGrid answered {answer.status}, expected a whole 202 with X-Message-Id")
    faults = _parse_errors(answer)
    words = sanitize_detail(
        "; ".join(f"{field}: {message}" if field else message for field, message in faults)
    )
    raise NotSent(
        f"SendGrid refused with {answer.status}" + (f": {words}" if words else ""),
        retry_after=parse_retry_after(answer.headers, now) if answer.status == 429 else None,
        permanent=answer.status in PERMANENT_STATUSES,
        address_problem="bounced" if answer.status == 400 and _is_recipient_error(faults) else None,
    )


def _parse_errors(answer: ProviderResponse) -> list[tuple[str, str]]:
    """Return the (field, message) pairs of an error body; empty for any other body."""
    try:
        errors = json.loads(answer.body)["errors"]
        return [(str(e.get("field") or ""), str(e.get("message") or "")) for e in errors]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def _is_recipient_error(faults: list[tuple[str, str]]) -> bool:
    return any(field.startswith("personalizations.") and ".to." in field for field, _ in faults)


class _TrackedClient(python_http_client.Client):  # type: ignore[misc]
    """The SDK's HTTP client with an opener of Waypost.

    The SDK's own follows redirects with the key in the headers, reads without limit, and raises the same
    exception for a failed connection and a missing response.
    """

    def __init__(
        self,
        like: python_http_client.Client,
        opening: Callable[[], OpenerDirector],
        timeout_s: float,
        url_path: list[str] | None = None,
    ) -> None:
        super().__init__(
            like.host, like.request_headers, version=like._version, url_path=url_path, timeout=timeout_s
        )
        self._opener_factory = opening

    def _build_client(self, name: str | None = None) -> "_TrackedClient":
        path = [*self._url_path, name] if name else self._url_path
        return _TrackedClient(self, self._opener_factory, self.timeout, path)

    def _make_request(self, opener: object, request: Request, timeout: float | None = None) -> object:
        answer = read_response(self._opener_factory().open(request, timeout=timeout or self.timeout))
        # What the SDK's ``Response`` asks for; its body is the whole answer.
        return SimpleNamespace(
            getcode=lambda: answer.status, read=lambda: answer, info=lambda: answer.headers
        )
