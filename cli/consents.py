"""``waypost consents``: list doubtful replies, and record an operator's review in the consent ledger."""

from collections.abc import Sequence

from cli.database import current_actor, open_database
from cli.tables import build_table, render_text, to_json
from profiles.consent.review import (
    DoubtfulReply,
    annul_opt_out,
    confirm_opt_out,
    list_doubtful_replies,
)


async def list_replies(*, limit: int, as_json: bool) -> str:
    """Return the replies that wait for a review, as a table or as JSON. Raises ``UserError``."""
    async with open_database() as database:
        page = await database.run(lambda connection: list_doubtful_replies(connection, limit=limit))
    if as_json:
        return to_json({"replies": page.rows})
    return format_replies(page.rows)


async def review_reply(entry_id: int, *, restore: bool, as_json: bool) -> str:
    """Confirm that a reply is an opt-out, or annul it (``restore``); returns the text to print.

    Raises ``UserError``.
    """
    record = annul_opt_out if restore else confirm_opt_out
    async with open_database() as database:
        reviewed = await record(database, entry_id, actor=current_actor())
    if as_json:
        return to_json(reviewed)
    if restore:
        entry = reviewed.entry_id
        return f"Reply {entry_id} is no opt-out any more (entry {entry}); what stood before stands."
    return f"Reply {entry_id} stays an opt-out (entry {reviewed.entry_id})."


def format_replies(found: Sequence[DoubtfulReply]) -> str:
    """Return the replies as a table."""
    if not found:
        return "No reply waits for a review."
    rows = ((reply.entry_id, reply.address, reply.text, reply.at, reply.done) for reply in found)
    return render_text(build_table("To review", ("id", "from", "text", "at", "done"), rows)).rstrip("\n")
