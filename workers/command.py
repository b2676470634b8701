"""The ``waypost`` command: every process and every tool of the project, one subcommand each."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from workers.faults import Fault, explanation
from workers.settings import ServerSettings, StackSettings, WorkerSettings
from workers.stack.data_directory import running_stack

app = typer.Typer(
    name="waypost",
    help="Customer journeys as durable Python. `waypost dev` starts everything on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


@app.command()
def dev() -> None:
    """Run a whole local stack (database, Temporal, API, relay, worker) until Ctrl-C."""
    with explained():
        from workers.stack.dev import run

        _finish(asyncio.run(run(StackSettings())))


@app.command()
def demo(
    serve: Annotated[bool, typer.Option("--serve", help="Stay up afterwards, to look around.")] = False,
    shoppers: Annotated[int | None, typer.Option("--shoppers", min=1, help="How many people shop.")] = None,
    as_json: Json = False,
) -> None:
    """Run a local stack with a shop's traffic on it, and sum up what was sent and what was not."""
    with explained():
        from workers.demo.main import run

        options = {} if shoppers is None else {"shoppers": shoppers}
        _finish(asyncio.run(run(serve=serve, as_json=as_json, **options)))


@app.command()
def api() -> None:
    """Run the HTTP API."""
    with explained():
        from api.app import create_app
        from api.settings import ApiSettings, SettingsFault
        from workers.logs import configure
        from workers.server import serve

        configure(local=WorkerSettings().waypost_local)
        settings = ApiSettings()
        try:
            application = create_app(settings)
        except SettingsFault as fault:
            raise Fault(str(fault)) from fault
        serve(application, ServerSettings())
        _finish(0)


@app.command()
def worker() -> None:
    """Run the journey worker."""
    with explained():
        from workers.worker import run

        _run_process(run)


@app.command()
def relay() -> None:
    """Run the relay, which delivers accepted events to Temporal."""
    with explained():
        from workers.relay import run

        _run_process(run)


@app.command()
def migrate() -> None:
    """Bring the database schema to this version. Safe to run at any time, by several at once."""
    with explained():
        from sqlalchemy.exc import SQLAlchemyError

        from profiles.migrate import current, upgrade

        _find_local_stack()
        url = WorkerSettings().database_url
        try:
            upgrade(url)
            revision, _ = current(url)
        except (OSError, SQLAlchemyError, ValueError) as error:
            raise Fault(f"the database cannot be migrated: {error}\nCheck DATABASE_URL.") from error
        typer.echo(f"The database is at revision {revision}.")
        _finish(0)


@app.command()
def ingest(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file of real events.")],
    format: Annotated[str, typer.Option("--format", help="rees46 or segment.")],
    as_live: Annotated[bool, typer.Option("--as-live", help="Shift the times so that they end now.")] = False,
) -> None:
    """Send a file of events through the API. Historical: they start no run, unless --as-live."""
    with explained():
        from workers.ingest_file import run

        _find_local_stack()
        _finish(asyncio.run(run(file, format=format, as_live=as_live)))


@app.command("fast-forward")
def fast_forward(
    run_id: Annotated[str, typer.Argument(help="Ours, as in GET /v1/runs.")],
    length: Annotated[str, typer.Argument(metavar="DURATION", help="How far, such as 3d, 2h30m or 45m.")],
) -> None:
    """Move one run's clock forward (local stack only)."""
    with explained():
        from workers.travel import duration, fast_forward_run

        by = duration(length)
        _find_local_stack()
        typer.echo(asyncio.run(fast_forward_run(WorkerSettings(), run_id, by)))
        _finish(0)


@app.command()
def doctor() -> None:
    """Check settings, database, migrations, Temporal and providers; say what to do about each."""
    with explained():
        from workers.doctor import examine

        local = _find_local_stack()
        findings = asyncio.run(examine())
        if local:
            typer.echo("A local stack runs here; these are its settings.")
        for finding in findings:
            typer.echo(finding.line())
        _finish(0 if all(finding.ok for finding in findings) else 1)


@app.command()
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
        _finish(0)


@app.command()
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
        _finish(asyncio.run(told))


@app.command()
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
            _finish(compare(settings, only=journey or (), record=record, as_json=as_json))
        _find_local_stack()
        _finish(asyncio.run(run(WorkerSettings(), only=journey or (), limit=limit, as_json=as_json)))


class New(StrEnum):
    """What can be made anew."""

    JOURNEY = "journey"


@app.command()
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
        _finish(0)


@contextlib.contextmanager
def explained(code: int = 1) -> Iterator[None]:
    """Turn what a user can mend into one clear message and this exit code, without a traceback."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        message = explanation(error)
        if message is None:
            raise
        typer.echo(message, err=True)
        _finish(code)


def _run_process(run: Callable[[WorkerSettings], Coroutine[Any, Any, None]]) -> NoReturn:
    """Run one of Waypost's own processes until it is told to stop."""
    from profiles.database import async_url
    from workers.logs import configure

    settings = WorkerSettings()
    configure(local=settings.waypost_local)
    try:
        async_url(settings.database_url)
    except ValueError as error:
        raise Fault(str(error)) from error
    asyncio.run(run(settings))
    _finish(0)


def _find_local_stack() -> bool:
    """Let a tool find the stack that runs on this data directory; what the user has set stays as set."""
    found = running_stack(StackSettings().waypost_data_dir)
    for name, value in (found or {}).items():
        os.environ.setdefault(name, value)
    return found is not None


def _finish(code: int) -> NoReturn:
    """End at once with this exit code: the Temporal SDK may crash in an orderly end of a short process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Entry point of the ``waypost`` script."""
    app()


if __name__ == "__main__":
    main()
