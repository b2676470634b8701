"""The sandbox: stores messages in Waypost itself, for channels without a provider."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import structlog

from activities.channels.adapter import Accepted, MaybeSent, NotSent, OutgoingMessage
from policy.verdict import Channel

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SandboxMessage:
    """A message as the customer would see it."""

    message_id: str
    channel: Channel
    to: str
    text: str
    subject: str = ""
    html: str = ""
    headers: dict[str, str] = field(default_factory=dict)


SandboxStore = Callable[[SandboxMessage], Awaitable[None]]
"""Stores a sandbox message. A second call with the same message id must change nothing."""


class SandboxAdapter:
    """Stores each message once, with a copy as files under ``folder``/<channel>/ where a folder is given."""

    provider = "sandbox"

    def __init__(
        self,
        channel: Channel,
        store: SandboxStore,
        *,
        sender: str = "sandbox@localhost",
        folder: Path | None = None,
    ) -> None:
        self.channel = channel
        self._store, self._sender, self._folder = store, sender, folder

    async def deliver(self, outgoing: OutgoingMessage) -> Accepted:
        """Store the message, then copy it to files. Idempotent by message id.

        Raises ``MaybeSent`` where the store fails, since it may have committed. A failed copy is only logged.
        """
        if outgoing.seconds_to_begin() <= 0:
            raise NotSent("the claim ended before the sandbox was called")
        message = SandboxMessage(outgoing.message_id, self.channel, outgoing.to, **asdict(outgoing.content))
        try:
            await self._store(message)
        except Exception as exc:
            raise MaybeSent(f"sandbox: {type(exc).__name__} while storing the message") from None
        if self._folder is not None:
            await self._write_files(message, self._folder)
        return Accepted(f"sandbox-{message.message_id}")

    async def aclose(self) -> None:
        """Do nothing: there are no connections."""

    async def _write_files(self, message: SandboxMessage, folder: Path) -> None:
        try:
            await asyncio.to_thread(write_message_files, message, self._sender, folder / self.channel.value)
        except (OSError, ValueError) as exc:
            log.warning("sandbox_copy_failed", message_id=message.message_id, error=type(exc).__name__)


def write_message_files(message: SandboxMessage, sender: str, folder: Path) -> None:
    """Write ``<message id>.txt``, and for mail ``.eml`` and ``.html``; replaces existing files.

    Raises ``OSError``, and ``ValueError`` for an id that is not a file name or a header of two lines.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", message.message_id):
        raise ValueError("expected a message id of letters, digits, '.', '_' and '-'")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    copies = {"txt": message.text.encode(errors="replace")}
    if message.channel is Channel.EMAIL:
        copies["eml"] = _to_email(message, sender).as_bytes(policy=SMTP)
    if message.html:
        copies["html"] = message.html.encode(errors="replace")
    for ending, data in copies.items():
        path = folder / f"{message.message_id}.{ending}"
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_bytes(data)
        partial.replace(path)


def _to_email(message: SandboxMessage, sender: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = sender, message.to, message.subject
    mail["Message-ID"] = f"<{message.message_id}@waypost.localhost>"
    for name, value in message.headers.items():
        mail[name] = value
    mail.set_content(message.text)
    if message.html:
        mail.add_alternative(message.html, subtype="html")
    return mail
