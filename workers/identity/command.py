"""``waypost identity``: see who a person is and why, take wrongly joined people apart, and mend that."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workers.exits import explained, find_local_stack, finish

identity = typer.Typer(
    name="identity",
    help="Who a person is and why; take people apart who were wrongly joined, and mend that.",
    no_args_is_help=True,
)

Type = Annotated[str, typer.Argument(metavar="TYPE", help="Such as email, user_id or phone.")]
Value = Annotated[str, typer.Argument(metavar="VALUE", help="The identifier, in any spelling.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the log for good.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


class Format(StrEnum):
    """What ``show`` can print."""

    TABLE = "table"
    JSON = "json"
    MERMAID = "mermaid"
    SVG = "svg"


@identity.command()
def show(
    type: Type,
    value: Value,
    format: Annotated[Format, typer.Option("--format", help="As what.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it to a file.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="A picture shows whole values; they are shortened by default.")
    ] = False,
) -> None:
    """Show what joined a person's identifiers, and what was refused and why."""
    with explained():
        from workers.identity.showing import show_identity, write

        find_local_stack()
        shown = asyncio.run(show_identity(type, value, format=format.value, full=full))
        if out is None:
            typer.echo(shown, nl=False)
        else:
            write(shown, out)
            typer.echo(f"{out}: written")
        finish(0)


@identity.command()
def unmerge(
    type: Type,
    value: Value,
    other: Annotated[
        tuple[str, str],
        typer.Option("--from", metavar="TYPE VALUE", help="The identifier of the other person."),
    ],
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Cut two identifiers apart that are not one person's. Says first what will come apart, and asks."""
    with explained():
        from workers.identity.parting import cut_apart, in_words, look_ahead
        from workers.identity.tables import coming_apart

        find_local_stack()
        ahead = asyncio.run(look_ahead((type, value), other))
        if not yes:
            typer.echo(coming_apart(ahead.apart), err=as_json)
            _ask("Cut them apart?")
        parted = asyncio.run(cut_apart(ahead, reason=reason))
        typer.echo(parted.json() if as_json else in_words(parted))
        finish(0)


@identity.command()
def mend(
    cut_id: Annotated[int, typer.Argument(metavar="CUT_ID", min=1, help="As unmerge and show say it.")],
    reason: Reason = "by hand",
    as_json: Json = False,
) -> None:
    """Lift a cut again: the two are joined once more if their events still say so."""
    with explained():
        from workers.identity.parting import in_words, mend_cut

        find_local_stack()
        mended = asyncio.run(mend_cut(cut_id, reason=reason))
        typer.echo(mended.json() if as_json else in_words(mended))
        finish(0)


@identity.command()
def release(type: Type, value: Value, reason: Reason, as_json: Json = False) -> None:
    """Say that a quarantined identifier is somebody's after all; it is never quarantined again."""
    with explained():
        from workers.identity.parting import in_words, release_identifier

        find_local_stack()
        released = asyncio.run(release_identifier((type, value), reason=reason))
        typer.echo(released.json() if as_json else in_words(released))
        finish(0)


@identity.command()
def quarantined(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 200,
    as_json: Json = False,
) -> None:
    """List the identifiers that so many people share that they are nobody's."""
    with explained():
        from workers.identity.showing import list_quarantined

        find_local_stack()
        typer.echo(asyncio.run(list_quarantined(limit=limit, as_json=as_json)))
        finish(0)


def _ask(question: str) -> None:
    """Go on only after a yes."""
    try:
        said = typer.confirm(question)
    except typer.Abort:
        typer.echo("\nNothing was changed: nobody answered. Add --yes where nobody can.", err=True)
        finish(1)
    if not said:
        typer.echo("Nothing was changed.", err=True)
        finish(1)
