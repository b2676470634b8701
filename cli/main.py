"""Entry point of the ``waypost`` command: the processes, and the commands for data and operation.

The other commands are in ``cli.commands``. The order of definitions is the order in `waypost --help`.
"""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.commands import (
    address_app,
    authoring_app,
    consents_app,
    decisions_app,
    identity_app,
    kill_switch_app,
    policy_app,
    runs_app,
)
from cli.exits import command, exit_now, use_local_stack
from workers.errors import UserError
from workers.settings import ServerSettings, StackSettings, WorkerSettings

app = typer.Typer(
    name="waypost",
    help="Customer journeys as durable Python. `waypost dev` starts everything on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


@command(app)
def dev() -> None:
    """Run a whole local stack (database, Temporal, API, relay, worker) until Ctrl-C."""
    from local.dev import run_dev_stack

    exit_now(asyncio.run(run_dev_stack(StackSettings())))


@command(app)
def demo(
    serve: Annotated[bool, typer.Option("--serve", help="Keep the stack running afterwards.")] = False,
    shoppers: Annotated[int | None, typer.Option("--shoppers", min=1, help="Number of shoppers.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a shop's simulated traffic on a local stack, and summarise what was sent and what was not."""
    from local.demo.main import run_demo

    options = {} if shoppers is None else {"shoppers": shoppers}
    exit_now(asyncio.run(run_demo(serve=serve, as_json=as_json, **options)))


@command(app)
def api() -> None:
    """Run the HTTP API."""
    from api.app import create_app
    from api.settings import ApiSettings, InvalidSettings
    from workers.process import configure_logging
    from workers.server import serve_app

    process = WorkerSettings()
    configure_logging(local=process.waypost_local, level=process.waypost_log_level)
    settings = ApiSettings()
    try:
        application = create_app(settings)
    except InvalidSettings as fault:
        raise UserError(str(fault)) from fault
    serve_app(application, ServerSettings())


@command(app)
def worker() -> None:
    """Run the journey worker."""
    from workers.worker import run_worker_process

    _run_process(run_worker_process)


@command(app)
def relay() -> None:
    """Run the relay, which delivers accepted events to Temporal."""
    from workers.relay import run_relay_process

    _run_process(run_relay_process)


@command(app, local_stack=True)
def migrate(
    app_role: Annotated[
        str | None,
        typer.Option(
            "--app-role",
            metavar="NAME",
            help="Let this Postgres role run Waypost without changing its ledgers; created if missing.",
        ),
    ] = None,
) -> None:
    """Upgrade the database schema to this version. Safe to run at any time, also concurrently."""
    from sqlalchemy.exc import SQLAlchemyError

    from cli.database import grant_app_role
    from profiles.db.migrate import schema_revisions, upgrade_schema

    settings = WorkerSettings()
    url = settings.database_url
    try:
        asyncio.run(upgrade_schema(url))
        revision, _ = asyncio.run(schema_revisions(url))
        let_run = grant_app_role(url, app_role, settings.database_app_password) if app_role else ""
    except (OSError, SQLAlchemyError, ValueError) as error:
        raise UserError(f"the database cannot be migrated: {error}\nCheck DATABASE_URL.") from error
    typer.echo(f"The database is at revision {revision}.{let_run}")


@command(app, local_stack=True)
def ingest(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file of real events.")],
    format: Annotated[str, typer.Option("--format", help="rees46 or segment.")],
    as_live: Annotated[
        bool, typer.Option("--as-live", help="Shift the times so that the last event is now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Send a file of events through the API. Unless --as-live, they are historical and start no run.

    A line that cannot be read, or is refused, is reported with its number; the others are sent. The exit
    code is then 1.
    """
    from cli.ingest.main import replay_file

    exit_now(asyncio.run(replay_file(file, format=format, as_live=as_live, as_json=as_json)))


@command(app, "fast-forward", local_stack=True)
def fast_forward(
    run_id: Annotated[str, typer.Argument(help="Waypost's id of the run, as in GET /v1/runs.")],
    length: Annotated[str, typer.Argument(metavar="DURATION", help="How far, such as 3d, 2h30m or 45m.")],
) -> None:
    """Move one run's clock forward (local stack only)."""
    from local.time_travel import fast_forward_run, parse_duration

    by = parse_duration(length)
    typer.echo(asyncio.run(fast_forward_run(WorkerSettings(), run_id, by)))


@command(app, local_stack=True)
def why(
    customer: Annotated[
        str,
        typer.Argument(
            metavar="CUSTOMER", help="type:value, a bare email, phone or user_id, or a profile_id."
        ),
    ],
    journey: Annotated[str | None, typer.Option("--journey", help="Only this journey.")] = None,
    item: Annotated[str | None, typer.Option("--item", help="Only this item, in any variant.")] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="The time in question, such as 2026-11-21T20:00."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Explain why a customer was sent a message or was not, with the facts that led to it."""
    from cli.why import answer_why

    typer.echo(
        asyncio.run(answer_why(customer, journey=journey, item=item, at=at, as_json=as_json)), nl=False
    )


@command(app)
def doctor() -> None:
    """Check settings, database, migrations, Temporal and providers, and advise on each fault."""
    from cli.doctor import examine_installation

    local = use_local_stack()
    findings = asyncio.run(examine_installation())
    if local:
        typer.echo("A local stack runs here; these are its settings.")
    for finding in findings:
        typer.echo(finding.format_line())
    exit_now(0 if all(finding.ok for finding in findings) else 1)


@command(app)
def alive(
    working: Annotated[
        bool,
        typer.Option("--working", help="Also fail if it cannot do its work, such as while Temporal is away."),
    ] = False,
) -> None:
    """Check that the relay or worker that writes WAYPOST_HEARTBEAT_FILE makes progress. For health checks."""
    from workers.heartbeat import read_heartbeat

    file = WorkerSettings().waypost_heartbeat_file
    if file is None:
        raise UserError(
            "WAYPOST_HEARTBEAT_FILE is not set: set it to the same file for the relay or worker and for this "
            "command, such as /tmp/waypost-heartbeat; one file for each process"
        )
    vitals = read_heartbeat(file)
    problems = vitals.faults + (vitals.troubles if working else ())
    for problem in problems:
        typer.echo(f"{vitals.process}: {problem}")
    if not problems:
        typer.echo(f"{vitals.process}: makes progress")
    exit_now(1 if problems else 0)


def _run_process(run: Callable[[WorkerSettings], Coroutine[Any, Any, None]]) -> None:
    from profiles.db.database import async_url
    from workers.process import configure_logging

    settings = WorkerSettings()
    configure_logging(local=settings.waypost_local, level=settings.waypost_log_level)
    try:
        async_url(settings.database_url)
    except ValueError as error:
        raise UserError(str(error)) from error
    asyncio.run(run(settings))


def main() -> None:
    """Entry point of the ``waypost`` script."""
    # Nearly all objects of a start are modules, which stay: looking for garbage takes a sixth of its time.
    gc.set_threshold(50_000)
    app()


for _group in (
    authoring_app,
    identity_app,
    policy_app,
    decisions_app,
    kill_switch_app,
    consents_app,
    address_app,
    runs_app,
):
    app.add_typer(_group)

if __name__ == "__main__":
    main()
