"""The subcommands for authors: draw a journey, tell one, make one, and see what a change would break."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workers.exits import explained, find_local_stack, finish
from workers.settings import WorkerSettings

authoring = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@authoring.command()
def graph(
    journey: Annotated[str, typer.Argument(help="Its name, such as cart-abandonment.")],
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into an SVG file.")
    ] = None,
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print Mermaid text; so it does by default.")
    ] = False,
) -> None:
    """Draw a journey from its code: what it waits for, sends, and ends as."""
    with explained():
        from workers.graph.main import draw

        typer.echo(draw(journey, WorkerSettings().journey_modules, to=svg, as_mermaid=mermaid))
        finish(0)


@authoring.command()
def preview(
    journey: Annotated[str, typer.Argument(help="Its name, such as cart-abandonment.")],
    scenario: Annotated[
        Path | None, typer.Argument(help="YAML, or Python; preview.yaml beside the story by default.")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Look at it in the browser.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the page.")] = None,
    as_json: Json = False,
) -> None:
    """Tell what one shopper does, on virtual time: what is sent, what is withheld and why. Sends nothing."""
    with explained():
        from workers.preview.main import run

        modules = WorkerSettings().journey_modules
        told = run(journey, modules, scenario=scenario, html=html, open_it=open_it, as_json=as_json)
        finish(asyncio.run(told))


@authoring.command()
def check(
    journey: Annotated[list[str] | None, typer.Option("--journey", help="Only this one; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the newest so many runs.")] = None,
    shapes: Annotated[bool, typer.Option("--shapes", help="Compare recorded shapes; no server.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Record the shapes of the stories anew.")] = False,
    as_json: Json = False,
) -> None:
    """Say before a deploy which open runs the journeys of this working tree would break. Reads only."""
    with explained(code=2):
        from workers.check.main import run
        from workers.check.recorded import run as compare

        settings = WorkerSettings()
        if shapes or record:
            finish(compare(settings, only=journey or (), record=record, as_json=as_json))
        find_local_stack()
        finish(asyncio.run(run(WorkerSettings(), only=journey or (), limit=limit, as_json=as_json)))


class New(StrEnum):
    """What can be made anew."""

    JOURNEY = "journey"


@authoring.command()
def new(
    what: Annotated[New, typer.Argument(help="journey")],
    name: Annotated[str, typer.Argument(help="Its name, such as price-drop.")],
    package: Annotated[
        Path | None,
        typer.Option("--package", metavar="PATH", help="Into a package of your own instead of this clone."),
    ] = None,
) -> None:
    """Make a journey to begin from: `waypost new journey price-drop`. Never overwrites a file."""
    with explained():
        from workers.new_journey.main import create

        modules = WorkerSettings().journey_modules
        typer.echo(create(name, modules, package=package, folder=Path.cwd()))
        finish(0)
