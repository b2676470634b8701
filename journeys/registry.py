"""The registry of journeys: the shipped ones, and those of the modules that a setting names."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journeys.cart_abandonment.story import CartAbandonment
from journeys.checks.errors import JourneyError, JourneyFault, import_fault
from journeys.checks.run import faults_of
from journeys.double_opt_in.story import DoubleOptIn
from journeys.post_purchase.story import PostPurchase
from journeys.source.reader import activity_name, class_source
from journeys.vocabulary.definition import JourneyDefinition
from journeys.vocabulary.journey import Journey
from journeys.win_back.story import WinBack
from policy.facts import StopKind
from policy.verdict import Channel

SHIPPED: tuple[type[Journey], ...] = (CartAbandonment, PostPurchase, WinBack, DoubleOptIn)


BUILT_IN_ACTIVITIES = frozenset(
    {
        *("send_message", "close_run", "join_audience", "suggest_items", "read_holds", "read_profile"),
        *(
            "read_delivery_reports",
            "withdraw_consent",
            "sweep_lapsed",
            "sweep_products",
            "sweep_segment",
            "sweep_templates",
        ),
        "sweep_opt_in_requests",
    }
)
"""Names of Waypost's own activities, which an author's activity may not have."""


class JourneyRegistry(Mapping[str, JourneyDefinition]):
    """Journey definitions by name."""

    def __init__(self, classes: Sequence[type[Journey]], effects: Sequence[Callable[..., Any]] = ()) -> None:
        self.classes = tuple(classes)
        self.activities = tuple(effects)
        """Activities of the authors."""
        self._by_name = {cls.definition.name: cls.definition for cls in classes}

    def __getitem__(self, name: str) -> JourneyDefinition:
        """Return the definition of that name. Raises KeyError with the known names."""
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
        """The routing table of ingest."""
        return tuple(self._by_name.values())


@dataclass(frozen=True, slots=True)
class DiscoveryResult:
    """Journeys found in the modules, and all faults."""

    journeys: JourneyRegistry
    faults: tuple[JourneyFault, ...]
    folders: tuple[Path, ...]
    """Folders with the journeys and their messages; also those of journeys that cannot be registered."""
    complete: bool
    """Whether every module could be imported."""


def load_journeys(modules: Sequence[str] = ("journeys",)) -> JourneyRegistry:
    """Load the journeys that ``JOURNEYS`` of each module lists, and the activities that ``ACTIVITIES`` lists.

    ``ACTIVITIES`` is optional. Raises JourneyError, a ValueError, with file and line of each fault.
    """
    reading = discover_journeys(modules)
    if reading.faults:
        raise JourneyError(reading.faults)
    return reading.journeys


def discover_journeys(modules: Sequence[str]) -> DiscoveryResult:
    """Load journeys without raising; journeys with faults are included."""
    classes: dict[str, type[Journey]] = {}
    effects: dict[str, Callable[..., Any]] = {}
    faults: list[JourneyFault] = []
    folders: list[Path] = []
    complete = True
    for name in modules:
        try:
            module = importlib.import_module(name)
            listed = tuple(module.JOURNEYS)
        except Exception as error:  # reported to the author, whatever the module raises
            faults.append(import_fault(name, error))
            complete = False
            continue
        for cls in listed:
            faults.extend(_registration_faults(name, cls, classes))
            folders.extend(_journey_folder(cls))
        for effect in getattr(module, "ACTIVITIES", ()):
            faults.extend(_activity_faults(name, effect, effects))
    performed = tuple(effects.values()) if complete else None
    for cls in classes.values():
        faults.extend(faults_of(cls.definition, performed))
    journeys = JourneyRegistry(tuple(classes.values()), tuple(effects.values()))
    return DiscoveryResult(journeys, tuple(faults), tuple(dict.fromkeys(folders)), complete)


def _activity_faults(module: str, effect: Any, effects: dict[str, Callable[..., Any]]) -> list[JourneyFault]:
    if (name := activity_name(effect)) is None:
        message = f"{effect!r} in ACTIVITIES is not decorated with @activity.defn of temporalio"
        return [JourneyFault(module, "", 0, message)]
    if name in BUILT_IN_ACTIVITIES or effects.get(name, effect) is not effect:
        return [
            JourneyFault(
                module, "", 0, f"an activity {name!r} is there already; give yours a name of its own"
            )
        ]
    effects[name] = effect
    return []


def _registration_faults(module: str, cls: Any, classes: dict[str, type[Journey]]) -> list[JourneyFault]:
    """Register a class if it can be registered; returns its faults."""
    if not isinstance(cls, type):
        return [
            JourneyFault(
                module, "", 0, f"JOURNEYS holds {cls!r}, which is no class; name journey classes in it"
            )
        ]
    if "definition" not in vars(cls) or not issubclass(cls, Journey):
        write = f"write @journey(starts_on=…, keyed_by=…) above class {cls.__name__}(Journey)"
        return [_fault_at_class(module, cls, f"{cls.__qualname__} is not a journey; {write}")]
    name = cls.definition.name
    if classes.setdefault(name, cls) is not cls:
        first = f"{classes[name].__module__}.{classes[name].__qualname__}"
        return [_fault_at_class(name, cls, f"the name {name!r} is taken by {first}; give it another: name=…")]
    return []


def _journey_folder(cls: Any) -> list[Path]:
    try:
        return [Path(inspect.getfile(cls)).parent]
    except (OSError, TypeError):
        return []


def _fault_at_class(journey: str, cls: type, message: str) -> JourneyFault:
    try:
        source = class_source(cls)
    except (OSError, SyntaxError, TypeError):
        return JourneyFault(journey, cls.__module__, 0, message)
    return JourneyFault(journey, source.module.file, source.node.lineno, message)


class UnknownStopTarget(LookupError):
    """An unknown channel, journey or template; the message lists the known ones."""


def check_stop_target(kind: StopKind, name: str, journeys: Mapping[str, JourneyDefinition]) -> None:
    """Check a target of a kill switch; "all" names everything. Raises ``UnknownStopTarget``."""
    known = _known_names(kind, journeys)
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    what = "such thing as" if kind is StopKind.ALL else kind.value
    raise UnknownStopTarget(f"no {what} {name!r}; known: {', '.join(known) or 'none'}{guess}")


def _known_names(kind: StopKind, journeys: Mapping[str, JourneyDefinition]) -> tuple[str, ...]:
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
