"""Lists in pages: how many rows, and from where on."""

from typing import Annotated

from fastapi import Depends, Query

from api.problems import unprocessable
from profiles.history import Cursor

Limit = Annotated[int, Query(ge=1, le=200, description="Rows of a page")]


def _after(
    cursor: Annotated[str | None, Query(max_length=200, description="next_cursor of the page before")] = None,
) -> Cursor | None:
    """Where a page begins. Raises ``Problem`` 422 for what is no cursor."""
    try:
        return Cursor.read(cursor) if cursor else None
    except ValueError as error:
        raise unprocessable(f"cursor is {error}", ("cursor", str(error))) from None


After = Annotated[Cursor | None, Depends(_after)]
