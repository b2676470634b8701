"""Subcommands of ``waypost`` by group: identity, authoring, policy, decisions, consents, stops and runs.

The commands of processes and data are in ``cli.main``. Commands import what they need when they are called,
so that `waypost --help` stays fast.
"""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.exits import command, exit_now
from policy.facts import StopKind
from workers.errors import UserError
from workers.settings import WorkerSettings

identity_app = typer.Typer(
    name="identity",
    help="Show the identity of a profile; split a wrongly merged profile, or undo a split.",
    no_args_is_help=True,
)

IdentifierTypeArgument = Annotated[
    str, typer.Argument(metavar="TYPE", help="Type of the identifier, such as email, user_id or phone.")
]

IdentifierValueArgument = Annotated[
    str, typer.Argument(metavar="VALUE", help="The identifier, in any spelling.")
]

ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="The reason; kept in the log permanently.")
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


class OutputFormat(StrEnum):
    """Output formats of ``waypost identity show``."""

    TABLE = "table"
    JSON = "json"
    MERMAID = "mermaid"
    SVG = "svg"


@command(identity_app, "show", local_stack=True)
def identity_show(
    type: IdentifierTypeArgument,
    value: IdentifierValueArgument,
    format: Annotated[OutputFormat, typer.Option("--format", help="Output format.")] = OutputFormat.TABLE,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to a file.")] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Show complete values in a diagram; they are shortened by default."),
    ] = False,
) -> None:
    """Show a profile's identifiers, what joined them, and which links were refused and why."""
    from cli.identity import show_identity, write_file

    output = asyncio.run(show_identity(type, value, format=format.value, full=full))
    if out is None:
        typer.echo(output, nl=False)
    else:
        write_file(output, out)
        typer.echo(f"{out}: written")


