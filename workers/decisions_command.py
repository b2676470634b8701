"""``waypost decisions``: make recorded decisions once more, and see whether they come out the same."""

import asyncio
from typing import Annotated

import typer

from workers.exits import explained, find_local_stack, finish

decisions = typer.Typer(
    name="decisions", help="Make recorded decisions of the send gate once more.", no_args_is_help=True
)


@decisions.callback()
def _group() -> None:
    """Keep ``replay`` a word of its own, though it is the only one."""


@decisions.command()
def replay(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DURATION", help="Only those of so long ago, such as 2h or 7d."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Decide again, by this code, on what each recorded decision stood on and by the policy it names.

    Lists those that come out otherwise, and ends with 1 when there are any. Reads only.
    """
    with explained():
        from workers.replaying import in_words, replayed
        from workers.travel import duration

        length = None if since is None else duration(since)
        find_local_stack()
        outcome = asyncio.run(replayed(length))
        typer.echo(outcome.json() if as_json else in_words(outcome))
        finish(1 if outcome.flipped else 0)
