"""``waypost identity``: see who a person is and why, take wrongly joined people apart, and mend that."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.exits import exit_now, report_errors, use_local_stack
from policy.facts import StopKind
from workers.process import UserError
from workers.settings import WorkerSettings

identity_app = typer.Typer(
    name="identity",
    help="Who a person is and why; take people apart who were wrongly joined, and mend that.",
    no_args_is_help=True,
)

IdentifierTypeArgument = Annotated[
    str, typer.Argument(metavar="TYPE", help="Such as email, user_id or phone.")
]

IdentifierValueArgument = Annotated[
    str, typer.Argument(metavar="VALUE", help="The identifier, in any spelling.")
]

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the log for good.")]

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


class OutputFormat(StrEnum):
    """What ``show`` can print."""

    TABLE = "table"
    JSON = "json"
    MERMAID = "mermaid"
    SVG = "svg"


@identity_app.command("show")
def identity_show(
    type: IdentifierTypeArgument,
    value: IdentifierValueArgument,
    format: Annotated[OutputFormat, typer.Option("--format", help="As what.")] = OutputFormat.TABLE,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it to a file.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="A picture shows whole values; they are shortened by default.")
    ] = False,
) -> None:
    """Show what joined a person's identifiers, and what was refused and why."""
    with report_errors():
        from cli.identity import show_identity, write_file

        use_local_stack()
        shown = asyncio.run(show_identity(type, value, format=format.value, full=full))
        if out is None:
            typer.echo(shown, nl=False)
        else:
            write_file(shown, out)
            typer.echo(f"{out}: written")
        exit_now(0)


