"""Which journeys there are: the shipped ones, and those of the modules a setting names."""

import difflib
import importlib
from collections.abc import Iterator, Mapping, Sequence

from journeys.cart_abandonment.story import CartAbandonment
from journeys.post_purchase.story import PostPurchase
from journeys.vocabulary.definition import JourneyDefinition
from journeys.vocabulary.journey import Journey
from journeys.win_back.story import WinBack

SHIPPED: tuple[type[Journey], ...] = (CartAbandonment, PostPurchase, WinBack)


class Journeys(Mapping[str, JourneyDefinition]):
    """Journey definitions by name."""

    def __init__(self, classes: Sequence[type[Journey]]) -> None:
        self.classes = tuple(classes)
        self._by_name = {cls.definition.name: cls.definition for cls in classes}

    def __getitem__(self, name: str) -> JourneyDefinition:
        """The definition of that name; a KeyError says which names there are."""
        if name in self._by_name:
            return self._by_name[name]
        close = difflib.get_close_matches(name, self._by_name, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise KeyError(f"no journey {name!r}; registered: {', '.join(sorted(self._by_name))}{hint}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def routes(self) -> tuple[JourneyDefinition, ...]:
        """The routing table that ingest goes by."""
        return tuple(self._by_name.values())


def load(modules: Sequence[str] = ("journeys",)) -> Journeys:
    """Journeys of these modules; each names its own in a ``JOURNEYS`` sequence.

    Raises ValueError with all that is wrong at once.
    """
    classes: dict[str, type[Journey]] = {}
    faults: list[str] = []
    for name in modules:
        try:
            found = importlib.import_module(name).JOURNEYS
        except (ImportError, AttributeError) as error:
            faults.append(
                f"{name}: {error}; WAYPOST_JOURNEYS names modules with a sequence JOURNEYS of journey classes"
            )
            continue
        for cls in found:
            faults.extend(_faults(name, cls, classes))
    if faults:
        raise ValueError("journeys cannot be loaded:\n" + "\n".join(f"  {fault}" for fault in faults))
    return Journeys(tuple(classes.values()))


def _faults(module: str, cls: type[Journey], classes: dict[str, type[Journey]]) -> list[str]:
    if "definition" not in vars(cls):
        return [f"{module}: {getattr(cls, '__qualname__', cls)!s} is not decorated with @journey(…)"]
    definition = cls.definition
    if definition.name in classes and classes[definition.name] is not cls:
        return [f"{module}: two journeys are named {definition.name!r}"]
    classes[definition.name] = cls
    try:
        definition.listen_names  # noqa: B018 - reads the code once, so that faults show at load
    except (OSError, SyntaxError) as error:
        return [f"{module}: the code of {definition.name} cannot be read: {error}"]
    return []
