"""What an operator may stop by name, and what is said to a name that is none."""

import difflib
from collections.abc import Mapping

from journeys.vocabulary.definition import JourneyDefinition
from policy.stop import StopKind
from policy.verdict import Channel


class NotStoppable(LookupError):
    """There is no such thing; says which there are."""


def check_stoppable(kind: StopKind, name: str, journeys: Mapping[str, JourneyDefinition]) -> None:
    """Raises ``NotStoppable`` where there is no such channel, journey or template; "all" names everything."""
    known = _names(kind, journeys)
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    what = "such thing as" if kind is StopKind.ALL else kind.value
    raise NotStoppable(f"no {what} {name!r}; known: {', '.join(known) or 'none'}{guess}")


def _names(kind: StopKind, journeys: Mapping[str, JourneyDefinition]) -> tuple[str, ...]:
    match kind:
        case StopKind.ALL:
            return ("all",)
        case StopKind.CHANNEL:
            return tuple(channel.value for channel in Channel)
        case StopKind.JOURNEY:
            return tuple(sorted(journeys))
    folders = dict.fromkeys(definition.folder for definition in journeys.values())
    named = dict.fromkeys(file.parent.name for folder in folders for file in folder.glob("*/message.toml"))
    return tuple(sorted(named))
