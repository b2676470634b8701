"""What ``waypost identity show`` and ``quarantined`` do: read, and put into words, tables or a picture."""

from pathlib import Path
from typing import Any

import orjson

from api.d2 import DrawingError
from api.identity_picture.mermaid import mermaid
from api.identity_picture.svg import svg
from profiles.identifiers import split_key
from profiles.identity_quarantine import quarantined
from profiles.identity_view import IdentityView, identity_of
from profiles.identity_wishes import Unknown
from profiles.people import find
from workers.faults import Fault
from workers.identity.reaching import facts, spelled
from workers.identity.tables import of_person, of_quarantine


async def show_identity(kind: str, value: str, *, format: str, full: bool) -> str:
    """The identity of the person behind an identifier, as text. Raises ``Fault``."""
    key = spelled(kind, value)

    async def read(connection: Any) -> IdentityView:
        profile_id = await find(connection, *split_key(key))
        if profile_id is None:
            raise Unknown(f"nobody has {key}; check its spelling, or send an event that names it")
        return await identity_of(connection, profile_id)

    async with facts() as database:
        return _as(format, await database.run(read), full)


def write(text: str, to: Path) -> None:
    """Into a file; one that is there already is replaced. Raises ``Fault``."""
    try:
        to.write_text(text, "utf-8")
    except OSError as error:
        said = f"{to} cannot be written: {error.strerror}; name a file in a folder that exists"
        raise Fault(said) from error


async def list_quarantined(*, limit: int, as_json: bool) -> str:
    """What to print of the identifiers that are nobody's. Raises ``Fault``."""
    async with facts() as database:
        found = await database.run(lambda connection: quarantined(connection, limit=limit))
    if as_json:
        return orjson.dumps({"quarantined": found}, str, orjson.OPT_INDENT_2).decode()
    return of_quarantine(found)


def _as(format: str, view: IdentityView, full: bool) -> str:
    match format:
        case "json":
            return orjson.dumps(view, str, orjson.OPT_INDENT_2).decode() + "\n"
        case "mermaid":
            return mermaid(view, full=full)
        case "svg":
            try:
                return svg(view, full=full)
            except DrawingError as error:
                raise Fault(str(error)) from error
    return of_person(view)
