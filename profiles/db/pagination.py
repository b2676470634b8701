"""What was sent, decided and run, newest first, page by page."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and where the next ones begin."""

    rows: list[Row]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: the next page begins below it."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        plain = f"{self.at.isoformat()}|{self.id}"
        return base64.urlsafe_b64encode(plain.encode()).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor that ``str`` wrote. Raises ValueError for anything else."""
        try:
            plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
            at, _, row_id = plain.partition("|")
            time = datetime.fromisoformat(at)
            if time.tzinfo is None:
                raise ValueError("no offset")
            return cls(time, UUID(row_id))
        except (binascii.Error, ValueError):
            raise ValueError("not a cursor; send next_cursor of the page before, as it came") from None


def cursor_parameters(after: Cursor | None) -> tuple[datetime | None, UUID | None]:
    return (after.at, after.id) if after else (None, None)


def to_page(rows: list[Row], limit: int, time_field: str, id_field: str) -> Page[Row]:
    """One row more than asked for was read: it tells whether there is a next page."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], str(Cursor(getattr(last, time_field), getattr(last, id_field))))
