"""What ``waypost consents`` does: list doubtful replies, and add an operator's word to the ledger."""

from collections.abc import Sequence

import orjson

from cli.database import current_actor, open_database
from cli.tables import build_table, format_instant, render_text
from profiles.consent.review import (
    DoubtfulReply,
    ReviewResult,
    annul_opt_out,
    confirm_opt_out,
    list_doubtful_replies,
)


async def list_replies(*, limit: int, as_json: bool) -> str:
    """What to print of the replies that wait for somebody. Raises ``Fault``."""
    async with open_database() as database:
        page = await database.run(lambda connection: list_doubtful_replies(connection, limit=limit))
    if as_json:
        return orjson.dumps({"replies": page.rows}, str, orjson.OPT_INDENT_2).decode()
    return format_replies(page.rows)


async def keep_reply(entry_id: int, *, as_json: bool) -> str:
    """Let an opt-out stand. Raises ``Fault``."""
    async with open_database() as database:
        reviewed = await confirm_opt_out(database, entry_id, actor=current_actor())
    return _format_result(
        reviewed, f"Reply {entry_id} stays an opt-out (entry {reviewed.entry_id}).", as_json
    )


async def restore_reply(entry_id: int, *, as_json: bool) -> str:
    """Take an opt-out back that was none. Raises ``Fault``."""
    async with open_database() as database:
        reviewed = await annul_opt_out(database, entry_id, actor=current_actor())
    said = f"Reply {entry_id} is no opt-out any more (entry {reviewed.entry_id}); what stood before stands."
    return _format_result(reviewed, said, as_json)


def format_replies(found: Sequence[DoubtfulReply]) -> str:
    """The replies as a table."""
    if not found:
        return "No reply waits for a review."
    rows = [(str(one.entry_id), one.address, one.text, format_instant(one.at), one.done) for one in found]
    return render_text(build_table("To review", ("id", "from", "text", "at", "done"), rows)).rstrip("\n")


def _format_result(reviewed: ReviewResult, said: str, as_json: bool) -> str:
    return orjson.dumps(reviewed, str, orjson.OPT_INDENT_2).decode() if as_json else said
