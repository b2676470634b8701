"""``waypost consents``: look at replies that may have meant an opt-out, and say what they meant."""

import asyncio
from typing import Annotated

import typer

from workers.exits import explained, find_local_stack, finish

consents = typer.Typer(
    name="consents",
    help="Replies that may have meant an opt-out: they count as one until somebody says otherwise.",
    no_args_is_help=True,
)

Entry = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="As review lists it.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@consents.command()
def review(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 200,
    as_json: Json = False,
) -> None:
    """List the replies that opted somebody out and that nobody has looked at, the newest first."""
    with explained():
        from workers.consents.reviewing import list_replies

        find_local_stack()
        typer.echo(asyncio.run(list_replies(limit=limit, as_json=as_json)))
        finish(0)


@consents.command()
def keep(entry_id: Entry, as_json: Json = False) -> None:
    """Say that a reply did mean an opt-out: it stays, and is listed no more."""
    with explained():
        from workers.consents.reviewing import keep_reply

        find_local_stack()
        typer.echo(asyncio.run(keep_reply(entry_id, as_json=as_json)))
        finish(0)


@consents.command()
def restore(entry_id: Entry, as_json: Json = False) -> None:
    """Say that a reply meant something else: what stood before it stands again."""
    with explained():
        from workers.consents.reviewing import restore_reply

        find_local_stack()
        typer.echo(asyncio.run(restore_reply(entry_id, as_json=as_json)))
        finish(0)
