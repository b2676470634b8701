"""The sandbox's mailbox: every message as its customer would see it. On a local stack, or for admins."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import AppStateDep, get_app_state, require_admin_key
from api.http.outage import run_read
from api.http.problems import not_found
from api.pages import page
from profiles.messaging.sandbox import MailboxEntry, list_mailbox, load_mailbox_entry

MAX_LISTED_MESSAGES = 200
"""Messages in the list."""

_CHANNEL_LABELS = {"sms": "Text message", "push": "App notification"}

_URL_PATTERN = re.compile(r"(https?://[^\s<>\"]+[^\s<>\".,;:!?)])")


def _require_admin_unless_local(request: Request) -> None:
    """On a local stack anybody; elsewhere admins, since messages hold names and addresses."""
    if not get_app_state(request).settings.waypost_local:
        require_admin_key(request)


router = APIRouter(prefix="/sandbox", tags=["Operation"], dependencies=[Depends(_require_admin_unless_local)])


@router.get("")
async def mailbox(doors: AppStateDep) -> Response:
    """The messages the sandbox delivered, the newest first and open."""

    async def read(connection: Any) -> tuple[list[MailboxEntry], MailboxEntry | None]:
        found = await list_mailbox(connection, MAX_LISTED_MESSAGES)
        return found, await load_mailbox_entry(connection, found[0].message_id) if found else None

    return _mailbox_page(*await run_read(doors.database, read))


@router.get("/{message_id}")
async def one_message(message_id: UUID, doors: AppStateDep) -> Response:
    """One message: a mail at a desk and on a phone, a text as a bubble."""

    async def read(connection: Any) -> tuple[list[MailboxEntry], MailboxEntry | None]:
        return await list_mailbox(connection, MAX_LISTED_MESSAGES), await load_mailbox_entry(
            connection, message_id
        )

    found, shown = await run_read(doors.database, read)
    if shown is None:
        raise not_found(f"the sandbox delivered no message {message_id}; GET /sandbox lists what it did")
    return _mailbox_page(found, shown)


def _mailbox_page(found: Sequence[MailboxEntry], shown: MailboxEntry | None) -> Response:
    count = (
        "Nothing yet"
        if not found
        else f"{len(found)} message{'s' if len(found) > 1 else ''}, the newest first"
    )
    return page(
        "mailbox.html",
        style="sandbox.css",
        frames=True,
        count=f"The latest {MAX_LISTED_MESSAGES} messages" if len(found) == MAX_LISTED_MESSAGES else count,
        rows=[
            _message_row(one, current=shown is not None and one.message_id == shown.message_id)
            for one in found
        ],
        message=_message(shown) if shown else None,
    )


def _message_row(one: MailboxEntry, *, current: bool) -> dict[str, object]:
    at = _display_time(one)
    return {
        "message_id": one.message_id,
        "current": current,
        "channel": one.channel,
        "to": one.address,
        "instant": at.isoformat(),
        "when": f"{at:%d %b, %H:%M}",
        "subject": one.subject or one.preview.split("\n")[0],
        "preview": " ".join(one.preview.split()) if one.subject else "",
    }


def _message(one: MailboxEntry) -> dict[str, object]:
    facts = (("journey", one.journey), ("template", one.template), ("status", one.status))
    return {
        "subject": one.subject or _CHANNEL_LABELS.get(one.channel, one.channel),
        "to": one.address,
        "when": f"{_display_time(one):%A, %d %B %Y, %H:%M} UTC",
        "facts": [{"name": name, "value": value} for name, value in facts if value],
        "html": one.html or None,
        "text": one.text,
        # The pattern is one group, so that every second part is a link.
        "parts": [
            {"text": part, "is_link": n % 2 == 1} for n, part in enumerate(_URL_PATTERN.split(one.text))
        ],
    }


def _display_time(one: MailboxEntry) -> datetime:
    """By the run's clock, which may have travelled, as the customer would read it."""
    return one.decided_at or one.recorded_at
