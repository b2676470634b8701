"""``waypost stop``, ``resume`` and ``stops``: change and list the kill switches."""

from pydantic import BaseModel

from cli.database import current_actor, open_database
from cli.tables import build_table, render_text, to_json
from journeys import registry
from journeys.registry import UnknownStopTarget, check_stop_target
from policy.facts import StopKind
from profiles.messaging import kill_switches
from workers.errors import UserError
from workers.settings import WorkerSettings


class StopChange(BaseModel):
    """Result of ``waypost stop`` or ``resume``."""

    kind: StopKind
    name: str
    stopped: bool
    """State after the command."""
    changed: bool
    """False: the state was the same before."""


async def set_stop(kind: StopKind, name: str, *, stopped: bool, reason: str) -> StopChange:
    """Activate or lift a stop; the change is in force when this returns. Idempotent.

    A stop of what is no longer in the code can be lifted. Raises ``UserError`` for an unknown name.
    """
    name = _validate_name(kind, name)
    if stopped:
        _require_stoppable(kind, name)
    change = kill_switches.activate_kill_switch if stopped else kill_switches.deactivate_kill_switch
    why, actor = reason.strip()[:500] or "by hand", current_actor()
    async with open_database() as database:
        changed = await database.run(
            lambda connection: change(connection, kind.value, name, reason=why, actor=actor)
        )
    if not stopped and not changed:
        _require_stoppable(kind, name)
    return StopChange(kind=kind, name=name, stopped=stopped, changed=changed)


async def list_stops(*, as_json: bool) -> str:
    """Return the active stops, as a table or as JSON."""
    async with open_database() as database:
        found = await database.run(kill_switches.list_kill_switches)
    if as_json:
        return to_json({"stops": found}) + "\n"
    if not found:
        return "Nothing is stopped.\n"
    rows = [(s.kind, s.name, s.since.isoformat(" ", "seconds"), s.reason, s.actor) for s in found]
    return render_text(build_table("", ("kind", "name", "since", "reason", "by"), rows))


def format_change(done: StopChange) -> str:
    """Return the change as a sentence."""
    what = "everything" if done.kind is StopKind.ALL else f"{done.kind.value} {done.name}"
    if not done.changed:
        return f"{what} {'is stopped already' if done.stopped else 'is not stopped'}; nothing was changed."
    if done.stopped:
        again = f"waypost resume {done.kind.value}" + ("" if done.kind is StopKind.ALL else f" {done.name}")
        return f"{what} is stopped: nothing more is claimed. What is due waits. To go on: {again}"
    return f"{what} may send again; what waits asks the gate within an hour, most of it within minutes."


def _validate_name(kind: StopKind, name: str) -> str:
    if kind is StopKind.ALL:
        if name not in ("", "all"):
            raise UserError(f"all is everything, and {name!r} is one thing: say its kind, or leave it out.")
        return "all"
    if not name:
        raise UserError(f"a {kind.value} has a name: waypost stop {kind.value} NAME.")
    return name


def _require_stoppable(kind: StopKind, name: str) -> None:
    # Journeys are loaded only for a journey or a template: a channel, or all, can always be stopped.
    loads = kind in (StopKind.JOURNEY, StopKind.TEMPLATE)
    try:
        check_stop_target(
            kind, name, registry.load_journeys(WorkerSettings().journey_modules) if loads else {}
        )
    except UnknownStopTarget as refusal:
        raise UserError(f"{refusal}.") from refusal
    except ValueError as error:
        raise UserError(f"the journeys cannot be loaded, so names are not known: {error}") from error
