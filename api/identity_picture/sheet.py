"""What a picture of an identity shows, before it is drawn: people, their identifiers, what joined them."""

from dataclasses import dataclass, field

REST = "rest"
"""Kind of the one node that stands for all that had no room."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line to another person's identifier that was not joined."""

    source: str
    """Key of the person's own identifier."""
    label: str
    """The event, and why it joined nothing."""


@dataclass(slots=True)
class Spot:
    """One identifier in the picture."""

    key: str
    kind: str
    text: str
    strong: bool
    vouched: bool = False
    nobodys: bool = False
    """Quarantined."""
    parent: str | None = None
    """What it was joined to; None where a tree begins."""
    label: str = ""
    """What joined it, or since when it is known."""
    depth: int = 0
    refusals: list[Refusal] = field(default_factory=list)


@dataclass(slots=True)
class Fence:
    """The identifiers of one person, or those that are nobody's."""

    title: str
    spots: list[Spot]
    """Each after the one it was joined to."""
    nobodys: bool = False


@dataclass(slots=True)
class Sheet:
    """One person, and whom they were nearly joined with."""

    title: str
    subtitle: str
    fences: list[Fence]
    """The person's own first."""