@command(identity_app, local_stack=True)
def unmerge(
    type: IdentifierTypeArgument,
    value: IdentifierValueArgument,
    other: Annotated[
        tuple[str, str],
        typer.Option("--from", metavar="TYPE VALUE", help="The identifier of the other profile."),
    ],
    reason: ReasonOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Split a profile: cut two identifiers apart. Prints the parts first and asks for confirmation."""
    from cli.identity import apply_cut, format_cut_preview, format_result, plan_cut

    plan = asyncio.run(plan_cut((type, value), other))
    if not yes:
        typer.echo(format_cut_preview(plan.preview), err=as_json)
        _confirm_or_exit("Cut them apart?")
    result = asyncio.run(apply_cut(plan, reason=reason))
    typer.echo(result.to_json() if as_json else format_result(result))


@command(identity_app, local_stack=True)
def mend(
    cut_id: Annotated[
        int, typer.Argument(metavar="CUT_ID", min=1, help="Id of the cut, as unmerge and show print it.")
    ],
    reason: ReasonOption = "by hand",
    as_json: JsonOption = False,
) -> None:
    """Undo a cut: the identifiers are joined again if their events still link them."""
    from cli.identity import format_result, lift_cut

    result = asyncio.run(lift_cut(cut_id, reason=reason))
    typer.echo(result.to_json() if as_json else format_result(result))


@command(identity_app, local_stack=True)
def release(
    type: IdentifierTypeArgument,
    value: IdentifierValueArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Release an identifier from quarantine; it is never quarantined again."""
    from cli.identity import format_result, release_identifier

    result = asyncio.run(release_identifier((type, value), reason=reason))
    typer.echo(result.to_json() if as_json else format_result(result))


@command(identity_app, local_stack=True)
def quarantined(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Maximum number of rows.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """List the quarantined identifiers: shared by so many profiles that they identify none."""
    from cli.identity import list_quarantined

    typer.echo(asyncio.run(list_quarantined(limit=limit, as_json=as_json)))


def _confirm_or_exit(question: str) -> None:
    try:
        confirmed = typer.confirm(question)
    except typer.Abort:
        typer.echo("\nNothing was changed: there was no answer. Without a terminal, add --yes.", err=True)
        exit_now(1)
    if not confirmed:
        typer.echo("Nothing was changed.", err=True)
        exit_now(1)


authoring_app = typer.Typer()

_NO_SHAPES = (
    "--shapes and --record no longer exist: Waypost no longer records the shape of a story.\n"
    "Before a deploy, run `waypost check` against the live server. In CI, replay recorded histories "
    "in tests (temporalio.worker.Replayer).\n"
    "Delete the files named *.shape."
)


@command(authoring_app)
def graph(
    journey: Annotated[str, typer.Argument(help="Name of the journey, such as cart-abandonment.")],
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write the graph to an SVG file.")
    ] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print Mermaid text (the default).")] = False,
) -> None:
    """Draw a journey's graph from its code: its waits, messages and outcomes."""
    from authoring.graph.main import draw

    typer.echo(draw(journey, WorkerSettings().journey_modules, to=svg, as_mermaid=mermaid))


@command(authoring_app)
def preview(
    journey: Annotated[str, typer.Argument(help="Name of the journey, such as cart-abandonment.")],
    scenario: Annotated[
        Path | None,
        typer.Argument(help="A YAML or Python file; by default preview.yaml beside the story."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the page to a file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a journey for one shopper on virtual time: what is sent or withheld and why. Sends nothing."""
    from authoring.preview.main import run_preview

    modules = WorkerSettings().journey_modules
    preview_run = run_preview(
        journey, modules, scenario=scenario, html=html, open_browser=open_it, as_json=as_json
    )
    exit_now(asyncio.run(preview_run))


@command(authoring_app, local_stack=True, error_code=2)
def check(
    journey: Annotated[
        list[str] | None, typer.Option("--journey", help="Only this journey; repeatable.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Maximum number of runs, the newest first.")
    ] = None,
    shapes: Annotated[bool, typer.Option("--shapes", hidden=True)] = False,
    record: Annotated[bool, typer.Option("--record", hidden=True)] = False,
    as_json: JsonOption = False,
) -> None:
    """Check before a deploy which open runs the journeys of this working tree would break. Reads only."""
    from authoring.replay.main import run

    if shapes or record:
        raise UserError(_NO_SHAPES)
    exit_now(asyncio.run(run(WorkerSettings(), only=journey or (), limit=limit, as_json=as_json)))


class ScaffoldKind(StrEnum):
    """Kinds of files that ``waypost new`` can create."""

    JOURNEY = "journey"


@command(authoring_app)
def new(
    what: Annotated[ScaffoldKind, typer.Argument(help="journey")],
    name: Annotated[str, typer.Argument(help="Name of the journey, such as price-drop.")],
    package: Annotated[
        Path | None,
        typer.Option("--package", metavar="PATH", help="A package of your own, instead of this clone."),
    ] = None,
) -> None:
    """Create the files of a new journey: `waypost new journey price-drop`. Never overwrites a file."""
    from authoring.scaffold.main import create_journey

    modules = WorkerSettings().journey_modules
    typer.echo(create_journey(name, modules, package=package, folder=Path.cwd()))


policy_app = typer.Typer(
    name="policy",
    help="Check the policy file (caps, quiet hours, windows), and show the policy in force.",
    no_args_is_help=True,
)


@command(policy_app, "check", local_stack=True)
def policy_check(
    file: Annotated[
        Path | None, typer.Argument(help="A TOML file; by default that of WAYPOST_POLICY.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report all faults of a policy file with their lines. Exit code 1 if there are any."""
    from cli.policy import check_policy_file

    report, valid = check_policy_file(file, as_json=as_json)
    typer.echo(report)
    exit_now(0 if valid else 1)


@command(policy_app, "show", local_stack=True)
def policy_show(as_json: JsonOption = False) -> None:
    """Show the policy in force: each value, where it was set, and the version that decisions record."""
    from cli.policy import format_policy
    from policy.config.settings import PolicySettings
    from workers.startup import load_policy

    typer.echo(format_policy(load_policy(PolicySettings()), as_json=as_json))


decisions_app = typer.Typer(
    name="decisions", help="Replay recorded decisions of the send gate.", no_args_is_help=True
)


@decisions_app.callback()
def _decisions_group() -> None:
    """Keep ``replay`` a subcommand, although it is the only one."""


@command(decisions_app, local_stack=True)
def replay(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DURATION", help="Only decisions of the last 2h or 7d, for example."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Repeat recorded decisions with this code, from their recorded basis and policy version.

    Lists the decisions with another result; the exit code is then 1. Reads only.
    """
    from cli.decisions import format_replay, replay_decisions
    from cli.tables import to_json
    from local.time_travel import parse_duration

    length = None if since is None else parse_duration(since)
    outcome = asyncio.run(replay_decisions(length))
    typer.echo(to_json(outcome) if as_json else format_replay(outcome))
    exit_now(1 if outcome.flipped else 0)


consents_app = typer.Typer(
    name="consents",
    help="Review replies that may be opt-outs; they count as opt-outs until an operator restores consent.",
    no_args_is_help=True,
)

EntryIdArgument = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="Id of the reply, as review lists it.")
]


@command(consents_app, local_stack=True)
def review(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Maximum number of rows.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """List the replies that count as opt-outs and are not reviewed yet, the newest first."""
    from cli.consents import list_replies

    typer.echo(asyncio.run(list_replies(limit=limit, as_json=as_json)))


@command(consents_app, local_stack=True)
def keep(entry_id: EntryIdArgument, as_json: JsonOption = False) -> None:
    """Confirm that a reply is an opt-out: it stays in effect and is no longer listed."""
    from cli.consents import review_reply

    typer.echo(asyncio.run(review_reply(entry_id, restore=False, as_json=as_json)))


@command(consents_app, local_stack=True)
def restore(entry_id: EntryIdArgument, as_json: JsonOption = False) -> None:
    """Record that a reply was no opt-out: the consent before it applies again."""
    from cli.consents import review_reply

    typer.echo(asyncio.run(review_reply(entry_id, restore=True, as_json=as_json)))


kill_switch_app = typer.Typer()

StopKindArgument = Annotated[
    StopKind, typer.Argument(metavar="KIND", help="channel, journey, template or all.")
]

StopNameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Such as sms, win-back or cart_offer; omitted for all.")
]


@command(kill_switch_app, local_stack=True)
def stop(
    kind: StopKindArgument,
    name: StopNameArgument = "",
    reason: ReasonOption = "by hand",
    as_json: JsonOption = False,
) -> None:
    """Stop a channel, a journey, a template, or all. Takes effect at once; due messages wait."""
    _set_stop(kind, name, reason, as_json, stopped=True)


@command(kill_switch_app, local_stack=True)
def resume(
    kind: StopKindArgument,
    name: StopNameArgument = "",
    reason: ReasonOption = "by hand",
    as_json: JsonOption = False,
) -> None:
    """Lift a stop; waiting messages pass all checks of the gate again before they are sent."""
    _set_stop(kind, name, reason, as_json, stopped=False)


def _set_stop(kind: StopKind, name: str, reason: str, as_json: bool, *, stopped: bool) -> None:
    from cli.kill_switches import format_change, set_stop

    change = asyncio.run(set_stop(kind, name, stopped=stopped, reason=reason))
    typer.echo(change.model_dump_json() if as_json else format_change(change))


@command(kill_switch_app, local_stack=True)
def stops(as_json: JsonOption = False) -> None:
    """List the active stops, with their time, reason and actor."""
    from cli.kill_switches import list_stops

    typer.echo(asyncio.run(list_stops(as_json=as_json)), nl=False)


address_app = typer.Typer(
    name="address",
    help="Addresses that bounced: show what closes one, and reopen it.",
    no_args_is_help=True,
)

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="Email address or phone number, in any spelling.")
]


@command(address_app, "show", local_stack=True)
def address_show(
    address: AddressArgument,
    full: Annotated[bool, typer.Option("--full", help="Show the whole address; it is shortened.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show whether an address is open, since when and why, its opt-outs and the last messages to it."""
    from cli.addresses import show_address

    typer.echo(asyncio.run(show_address(address, full=full, as_json=as_json)), nl=False)


@command(address_app, "reopen", local_stack=True)
def address_reopen(
    address: AddressArgument,
    reason: ReasonOption,
    marketing: Annotated[
        bool,
        typer.Option("--marketing", help="Marketing too: where the report of the bounce was wrong."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Reopen an address that bounced, once. Opt-outs and complaints stay."""
    from cli.addresses import reopen
    from profiles.messaging.addresses import ReopenScope

    scope = ReopenScope.ALL if marketing else ReopenScope.TRANSACTIONAL
    typer.echo(asyncio.run(reopen(address, scope, reason=reason, as_json=as_json)), nl=False)


runs_app = typer.Typer(
    name="runs", help="Runs that are stuck: list them, and deliver to them again.", no_args_is_help=True
)


@command(runs_app, "stuck", local_stack=True)
def runs_stuck(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Maximum number of rows.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """List the stuck runs, with since when and why, the newest first."""
    from cli.runs import format_stuck_runs

    typer.echo(asyncio.run(format_stuck_runs(limit=limit, as_json=as_json)), nl=False)


@command(runs_app, "retry", local_stack=True)
def runs_retry(
    reason: ReasonOption,
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN_ID]", help="Waypost's id of the run; omitted with --all.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every stuck run.")] = False,
    journey: Annotated[str | None, typer.Option("--journey", help="With --all: only of this one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver to stuck runs again, from the event that failed on, in order. Safe to repeat."""
    from cli.runs import format_retried, retry_runs

    result = asyncio.run(retry_runs(run_id, every=every, journey=journey, reason=reason))
    typer.echo(result.model_dump_json() if as_json else format_retried(result))
