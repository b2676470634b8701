"""Why a run would break, in words: what its history has, and what the code now asks for in its place."""

import re
from dataclasses import dataclass
from itertools import zip_longest

from authoring.replay.replaying import Replayed
from authoring.replay.steps import Step, step_of_event

_EVENT = re.compile(r"HistoryEvent(?:\(id: | \{ event_id: )(\d+)")

_UNPATCHED = re.compile(r"patch marker encountered for change (\S+), but there is no")

_MESSAGE = re.compile(r'message: "(.*?)", source: ', re.DOTALL)

_VARYING = re.compile(r" until .*| #\d+")
"""Parts of a summary in which runs of one cause differ."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a history and the code part. Equal differences are one cause, wherever in a history they lie."""

    words: str
    remedy: str
    event_id: int
    """The event of the history; 0 where none is named."""


def difference(replayed: Replayed) -> Difference:
    """The first difference of a replay that failed."""
    steps = [step for event in replayed.history.events if (step := step_of_event(event))]
    asked = replayed.asked.steps
    if replayed.asked.raised:
        return _raised(replayed, steps)
    if patch := _UNPATCHED.search(replayed.failure):
        return _unpatched(patch[1], steps)
    pairs = enumerate(zip_longest(steps, asked))
    at = next((n for n, (had, asks) in pairs if not (had and asks and had.fits(asks))), len(steps))
    if named := _EVENT.search(replayed.failure):
        # Temporal's own word on the place stands above ours.
        at = next((n for n, step in enumerate(steps) if step.event_id == int(named[1])), at)
    if at >= len(steps):
        return Difference(_in_short(replayed.failure), _guard(), int(named[1]) if named else 0)
    now = f"asks for {_plain(asked[at])}" if at < len(asked) else "asks for nothing"
    words = f"history has {_plain(steps[at])} here, the code now {now}"
    return Difference(words, _guard(), steps[at].event_id)


def _raised(replayed: Replayed, steps: list[Step]) -> Difference:
    done = len(replayed.asked.steps)
    here = f"history has {_plain(steps[done])} here" if done < len(steps) else "history waits here"
    at = steps[done].event_id if done < len(steps) else replayed.history.events[-1].event_id
    return Difference(
        f"{here}, the code now raises {replayed.asked.raised}",
        "mend the story; a run whose story raises stands still until it no longer does, and then goes on",
        at,
    )


def _unpatched(patch: str, steps: list[Step]) -> Difference:
    at = next((step.event_id for step in steps if step.kind == "patch marker"), 0)
    return Difference(
        f"history went the new way of patch {patch!r}, the code now knows no such patch",
        f'keep workflow.patched("{patch}"), or workflow.deprecate_patch("{patch}") once no run of the old '
        "way is left, in the story until these runs have ended",
        at,
    )


def _guard() -> str:
    return (
        'guard the change (if workflow.patched("a-word-for-it"): the new way, else: the old one), or give '
        "the new story a name of its own beside the old one (@journey(name=…)), or let these runs end first"
    )


def _plain(step: Step) -> str:
    return str(Step(step.kind, step.name, _VARYING.sub("", step.summary)))


def _in_short(failure: str) -> str:
    found = _MESSAGE.search(failure)
    return (found[1] if found else failure)[:300]
