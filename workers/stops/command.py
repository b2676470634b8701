"""``waypost stop``, ``resume`` and ``stops``: keep messages from going out, now, on every worker."""

import asyncio
from typing import Annotated

import typer

from policy.stop import StopKind
from workers.exits import explained, find_local_stack, finish

stopping = typer.Typer()

Kind = Annotated[StopKind, typer.Argument(metavar="KIND", help="channel, journey, template or all.")]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Such as sms, win-back or cart_offer; none for all.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the log for good.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@stopping.command()
def stop(kind: Kind, name: Name = "", reason: Reason = "by hand", as_json: Json = False) -> None:
    """Stop a channel, a journey, a template, or all. In force at once; what is due waits."""
    _switch(kind, name, reason, as_json, on=True)


@stopping.command()
def resume(kind: Kind, name: Name = "", reason: Reason = "by hand", as_json: Json = False) -> None:
    """Let it send again; messages that wait pass the whole gate first."""
    _switch(kind, name, reason, as_json, on=False)


def _switch(kind: StopKind, name: str, reason: str, as_json: bool, *, on: bool) -> None:
    with explained():
        from workers.stops.switching import as_text, switch_off, switch_on

        find_local_stack()
        done = asyncio.run((switch_on if on else switch_off)(kind, name, reason=reason))
        typer.echo(done.model_dump_json() if as_json else as_text(done))
        finish(0)


@stopping.command()
def stops(as_json: Json = False) -> None:
    """List what is stopped, since when, why and by whom."""
    with explained():
        from workers.stops.switching import list_stops

        find_local_stack()
        typer.echo(asyncio.run(list_stops(as_json=as_json)), nl=False)
        finish(0)
