"""The sandbox's mailbox: every message as its customer would see it. On a local stack, or for admins."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import Open, admin, doors
from api.http.outage import reading
from api.http.problems import not_found
from api.pages import page
from profiles.messaging.sandbox import Letter, letter, letters

MOST = 200
"""Messages in the list."""

_KINDS = {"sms": "Text message", "push": "App notification"}

_LINK = re.compile(r"(https?://[^\s<>\"]+[^\s<>\".,;:!?)])")


def _may_look(request: Request) -> None:
    """On a local stack anybody; elsewhere admins, since messages hold names and addresses."""
    if not doors(request).settings.waypost_local:
        admin(request)


router = APIRouter(prefix="/sandbox", tags=["Operation"], dependencies=[Depends(_may_look)])


@router.get("")
async def mailbox(doors: Open) -> Response:
    """The messages the sandbox delivered, the newest first and open."""

    async def read(connection: Any) -> tuple[list[Letter], Letter | None]:
        found = await letters(connection, MOST)
        return found, await letter(connection, found[0].message_id) if found else None

    return _mailbox(*await reading(doors.database, read))


@router.get("/{message_id}")
async def one_message(message_id: UUID, doors: Open) -> Response:
    """One message: a mail at a desk and on a phone, a text as a bubble."""

    async def read(connection: Any) -> tuple[list[Letter], Letter | None]:
        return await letters(connection, MOST), await letter(connection, message_id)

    found, shown = await reading(doors.database, read)
    if shown is None:
        raise not_found(f"the sandbox delivered no message {message_id}; GET /sandbox lists what it did")
    return _mailbox(found, shown)


def _mailbox(found: Sequence[Letter], shown: Letter | None) -> Response:
    count = (
        "Nothing yet"
        if not found
        else f"{len(found)} message{'s' if len(found) > 1 else ''}, the newest first"
    )
    return page(
        "mailbox.html",
        style="sandbox.css",
        frames=True,
        count=f"The latest {MOST} messages" if len(found) == MOST else count,
        rows=[_row(one, current=shown is not None and one.message_id == shown.message_id) for one in found],
        message=_message(shown) if shown else None,
    )


def _row(one: Letter, *, current: bool) -> dict[str, object]:
    at = _at(one)
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


def _message(one: Letter) -> dict[str, object]:
    facts = (("journey", one.journey), ("template", one.template), ("status", one.status))
    return {
        "subject": one.subject or _KINDS.get(one.channel, one.channel),
        "to": one.address,
        "when": f"{_at(one):%A, %d %B %Y, %H:%M} UTC",
        "facts": [{"name": name, "value": value} for name, value in facts if value],
        "html": one.html or None,
        "text": one.text,
        # The pattern is one group, so that every second part is a link.
        "parts": [{"text": part, "is_link": n % 2 == 1} for n, part in enumerate(_LINK.split(one.text))],
    }


def _at(one: Letter) -> datetime:
    """By the run's clock, which may have travelled, as the customer would read it."""
    return one.decided_at or one.recorded_at