@identity_app.command()
def unmerge(
    type: IdentifierTypeArgument,
    value: IdentifierValueArgument,
    other: Annotated[
        tuple[str, str],
        typer.Option("--from", metavar="TYPE VALUE", help="The identifier of the other person."),
    ],
    reason: ReasonOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Cut two identifiers apart that are not one person's. Says first what will come apart, and asks."""
    with report_errors():
        from cli.identity import apply_cut, format_result, plan_cut
        from cli.tables import format_cut_preview

        use_local_stack()
        ahead = asyncio.run(plan_cut((type, value), other))
        if not yes:
            typer.echo(format_cut_preview(ahead.preview), err=as_json)
            _confirm_or_exit("Cut them apart?")
        parted = asyncio.run(apply_cut(ahead, reason=reason))
        typer.echo(parted.to_json() if as_json else format_result(parted))
        exit_now(0)


@identity_app.command()
def mend(
    cut_id: Annotated[
        int, typer.Argument(metavar="CUT_ID", min=1, help="As unmerge and identity_show say it.")
    ],
    reason: ReasonOption = "by hand",
    as_json: JsonOption = False,
) -> None:
    """Lift a cut again: the two are joined once more if their events still say so."""
    with report_errors():
        from cli.identity import format_result, lift_cut

        use_local_stack()
        mended = asyncio.run(lift_cut(cut_id, reason=reason))
        typer.echo(mended.to_json() if as_json else format_result(mended))
        exit_now(0)


@identity_app.command()
def release(
    type: IdentifierTypeArgument,
    value: IdentifierValueArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Say that a quarantined identifier is somebody's after all; it is never quarantined again."""
    with report_errors():
        from cli.identity import format_result, release_identifier

        use_local_stack()
        released = asyncio.run(release_identifier((type, value), reason=reason))
        typer.echo(released.to_json() if as_json else format_result(released))
        exit_now(0)


@identity_app.command()
def quarantined(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """List the identifiers that so many people share that they are nobody's."""
    with report_errors():
        from cli.identity import list_quarantined

        use_local_stack()
        typer.echo(asyncio.run(list_quarantined(limit=limit, as_json=as_json)))
        exit_now(0)


def _confirm_or_exit(question: str) -> None:
    """Go on only after a yes."""
    try:
        said = typer.confirm(question)
    except typer.Abort:
        typer.echo("\nNothing was changed: nobody answered. Add --yes where nobody can.", err=True)
        exit_now(1)
    if not said:
        typer.echo("Nothing was changed.", err=True)
        exit_now(1)


authoring_app = typer.Typer()

_NO_SHAPES = (
    "--shapes and --record no longer exist: Waypost does not record the shape of a story any more.\n"
    "Before a deploy, run `waypost check` against the live server. In CI, replay recorded histories "
    "in tests (temporalio.worker.Replayer).\n"
    "Delete the files named *.shape."
)


@authoring_app.command()
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
    with report_errors():
        from authoring.graph.main import draw

        typer.echo(draw(journey, WorkerSettings().journey_modules, to=svg, as_mermaid=mermaid))
        exit_now(0)


@authoring_app.command()
def preview(
    journey: Annotated[str, typer.Argument(help="Its name, such as cart-abandonment.")],
    scenario: Annotated[
        Path | None, typer.Argument(help="YAML, or Python; preview.yaml beside the story by default.")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Look at it in the browser.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what one shopper does, on virtual time: what is sent, what is withheld and why. Sends nothing."""
    with report_errors():
        from authoring.preview.main import run_preview

        modules = WorkerSettings().journey_modules
        told = run_preview(
            journey, modules, scenario=scenario, html=html, open_browser=open_it, as_json=as_json
        )
        exit_now(asyncio.run(told))


@authoring_app.command()
def check(
    journey: Annotated[list[str] | None, typer.Option("--journey", help="Only this one; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the newest so many runs.")] = None,
    shapes: Annotated[bool, typer.Option("--shapes", hidden=True)] = False,
    record: Annotated[bool, typer.Option("--record", hidden=True)] = False,
    as_json: JsonOption = False,
) -> None:
    """Say before a deploy which open runs the journeys of this working tree would break. Reads only."""
    with report_errors(code=2):
        from authoring.replay.main import run

        if shapes or record:
            raise UserError(_NO_SHAPES)
        use_local_stack()
        exit_now(asyncio.run(run(WorkerSettings(), only=journey or (), limit=limit, as_json=as_json)))


class ScaffoldKind(StrEnum):
    """What can be made anew."""

    JOURNEY = "journey"


@authoring_app.command()
def new(
    what: Annotated[ScaffoldKind, typer.Argument(help="journey")],
    name: Annotated[str, typer.Argument(help="Its name, such as price-drop.")],
    package: Annotated[
        Path | None,
        typer.Option("--package", metavar="PATH", help="Into a package of your own instead of this clone."),
    ] = None,
) -> None:
    """Make a journey to begin from: `waypost new journey price-drop`. Never overwrites a file."""
    with report_errors():
        from authoring.scaffold.main import create_journey

        modules = WorkerSettings().journey_modules
        typer.echo(create_journey(name, modules, package=package, folder=Path.cwd()))
        exit_now(0)


policy_app = typer.Typer(
    name="policy",
    help="Check the file of caps, quiet hours and windows, and see what is in force.",
    no_args_is_help=True,
)


@policy_app.command("check")
def policy_check(
    file: Annotated[Path | None, typer.Argument(help="TOML; the one of WAYPOST_POLICY by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say all that is wrong with a policy file, each with its line. Exit code 1 when something is."""
    with report_errors():
        from cli.policy import check_policy_file

        use_local_stack()
        told, sound = check_policy_file(file, as_json=as_json)
        typer.echo(told)
        exit_now(0 if sound else 1)


@policy_app.command("show")
def policy_show(as_json: JsonOption = False) -> None:
    """Show the policy in force: each value, where it was set, and the version that decisions name."""
    with report_errors():
        from cli.policy import format_policy
        from policy.config.settings import PolicySettings
        from workers.startup import load_policy

        use_local_stack()
        typer.echo(format_policy(load_policy(PolicySettings()), as_json=as_json))
        exit_now(0)


decisions_app = typer.Typer(
    name="decisions", help="Make recorded decisions of the send gate once more.", no_args_is_help=True
)


@decisions_app.callback()
def _decisions_group() -> None:
    """Keep ``replay`` a word of its own, though it is the only one."""


@decisions_app.command()
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
    with report_errors():
        from cli.decisions import format_replay, replay_decisions
        from local.time_travel import parse_duration

        length = None if since is None else parse_duration(since)
        use_local_stack()
        outcome = asyncio.run(replay_decisions(length))
        typer.echo(outcome.to_json() if as_json else format_replay(outcome))
        exit_now(1 if outcome.flipped else 0)


consents_app = typer.Typer(
    name="consents",
    help="Replies that may have meant an opt-out: they count as one until somebody says otherwise.",
    no_args_is_help=True,
)

EntryIdArgument = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="As review lists it.")
]


@consents_app.command()
def review(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """List the replies that opted somebody out and that nobody has looked at, the newest first."""
    with report_errors():
        from cli.consents import list_replies

        use_local_stack()
        typer.echo(asyncio.run(list_replies(limit=limit, as_json=as_json)))
        exit_now(0)


@consents_app.command()
def keep(entry_id: EntryIdArgument, as_json: JsonOption = False) -> None:
    """Say that a reply did mean an opt-out: it stays, and is listed no more."""
    with report_errors():
        from cli.consents import keep_reply

        use_local_stack()
        typer.echo(asyncio.run(keep_reply(entry_id, as_json=as_json)))
        exit_now(0)


@consents_app.command()
def restore(entry_id: EntryIdArgument, as_json: JsonOption = False) -> None:
    """Say that a reply meant something else: what stood before it stands again."""
    with report_errors():
        from cli.consents import restore_reply

        use_local_stack()
        typer.echo(asyncio.run(restore_reply(entry_id, as_json=as_json)))
        exit_now(0)


kill_switch_app = typer.Typer()

StopKindArgument = Annotated[
    StopKind, typer.Argument(metavar="KIND", help="channel, journey, template or all.")
]

StopNameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Such as sms, win-back or cart_offer; none for all.")
]


@kill_switch_app.command()
def stop(
    kind: StopKindArgument,
    name: StopNameArgument = "",
    reason: ReasonOption = "by hand",
    as_json: JsonOption = False,
) -> None:
    """Stop a channel, a journey, a template, or all. In force at once; what is due waits."""
    _set_stop(kind, name, reason, as_json, on=True)


@kill_switch_app.command()
def resume(
    kind: StopKindArgument,
    name: StopNameArgument = "",
    reason: ReasonOption = "by hand",
    as_json: JsonOption = False,
) -> None:
    """Let it send again; messages that wait pass the whole gate first."""
    _set_stop(kind, name, reason, as_json, on=False)


def _set_stop(kind: StopKind, name: str, reason: str, as_json: bool, *, on: bool) -> None:
    with report_errors():
        from cli.kill_switches import activate_stop, format_change, lift_stop

        use_local_stack()
        done = asyncio.run((activate_stop if on else lift_stop)(kind, name, reason=reason))
        typer.echo(done.model_dump_json() if as_json else format_change(done))
        exit_now(0)


@kill_switch_app.command()
def stops(as_json: JsonOption = False) -> None:
    """List what is stopped, since when, why and by whom."""
    with report_errors():
        from cli.kill_switches import list_stops

        use_local_stack()
        typer.echo(asyncio.run(list_stops(as_json=as_json)), nl=False)
        exit_now(0)
