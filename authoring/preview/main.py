"""The command ``waypost preview``: start temporary servers, run one scenario, print or save the result."""

import json
import logging
import sys
import tempfile
import webbrowser
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from authoring.preview.page import render_page
from authoring.preview.runner import PreviewResult, ScenarioRunner, load_scenario
from authoring.preview.scenario import SAMPLE_SCENARIO
from authoring.testing.shop import Shop
from journeys.registry import JourneyRegistry, load_journeys
from local.postgres import EmbeddedPostgres
from local.temporal_server import TemporalDevServer
from policy.config.policy_file import Policy
from policy.config.settings import PolicySettings
from profiles.db.migrate import upgrade_schema
from workers.errors import UserError
from workers.startup import load_policy

DEFAULT_SCENARIO_FILE = "preview.yaml"
"""File name of the scenario beside a journey's story."""


async def run_preview(
    journey: str,
    modules: Sequence[str],
    *,
    scenario: Path | None = None,
    html: Path | None = None,
    open_browser: bool = False,
    as_json: bool = False,
) -> int:
    """Run a scenario and print the result; returns the exit code, 1 where the scenario stopped early.

    Uses the policy file that ``WAYPOST_POLICY`` names, if it is set. Sends nothing to a provider,
    whatever keys are set. Leaves no process running. Raises ``UserError``.
    """
    journeys = _load_journeys(modules, journey)
    path = scenario or journeys[journey].folder / DEFAULT_SCENARIO_FILE
    if scenario is None and not path.exists():
        raise UserError(
            f"{journey} has no {DEFAULT_SCENARIO_FILE} yet; write {path}, for example:\n\n{SAMPLE_SCENARIO}"
        )
    scene = load_scenario(path, journeys, journey)
    policy = load_policy(PolicySettings())
    _silence_logs()
    result = await _run_scenario(scene, journey, path.name, policy)
    if html is not None or open_browser:
        html = _write_page(result, html)
    print(json.dumps(to_json_values(result), indent=2) if as_json else format_result(result))
    if html is not None and not as_json:
        print(f"\n{html}")
    if html is not None and open_browser:
        webbrowser.open(html.resolve().as_uri())
    if result.error is not None:
        print(f"\n{result.error}", file=sys.stderr)
    return 0 if result.error is None else 1


async def _run_scenario(scene: ScenarioRunner, journey: str, name: str, policy: Policy) -> PreviewResult:
    async with _start_servers() as (database_url, temporal):
        shop = Shop(database_url, temporal.client)
        if policy.name:
            shop(limits=policy.limits)
        fault: str | None = None
        try:
            await scene(shop)
        except (UserError, AssertionError) as error:
            if not shop.shoppers:
                raise
            fault = str(error)
        finally:
            await shop.close()
        return collect_result(shop, journey, name, fault)


def collect_result(shop: Shop, journey: str, name: str, fault: str | None) -> PreviewResult:
    """Collect the timeline and the messages of a shop's first shopper."""
    shopper = shop.shoppers[0]
    return PreviewResult(
        journey=journey,
        scenario=name,
        timeline=shopper.timeline,
        received=tuple(shopper.received),
        withheld=tuple(shopper.withheld),
        outcome=next((run.outcome for run in reversed(shopper.runs) if run.journey == journey), None),
        error=fault,
    )


@asynccontextmanager
async def _start_servers() -> AsyncIterator[tuple[str, TemporalDevServer]]:
    """Start a Postgres and a Temporal for this preview only; the database of DATABASE_URL is not used."""
    _show_progress("Starting Postgres and Temporal for the preview ...")
    with tempfile.TemporaryDirectory(prefix="waypost-preview-", ignore_cleanup_errors=True) as folder:
        async with EmbeddedPostgres(Path(folder) / "postgres") as postgres, TemporalDevServer() as temporal:
            await upgrade_schema(postgres.database_url)
            _show_progress("Running the scenario ...")
            yield postgres.database_url, temporal
            _show_progress("")


def format_result(result: PreviewResult) -> str:
    """Return the timeline and a summary line as text."""
    got = ", ".join(f"{each} ({each.channel.value})" for each in result.received) or "nothing"
    kept = ", ".join(f"{each} ({each.reason})" for each in result.withheld)
    more = f"; withheld: {kept}" if kept else ""
    return f"{result.timeline}\n\n{result.journey} {result.ending}; received: {got}{more}"


def to_json_values(result: PreviewResult) -> dict[str, Any]:
    """Return the result as JSON values."""
    return {
        "journey": result.journey,
        "scenario": result.scenario,
        "outcome": result.outcome,
        "fault": result.error,
        "timeline": result.timeline.as_json(),
        "messages": [
            {
                "template": str(each),
                "message_id": str(each.message_id),
                "channel": each.channel.value,
                "at": each.at.isoformat(timespec="seconds"),
                "items": list(each.items),
                "status": each.status,
                "subject": each.subject,
                "text": each.text,
                "html": each.html,
            }
            for each in result.received
        ],
        "withheld": [
            {
                "template": str(each),
                "channel": each.channel.value,
                "reason": each.reason,
                "detail": each.detail,
            }
            for each in result.withheld
        ],
    }


def _write_page(result: PreviewResult, to: Path | None) -> Path:
    path = to or Path(tempfile.mkdtemp(prefix="waypost-preview-")) / f"{result.journey}.html"
    try:
        path.write_text(render_page(result), "utf-8")
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}; name a file in a folder that exists"
        ) from error
    return path


def _load_journeys(modules: Sequence[str], journey: str) -> JourneyRegistry:
    try:
        journeys = load_journeys(modules)
        journeys[journey]
    except (KeyError, ValueError) as error:
        raise UserError(str(error.args[0])) from error
    return journeys


def _silence_logs() -> None:
    """Suppress log lines: the timeline reports the same facts, in order."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)


def _show_progress(words: str) -> None:
    """Print a line for a step that takes long; on a terminal it is erased afterwards."""
    if sys.stderr.isatty():
        print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)
    elif words:
        print(words, file=sys.stderr, flush=True)
