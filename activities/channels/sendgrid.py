"""Delivers email by SendGrid, and sorts its failures into definitely not sent and maybe sent."""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
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

from activities.channels.adapter import Accepted, MaybeSent, NotSent, Outgoing
from activities.channels.http import Answer, NotConnected, Wire, opener, read, told_to_wait, without_addresses
from policy.verdict import Channel

logging.getLogger("python_http_client.client").setLevel(logging.INFO)  # at DEBUG it logs key and body

_CONTENT_FAULTS = frozenset({400, 413, 415, 422})
"""Statuses that the same message will always get; of the others a person may mend the cause."""


class SendGrid:
    """Sends one mail per call by the official SDK, each on a connection of its own.

    The SDK blocks, so calls run on a pool of ``at_once`` threads; a call that gets no connection
    within 40 % of ``timeout_s`` never leaves and counts as not sent.
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
        at_once: int = 16,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._key, self._sender, self._base_url = api_key, sender, base_url.rstrip("/")
        self._timeout_s, self._clock = timeout_s, clock
        self._tls = tls or ssl.create_default_context()
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="sendgrid")

    async def deliver(self, outgoing: Outgoing) -> Accepted:
        """Hand one mail to SendGrid within ``timeout_s``; the provider's id is its X-Message-Id.

        Not idempotent: SendGrid knows no send key. Raises ``NotSent`` or ``MaybeSent``. A cancelled call
        that has not begun never leaves.
        """
        if outgoing.valid_for is not None and outgoing.valid_for <= timedelta(0):
            raise NotSent("the message's time was over before SendGrid was called; plan it again")
        wire = Wire(timeout=self._timeout_s, connect_within=0.4 * self._timeout_s)
        call = asyncio.get_running_loop().run_in_executor(self._pool, self._exchange, outgoing, wire)
        try:
            done, _ = await asyncio.wait({call}, timeout=self._timeout_s)
        except asyncio.CancelledError:
            self._give_up(call, wire)
            raise
        if not done:
            self._give_up(call, wire)
            raise self._failure(wire, f"no answer in {self._timeout_s:g} s")
        return judge(call.result(), self._clock())

    async def aclose(self) -> None:
        """Wait for calls under way, then release the threads."""
        await asyncio.to_thread(self._pool.shutdown)

    def _exchange(self, outgoing: Outgoing, wire: Wire) -> Answer:
        """Talk to SendGrid; runs on a thread of the pool."""
        try:
            sdk = SendGridAPIClient(self._key, host=self._base_url)
            client = _Client(sdk.client, partial(opener, wire, self._tls), self._timeout_s)
            sdk.client = client
            response = sdk.send(compose(outgoing, self._sender))
            answer: Answer = response.body
        except NotConnected as exc:
            raise NotSent(f"SendGrid could not be reached: {exc}") from None
        except Exception as exc:
            raise self._failure(wire, type(exc).__name__, permanent=not isinstance(exc, OSError)) from None
        return answer

    @staticmethod
    def _give_up(call: asyncio.Future[Answer], wire: Wire) -> None:
        wire.cut()
        call.cancel()  # its late result is of no use to anyone

    @staticmethod
    def _failure(wire: Wire, what: str, *, permanent: bool = False) -> NotSent | MaybeSent:
        if wire.began:
            return MaybeSent(f"SendGrid: {what} after the request had begun")
        return NotSent(f"SendGrid: {what} before the request began", permanent=permanent)


def compose(outgoing: Outgoing, sender: str) -> dict[str, Any]:
    """Build the request body: one personalization, our message id as the only metadata.

    SendGrid keeps custom arguments and categories readable and for good, so nothing personal goes there.
    """
    content = outgoing.content
    mail = Mail(from_email=From(sender))
    person = Personalization()
    to = To()
    to.email = outgoing.to  # as it is: the constructor would parse a name out of it
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


def judge(answer: Answer, now: datetime) -> Accepted:
    """Sort SendGrid's answer: accepted, or raise ``NotSent`` (4xx) or ``MaybeSent`` (all else).

    Only a whole 202 with an X-Message-Id is an acceptance; a page with status 200 came from
    something in between, which may or may not have passed the request on.
    """
    if answer.status == 202 and answer.whole and answer.headers.get("x-message-id"):
        return Accepted(answer.headers["x-message-id"])
    if not 400 <= answer.status < 500:
        raise MaybeSent(f"SendGrid answered {answer.status}, expected a whole 202 with X-Message-Id")
    faults = _faults(answer)
    words = without_addresses("; ".join(f"{field}: {said}" if field else said for field, said in faults))
    raise NotSent(
        f"SendGrid refused with {answer.status}" + (f": {words}" if words else ""),
        retry_after=told_to_wait(answer.headers, now) if answer.status == 429 else None,
        permanent=answer.status in _CONTENT_FAULTS,
        address_problem="bounced" if answer.status == 400 and _blames_recipient(faults) else None,
    )


def _faults(answer: Answer) -> list[tuple[str, str]]:
    """Read (field, message) pairs of an error body; empty where it is not SendGrid's."""
    try:
        errors = json.loads(answer.body)["errors"]
        return [(str(e.get("field") or ""), str(e.get("message") or "")) for e in errors]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def _blames_recipient(faults: list[tuple[str, str]]) -> bool:
    return any(field.startswith("personalizations.") and ".to." in field for field, _ in faults)


class _Client(python_http_client.Client):  # type: ignore[misc]
    """The SDK's HTTP client on an opener of ours.

    Its own follows redirects with the key still in the headers, reads without limit, and reports a
    failure to connect and a failure to answer by the same exception.
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
        self._opening = opening

    def _build_client(self, name: str | None = None) -> "_Client":
        path = [*self._url_path, name] if name else self._url_path
        return _Client(self, self._opening, self.timeout, path)

    def _make_request(self, opener: object, request: Request, timeout: float | None = None) -> "_Read":
        return _Read(read(self._opening().open(request, timeout=timeout or self.timeout)))


class _Read:
    """An answer in the shape the SDK's ``Response`` takes in."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def getcode(self) -> int:
        return self._answer.status

    def read(self) -> Answer:
        return self._answer

    def info(self) -> object:
        return self._answer.headers
