"""Tell a scenario to a journey's real code on virtual time, and keep what came of it."""

import importlib.util
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from temporalio.exceptions import ApplicationError

from authoring.preview.scenario import Scenario, read
from authoring.testing.calendar import START, ZONE, next_time
from authoring.testing.observations import Received, Withheld
from authoring.testing.shop import Shop
from authoring.testing.shopper import Shopper
from authoring.testing.timeline import Timeline
from journeys.registry import Journeys
from workers.process import Fault

Scene = Callable[[Shop], Awaitable[Shopper]]
"""Tells a scenario in a shop, from its opening to its end."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a scenario."""

    journey: str
    scenario: str
    timeline: Timeline
    received: tuple[Received, ...]
    withheld: tuple[Withheld, ...]
    outcome: str | None
    fault: str | None = None
    """Why it could not be told to its end."""


def scene_of(path: Path, journeys: Journeys, journey: str) -> Scene:
    """What to tell, from a YAML or a Python file. Raises ``Fault`` with what is wrong in it."""
    return (
        _from_python(path, journeys, journey) if path.suffix == ".py" else _from_yaml(path, journeys, journey)
    )


def _from_yaml(path: Path, journeys: Journeys, journey: str) -> Scene:
    scenario = read(path)
    known = [journeys[name].cls for name in dict.fromkeys((journey, *_checked(scenario, journeys)))]
    zone = str(scenario.shopper.get("timezone") or ZONE)

    async def tell(shop: Shop) -> Shopper:
        shop(
            journeys=known,
            starts_at=_start(scenario.starts_at, zone),
            effects=stand_ins(journeys, scenario.effects),
        )
        for product, details in scenario.products.items():
            shop.sells(product, **details)
        shopper = await shop.shopper(**scenario.shopper)
        for step in scenario.story:
            try:
                await getattr(shopper, step.verb)(*step.arguments, **step.named)
            except Fault as fault:
                raise Fault(f"{scenario.name}:{step.line}: {fault}") from fault
        return shopper

    return tell


def _from_python(path: Path, journeys: Journeys, journey: str) -> Scene:
    spec = importlib.util.spec_from_file_location("waypost_preview_scenario", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise Fault(f"there is no scenario {path}; name a file with `async def scenario(shopper)`")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scenario = getattr(module, "scenario", None)
    if not inspect.iscoroutinefunction(scenario):
        raise Fault(f"{path} has no `async def scenario(shopper)`; that is what a preview tells")
    parameters = list(inspect.signature(scenario).parameters)

    async def tell(shop: Shop) -> Shopper:
        shop(journeys=[journeys[journey].cls], effects=stand_ins(journeys, {}))
        if parameters == ["shop"]:
            found = await scenario(shop)
            return found if isinstance(found, Shopper) else shop.shoppers[0]
        shopper = await shop.shopper()
        await scenario(shopper)
        return shopper

    return tell


def stand_ins(journeys: Journeys, answers: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """For every activity of the author's own one that only answers: a preview does nothing to the world."""
    names = [str(vars(effect)["__temporal_activity_definition"].name) for effect in journeys.effects]
    return {name: _answering(name, answers) for name in names}


def _answering(name: str, answers: Mapping[str, Any]) -> Callable[..., Any]:
    async def answer(*_: Any) -> Any:
        if name in answers:
            return answers[name]
        raise ApplicationError(
            f"{name} is an activity of your own, which a preview does not run; say in the scenario what it "
            f"answers, as in `effects: {{{name}: 250}}`",
            type="NoStandIn",
            non_retryable=True,
        )

    return answer


def _checked(scenario: Scenario, journeys: Journeys) -> tuple[str, ...]:
    if unknown := [name for name in scenario.also_runs if name not in journeys]:
        there = ", ".join(sorted(journeys))
        raise Fault(f"{scenario.name}: also_runs: no journey {', '.join(unknown)}; registered: {there}")
    return scenario.also_runs


def _start(wanted: datetime | time | None, zone: str) -> datetime:
    if isinstance(wanted, time):
        local = START.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0)
        return next_time(local - timedelta(seconds=1), wanted, zone)
    return wanted or START
