"""What ``waypost consents`` does: list doubtful replies, and add an operator's word to the ledger."""

from collections.abc import Sequence

import orjson

from cli.database import actor, facts
from cli.tables import instant, printed, table
from profiles.consent.review import DoubtfulReply, Reviewed, keep, restore, to_review


async def list_replies(*, limit: int, as_json: bool) -> str:
    """What to print of the replies that wait for somebody. Raises ``Fault``."""
    async with facts() as database:
        page = await database.run(lambda connection: to_review(connection, limit=limit))
    if as_json:
        return orjson.dumps({"replies": page.rows}, str, orjson.OPT_INDENT_2).decode()
    return of_replies(page.rows)


async def keep_reply(entry_id: int, *, as_json: bool) -> str:
    """Let an opt-out stand. Raises ``Fault``."""
    async with facts() as database:
        reviewed = await keep(database, entry_id, actor=actor())
    return _told(reviewed, f"Reply {entry_id} stays an opt-out (entry {reviewed.entry_id}).", as_json)


async def restore_reply(entry_id: int, *, as_json: bool) -> str:
    """Take an opt-out back that was none. Raises ``Fault``."""
    async with facts() as database:
        reviewed = await restore(database, entry_id, actor=actor())
    said = f"Reply {entry_id} is no opt-out any more (entry {reviewed.entry_id}); what stood before stands."
    return _told(reviewed, said, as_json)


def of_replies(found: Sequence[DoubtfulReply]) -> str:
    """The replies as a table."""
    if not found:
        return "No reply waits for a review."
    rows = [(str(one.entry_id), one.address, one.text, instant(one.at), one.done) for one in found]
    return printed(table("To review", ("id", "from", "text", "at", "done"), rows)).rstrip("\n")


def _told(reviewed: Reviewed, said: str, as_json: bool) -> str:
    return orjson.dumps(reviewed, str, orjson.OPT_INDENT_2).decode() if as_json else said
