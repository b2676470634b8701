"""What a picture of a journey shows: steps, ways between them, and what ends a run at any moment."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a step is; the value is the word that stands above it."""

    ENTRY = "starts on"
    WAIT = "wait for"
    WAIT_ALL = "wait for all of"
    LOOK_BACK = "look back for"
    QUIET = "quiet"
    SLEEP = "sleep"
    UNTIL = "sleep until"
    HOLD = "hold while open"
    FORGET = "forget"
    SEND = "send"
    RETARGET = "ad audience"
    OPT_OUT = "opt out"
    SUGGESTIONS = "suggestions"
    PROFILE = "read"
    EXPERIMENT = "experiment"
    CHOOSE = "choose"
    PERFORM = "perform"
    CALL = "call"
    CHOICE = "choice"
    LOOP = "loop"
    END = "end"


@dataclass(frozen=True, slots=True)
class Node:
    """One step."""

    id: str
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    """What more there is to say about it."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from one step to the next."""

    source: str
    target: str
    label: str = ""
    """When this way is taken; empty where there is no other."""
    back: bool = False
    """Leads to an earlier step, as the end of a loop's body does."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """An event that ends a run in the middle of whatever it does."""

    event: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Flow:
    """A whole journey."""

    journey: str
    summary: str
    nodes: tuple[Node, ...]
    """The entry first, then in the order of the code."""
    edges: tuple[Edge, ...]
    interrupts: tuple[Interrupt, ...]
