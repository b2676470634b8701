"""Keyset pagination: pages of rows, newest first, and the cursor of the next page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from profiles.db.sql import decode_base64url, encode_base64url

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and the cursor of the next page; None on the last page."""

    rows: list[Row]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Time and id of the last row of a page. The next page begins after it."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        return encode_base64url(f"{self.at.isoformat()}|{self.id}".encode())

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Parse what ``str`` wrote. Raises ValueError for any other text."""
        try:
            at, _, row_id = decode_base64url(text).decode().partition("|")
            time = datetime.fromisoformat(at)
            if time.tzinfo is None:
                raise ValueError("no offset")
            return cls(time, UUID(row_id))
        except ValueError:
            raise ValueError("not a cursor; send next_cursor of the page before, as it came") from None


def cursor_parameters(after: Cursor | None) -> tuple[datetime | None, UUID | None]:
    """Return time and id of a cursor as SQL parameters; two NULLs for the first page."""
    return (after.at, after.id) if after else (None, None)


def to_page(rows: list[Row], limit: int, time_field: str, id_field: str) -> Page[Row]:
    """Make a page of up to ``limit`` + 1 rows; the additional one shows that there is a next page."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], str(Cursor(getattr(last, time_field), getattr(last, id_field))))
