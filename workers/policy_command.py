"""``waypost policy``: check a policy file before it is deployed, and see what is in force."""

from pathlib import Path
from typing import Annotated

import typer

from workers.exits import explained, find_local_stack, finish

policy = typer.Typer(
    name="policy",
    help="Check the file of caps, quiet hours and windows, and see what is in force.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@policy.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="TOML; the one of WAYPOST_POLICY by default.")] = None,
    as_json: Json = False,
) -> None:
    """Say all that is wrong with a policy file, each with its line. Exit code 1 when something is."""
    with explained():
        from workers.policy_tables import checked

        find_local_stack()
        told, sound = checked(file, as_json=as_json)
        typer.echo(told)
        finish(0 if sound else 1)


@policy.command()
def show(as_json: Json = False) -> None:
    """Show the policy in force: each value, where it was set, and the version that decisions name."""
    with explained():
        from policy.settings import PolicySettings
        from workers.policies import policy_in_force
        from workers.policy_tables import shown

        find_local_stack()
        typer.echo(shown(policy_in_force(PolicySettings()), as_json=as_json))
        finish(0)
