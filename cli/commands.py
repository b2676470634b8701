"""``waypost identity``: see who a person is and why, take wrongly joined people apart, and mend that."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.exits import explained, find_local_stack, finish
from policy.facts import StopKind
from workers.settings import WorkerSettings

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


@identity.command("show")
def identity_show(
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
        from cli.identity import show_identity, write

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
        from cli.identity import cut_apart, in_words, look_ahead
        from cli.tables import coming_apart

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
    cut_id: Annotated[
        int, typer.Argument(metavar="CUT_ID", min=1, help="As unmerge and identity_show say it.")
    ],
    reason: Reason = "by hand",
    as_json: Json = False,
) -> None:
    """Lift a cut again: the two are joined once more if their events still say so."""
    with explained():
        from cli.identity import in_words, mend_cut

        find_local_stack()
        mended = asyncio.run(mend_cut(cut_id, reason=reason))
        typer.echo(mended.json() if as_json else in_words(mended))
        finish(0)


@identity.command()
def release(type: Type, value: Value, reason: Reason, as_json: Json = False) -> None:
    """Say that a quarantined identifier is somebody's after all; it is never quarantined again."""
    with explained():
        from cli.identity import in_words, release_identifier

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
        from cli.identity import list_quarantined

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


authoring = typer.Typer()


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
        from authoring.graph.main import draw

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
        from authoring.preview.main import run

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
        from authoring.replay.main import run
        from authoring.replay.recorded import run as compare

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
        from authoring.scaffold.main import create

        modules = WorkerSettings().journey_modules
        typer.echo(create(name, modules, package=package, folder=Path.cwd()))
        finish(0)


policy = typer.Typer(
    name="policy",
    help="Check the file of caps, quiet hours and windows, and see what is in force.",
    no_args_is_help=True,
)


@policy.command("check")
def policy_check(
    file: Annotated[Path | None, typer.Argument(help="TOML; the one of WAYPOST_POLICY by default.")] = None,
    as_json: Json = False,
) -> None:
    """Say all that is wrong with a policy file, each with its line. Exit code 1 when something is."""
    with explained():
        from cli.policy import checked

        find_local_stack()
        told, sound = checked(file, as_json=as_json)
        typer.echo(told)
        finish(0 if sound else 1)


@policy.command("show")
def policy_show(as_json: Json = False) -> None:
    """Show the policy in force: each value, where it was set, and the version that decisions name."""
    with explained():
        from cli.policy import shown
        from policy.config.settings import PolicySettings
        from workers.startup import policy_in_force

        find_local_stack()
        typer.echo(shown(policy_in_force(PolicySettings()), as_json=as_json))
        finish(0)


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
        from cli.decisions import in_words, replayed
        from local.time_travel import duration

        length = None if since is None else duration(since)
        find_local_stack()
        outcome = asyncio.run(replayed(length))
        typer.echo(outcome.json() if as_json else in_words(outcome))
        finish(1 if outcome.flipped else 0)


consents = typer.Typer(
    name="consents",
    help="Replies that may have meant an opt-out: they count as one until somebody says otherwise.",
    no_args_is_help=True,
)

Entry = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="As review lists it.")]


@consents.command()
def review(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 200,
    as_json: Json = False,
) -> None:
    """List the replies that opted somebody out and that nobody has looked at, the newest first."""
    with explained():
        from cli.consents import list_replies

        find_local_stack()
        typer.echo(asyncio.run(list_replies(limit=limit, as_json=as_json)))
        finish(0)


@consents.command()
def keep(entry_id: Entry, as_json: Json = False) -> None:
    """Say that a reply did mean an opt-out: it stays, and is listed no more."""
    with explained():
        from cli.consents import keep_reply

        find_local_stack()
        typer.echo(asyncio.run(keep_reply(entry_id, as_json=as_json)))
        finish(0)


@consents.command()
def restore(entry_id: Entry, as_json: Json = False) -> None:
    """Say that a reply meant something else: what stood before it stands again."""
    with explained():
        from cli.consents import restore_reply

        find_local_stack()
        typer.echo(asyncio.run(restore_reply(entry_id, as_json=as_json)))
        finish(0)


stopping = typer.Typer()

Kind = Annotated[StopKind, typer.Argument(metavar="KIND", help="channel, journey, template or all.")]

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Such as sms, win-back or cart_offer; none for all.")
]


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
        from cli.kill_switches import as_text, switch_off, switch_on

        find_local_stack()
        done = asyncio.run((switch_on if on else switch_off)(kind, name, reason=reason))
        typer.echo(done.model_dump_json() if as_json else as_text(done))
        finish(0)


@stopping.command()
def stops(as_json: Json = False) -> None:
    """List what is stopped, since when, why and by whom."""
    with explained():
        from cli.kill_switches import list_stops

        find_local_stack()
        typer.echo(asyncio.run(list_stops(as_json=as_json)), nl=False)
        finish(0)
