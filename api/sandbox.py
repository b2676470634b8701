"""The sandbox's mailbox: every message as its customer would see it. On a local stack, or for admins."""

import re
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api.doors import Open, admin, doors
from api.outage import reading
from api.pages import Markup, fill, page
from api.problems import not_found
from profiles.mailbox import Letter, letter, letters

MOST = 200
"""Messages in the list."""

_KINDS = {"sms": "Text message", "push": "App notification"}
_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)]")


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
    body = fill(
        "mailbox.html",
        count=f"The latest {MOST} messages" if len(found) == MOST else count,
        rows=Markup("\n".join(_row(one, current=shown is not None and one.message_id == shown.message_id)
                              for one in found)),
        letter=_letter(shown) if shown else fill("empty.html"),
    )  # fmt: skip
    return page("Sandbox", body, style="sandbox.css", frames=True)


def _row(one: Letter, *, current: bool) -> Markup:
    at = _at(one)
    return fill(
        "mailbox_row.html",
        message_id=str(one.message_id),
        current=Markup('aria-current="true"') if current else "",
        channel=one.channel,
        to=one.address,
        instant=at.isoformat(),
        when=f"{at:%d %b, %H:%M}",
        subject=one.subject or one.preview.split("\n")[0],
        preview=" ".join(one.preview.split()) if one.subject else "",
    )


def _letter(one: Letter) -> Markup:
    when = f"{_at(one):%A, %d %B %Y, %H:%M} UTC"
    if one.html:
        # Links open beside the mailbox; the frame itself can run nothing and go nowhere.
        views = fill("mail_views.html", srcdoc='<base target="_blank">' + one.html)
    else:
        views = fill("sms_view.html", when=when, bubble=_linked(one.text))
    facts = (("journey", one.journey), ("template", one.template), ("status", one.status))
    return fill(
        "letter.html",
        subject=one.subject or _KINDS.get(one.channel, one.channel),
        to=one.address,
        when=when,
        facts=Markup("".join(fill("fact.html", name=name, value=value) for name, value in facts if value)),
        views=views,
        text=one.text,
    )


def _at(one: Letter) -> datetime:
    """By the run's clock, which may have travelled, as the customer would read it."""
    return one.decided_at or one.recorded_at


def _linked(text: str) -> Markup:
    """Text with its links to follow, as a phone shows them."""
    made, start = [], 0
    for found in _LINK.finditer(text):
        link = escape(found[0])
        made += [
            escape(text[start : found.start()]),
            f'<a href="{link}" target="_blank" rel="noreferrer">{link}</a>',
        ]
        start = found.end()
    return Markup("".join([*made, escape(text[start:])]))
