"""Run a scenario through a journey's real code on virtual time, and collect the result."""

import importlib.util
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from temporalio.exceptions import ApplicationError

from authoring.preview.scenario import read_scenario
from authoring.testing.calendar import DEFAULT_START, DEFAULT_TIMEZONE, next_time_of_day
from authoring.testing.observations import Received, Withheld
from authoring.testing.shop import Shop
from authoring.testing.shopper import Shopper
from authoring.testing.timeline import Timeline
from journeys.registry import JourneyRegistry
from journeys.source.reader import activity_name
from workers.errors import UserError

ScenarioRunner = Callable[[Shop], Awaitable[Shopper]]
"""Runs a scenario in a shop, from its opening to its end."""


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """The result of a scenario."""

    journey: str
    scenario: str
    timeline: Timeline
    received: tuple[Received, ...]
    withheld: tuple[Withheld, ...]
    outcome: str | None
    error: str | None = None
    """Why the scenario stopped early; empty where it ran to its end."""

    @property
    def ending(self) -> str:
        """The journey's end, in words."""
        return f"ended as {self.outcome}" if self.outcome else "has not ended"


def load_scenario(path: Path, journeys: JourneyRegistry, journey: str) -> ScenarioRunner:
    """Return the scenario of a YAML or a Python file. Raises ``UserError`` with all faults of the file."""
    load = _load_python if path.suffix == ".py" else _load_yaml
    return load(path, journeys, journey)


def _load_yaml(path: Path, journeys: JourneyRegistry, journey: str) -> ScenarioRunner:
    scenario = read_scenario(path)
    if unknown := [name for name in scenario.also_runs if name not in journeys]:
        there = ", ".join(sorted(journeys))
        raise UserError(f"{path.name}: also_runs: no journey {', '.join(unknown)}; registered: {there}")
    known = [journeys[name].cls for name in dict.fromkeys((journey, *scenario.also_runs))]
    zone = str(scenario.shopper.get("timezone") or DEFAULT_TIMEZONE)

    async def tell(shop: Shop) -> Shopper:
        shop(
            journeys=known,
            starts_at=_resolve_start(scenario.starts_at, zone),
            effects=stub_activities(journeys, scenario.effects),
        )
        for product, details in scenario.products.items():
            shop.sells(product, **details)
        shopper = await shop.shopper(**scenario.shopper)
        for step in scenario.story:
            try:
                await getattr(shopper, step.verb)(*step.arguments, **step.keywords)
            except UserError as fault:
                raise UserError(f"{scenario.file_name}:{step.line}: {fault}") from fault
        return shopper

    return tell


def _load_python(path: Path, journeys: JourneyRegistry, journey: str) -> ScenarioRunner:
    spec = importlib.util.spec_from_file_location("waypost_preview_scenario", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UserError(f"there is no scenario {path}; name a file with `async def scenario(shopper)`")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scenario = getattr(module, "scenario", None)
    if not inspect.iscoroutinefunction(scenario):
        raise UserError(f"{path} has no `async def scenario(shopper)`; that is what a preview tells")
    parameters = list(inspect.signature(scenario).parameters)

    async def tell(shop: Shop) -> Shopper:
        shop(journeys=[journeys[journey].cls], effects=stub_activities(journeys, {}))
        if parameters == ["shop"]:
            found = await scenario(shop)
            return found if isinstance(found, Shopper) else shop.shoppers[0]
        shopper = await shop.shopper()
        await scenario(shopper)
        return shopper

    return tell


def stub_activities(journeys: JourneyRegistry, answers: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """Return a stub for each activity of the author, which returns the scenario's answer."""
    names = filter(None, map(activity_name, journeys.activities))
    return {name: _stub_activity(name, answers) for name in names}


def _stub_activity(name: str, answers: Mapping[str, Any]) -> Callable[..., Any]:
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


def _resolve_start(wanted: datetime | time | None, zone: str) -> datetime:
    if isinstance(wanted, time):
        local = DEFAULT_START.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0)
        return next_time_of_day(local - timedelta(seconds=1), wanted, zone)
    return wanted or DEFAULT_START
