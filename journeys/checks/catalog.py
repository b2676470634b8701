"""The messages there are, as far as a story has to know them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from policy.verdict import Channel, MessageClass


@dataclass(frozen=True, slots=True)
class Letter:
    """One message template."""

    name: str
    channels: frozenset[Channel]
    """Those it has a version for."""
    message_class: MessageClass | None = None
    """None where its manifest cannot be read; then nothing more is known of it."""
    needs_items: bool = False
    extra: Mapping[str, bool] = field(default_factory=dict)
    """Values it declares, and whether each is required."""


class Catalog(Mapping[str, Letter]):
    """Letters by name."""

    def __init__(self, letters: Sequence[Letter], *, complete: bool = True) -> None:
        self._by_name = {letter.name: letter for letter in letters}
        self.complete = complete
        """Whether all journeys were found; where not, a template that is missing may lie beside another."""

    def __getitem__(self, name: str) -> Letter:
        """The letter of that name; a KeyError where there is none."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)
