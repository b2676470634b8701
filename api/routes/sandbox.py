"""The sandbox mailbox: messages as customers would see them. On a local stack, or with an admin key."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import AppStateDep, get_app_state, require_admin_key
from api.http.outage import run_read
from api.http.problems import not_found
from api.pages import page
from profiles.messaging.sandbox import MailboxEntry, list_mailbox, load_mailbox_entry

MAX_LISTED_MESSAGES = 200

_MAX_PREVIEW_LENGTH = 160

_CHANNEL_LABELS = {"sms": "Text message", "push": "App notification"}

_URL_PATTERN = re.compile(r"(https?://[^\s<>\"]+[^\s<>\".,;:!?)])")


def _require_admin_unless_local(request: Request) -> None:
    """Require an admin key, except on a local stack. Messages contain names and addresses."""
    if not get_app_state(request).settings.waypost_local:
        require_admin_key(request)


router = APIRouter(prefix="/sandbox", tags=["Operation"], dependencies=[Depends(_require_admin_unless_local)])


@router.get("")
async def mailbox(app_state: AppStateDep) -> Response:
    """Show the messages that the sandbox delivered, the newest first and open."""
    return _mailbox_page(*await run_read(app_state.database, _load_mailbox))


@router.get("/{message_id}")
async def one_message(message_id: UUID, app_state: AppStateDep) -> Response:
    """Show one message: an email in desktop and phone width, a text message as a bubble."""
    entries, shown = await run_read(app_state.database, partial(_load_mailbox, message_id=message_id))
    if shown is None:
        raise not_found(f"the sandbox delivered no message {message_id}; GET /sandbox lists what it did")
    return _mailbox_page(entries, shown)


async def _load_mailbox(
    connection: Any, *, message_id: UUID | None = None
) -> tuple[list[MailboxEntry], MailboxEntry | None]:
    """Return the list, and the message; by default the newest."""
    entries = await list_mailbox(connection, MAX_LISTED_MESSAGES)
    shown = message_id or next((entry.message_id for entry in entries), None)
    return entries, await load_mailbox_entry(connection, shown) if shown else None


def _mailbox_page(entries: Sequence[MailboxEntry], shown: MailboxEntry | None) -> Response:
    count = f"{len(entries)} message{'s' if len(entries) > 1 else ''}, the newest first"
    if len(entries) == MAX_LISTED_MESSAGES:
        count = f"The latest {MAX_LISTED_MESSAGES} messages"
    return page(
        "mailbox.html",
        style="sandbox.css",
        frames=True,
        count=count if entries else "Nothing yet",
        rows=[
            _message_row(entry, current=shown is not None and entry.message_id == shown.message_id)
            for entry in entries
        ],
        message=_message(shown) if shown else None,
    )


def _message_row(entry: MailboxEntry, *, current: bool) -> dict[str, object]:
    at = _display_time(entry)
    return {
        "message_id": entry.message_id,
        "current": current,
        "channel": entry.channel,
        "to": entry.address,
        "instant": at.isoformat(),
        "when": f"{at:%d %b, %H:%M}",
        "subject": entry.subject or entry.preview.split("\n")[0],
        "preview": _preview(entry.preview) if entry.subject else "",
    }


def _preview(text: str) -> str:
    """Return the beginning of a mail's text, without the shop's name and link that head every mail."""
    head, _, body = text.partition("\n\n")
    is_letterhead = bool(body) and head.endswith(">") and "\n" not in head
    return " ".join((body if is_letterhead else text).split())[:_MAX_PREVIEW_LENGTH]


def _message(entry: MailboxEntry) -> dict[str, object]:
    facts = (("journey", entry.journey), ("template", entry.template), ("status", entry.status))
    return {
        "subject": entry.subject or _CHANNEL_LABELS.get(entry.channel, entry.channel),
        "to": entry.address,
        "when": f"{_display_time(entry):%A, %d %B %Y, %H:%M} UTC",
        "facts": [{"name": name, "value": value} for name, value in facts if value],
        "html": entry.html or None,
        "text": entry.text,
        # The pattern is one group, so that every second part is a link.
        "parts": [
            {"text": part, "is_link": n % 2 == 1} for n, part in enumerate(_URL_PATTERN.split(entry.text))
        ],
    }


def _display_time(entry: MailboxEntry) -> datetime:
    """Return the time by the run's clock, which differs from now after time travel."""
    return entry.decided_at or entry.recorded_at
