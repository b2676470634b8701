"""The flow of a journey: its steps, the edges between them, and the events that end a run at any moment.

The open ends of a step are the edges with a target that is not known yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Kind(StrEnum):
    """The kind of a step; its value is the label above the step's title."""

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
    """Details below the title."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection from one step to the next."""

    source: str
    target: str
    label: str = ""
    """When this edge is taken; empty where there is no other."""
    back: bool = False
    """Leads to an earlier step, as the end of a loop's body does."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """An event that ends a run at any moment."""

    event: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Flow:
    """The flow of a whole journey."""

    journey: str
    summary: str
    nodes: tuple[Node, ...]
    """The entry first, then in the order of the code."""
    edges: tuple[Edge, ...]
    interrupts: tuple[Interrupt, ...]


Arm = tuple[str, float]
"""One arm of a draw, with its weight."""


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """An edge out of a step, with a target that is not known yet."""

    source: str
    label: str = ""


Ends = tuple[OpenEnd, ...]


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a step, as far as later code can branch on it."""

    name: str
    """Its name in text: a template, the events waited for."""
    holds: str = ""
    """Label of the edge on which there is a result: the event came, the message was sent."""
    fails: str = ""
    """Label of the other edge; empty where there is none."""
    conditions: tuple[str, str] = ("", "")
    """Both as conditions."""
    cases: frozenset[str] = frozenset()
    """Labels of all cases of a ``match`` on it."""
    arms: tuple[Arm, ...] = ()
    """The arms of a draw, where their weights are known."""
    is_draw: bool = False
    """Whether it is one of several arms, known or not."""
    node: str = ""
    """Id of the step; empty until the step is added to a flow."""
    second_node: str = ""
    """Id of a step that is taken where the first has no result, and that continues as if it had one."""

    @property
    def open_ends(self) -> Ends:
        """The open ends right after the step."""
        return (OpenEnd(self.node, "else" if self.second_node else ""), *self._second)

    @property
    def branches(self) -> tuple[Ends, Ends]:
        """The open ends with and without a result; a wait without a limit has the first only."""
        return self.case(self.holds), (OpenEnd(self.node, self.fails),) if self.fails else ()

    def case(self, label: str) -> Ends:
        """The open ends of one case of a ``match`` on it."""
        return (OpenEnd(self.node, label), *(self._second if self.holds in label.split(" or ") else ()))

    @property
    def _second(self) -> Ends:
        return (OpenEnd(self.second_node),) if self.second_node else ()

    def arm_label(self, *names: str) -> str:
        """Label of the edge of these arms, with their share."""
        label = " or ".join(names)
        weights = dict(self.arms)
        if not weights or not all(name in weights for name in names):
            return label
        return f"{label}: {sum(weights[name] for name in names):g} of {sum(weights.values()):g}"

    def other_arms_label(self, *names: str) -> str:
        """Label of the edge of all other arms."""
        left = [name for name, _ in self.arms if name not in names]
        if len(left) == 1:
            return self.arm_label(*left)
        return self.arm_label(*left).replace(" or ".join(left), "else", 1) if left else "else"


@dataclass(frozen=True, slots=True)
class StepDescription:
    """The text of a step of the vocabulary, and its result."""

    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    result: StepResult | None = None
    """None where later code cannot branch on the step."""
    second: "tuple[str, StepDescription] | None" = None
    """A second step, and the label of the edge to it."""


@dataclass(slots=True)
class Loop:
    """A loop around the code that is being read: its first step, and the open ends that leave it."""

    start: str
    exits: list[OpenEnd] = field(default_factory=list)


class FlowBuilder:
    """Collects the steps and edges of a flow."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.loops: list[Loop] = []

    def add(self, kind: Kind, title: str, lines: Sequence[str], ends: Ends) -> str:
        """Add a step that these open ends lead to; returns its id."""
        node = f"n{len(self.nodes)}"
        self.nodes.append(Node(node, kind, title, tuple(lines)))
        self.edges.extend(Edge(end.source, node, end.label) for end in ends)
        return node

    def add_step(self, step: StepDescription, ends: Ends) -> tuple[Ends, StepResult | None]:
        """Add a step of the vocabulary; returns its open ends and its result."""
        node, second_node = self.add(step.kind, step.title, step.lines, ends), ""
        if step.second is not None:
            label, second = step.second
            second_node = self.add(second.kind, second.title, second.lines, (OpenEnd(node, label),))
        if step.result is None:
            return (OpenEnd(node),), None
        result = replace(step.result, node=node, second_node=second_node)
        return result.open_ends, result

    def add_back_edges(self, ends: Ends, to: str) -> None:
        """Lead these open ends to an earlier step."""
        self.edges.extend(Edge(end.source, to, end.label, back=True) for end in ends)
