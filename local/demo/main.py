"""``waypost demo``: run a shop's simulated traffic on a local stack and summarise the results."""

import asyncio
import shutil
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from rich.console import Console

from local.data_directory import DataDirectory
from local.demo import catalog
from local.demo.console import DemoProgressBar, print_summary
from local.demo.summary import Summary, find_broken_promises, summarise
from local.demo.traffic import DemoTraffic
from local.dev import access_info, create_stack, display_path, install_stop_signals
from local.processes import StackError
from local.stack import SERVER_KEY, LocalStack
from local.temporal_server import NAMESPACE
from profiles.db.database import Database
from workers.errors import UserError
from workers.ingest_client import IngestClient
from workers.process import wait_unless_stopped
from workers.settings import StackSettings

DEFAULT_SEED = 7

_ENVIRONMENT = {
    # Without keys, since the demo's shoppers are invented, and no real message may be sent.
    **dict.fromkeys(("SENDGRID_API_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"), ""),
    "WAYPOST_JOURNEYS": "journeys",
    "WAYPOST_SHOP_NAME": catalog.SHOP_NAME,
    "WAYPOST_SHOP_ADDRESS": catalog.SHOP_ADDRESS,
    "WAYPOST_SHOP_URL": catalog.SHOP_URL,
}

_LOG_FILE = "demo.log"


async def run_demo(*, serve: bool, as_json: bool, shoppers: int = 200, seed: int = DEFAULT_SEED) -> int:
    """Run the demo on a new stack under the data directory's ``demo`` folder; returns the exit code.

    0: all promises of the demo were kept. 1: some were not; they are printed. With ``serve`` the stack runs
    until Ctrl-C, and other commands find it as they find `waypost dev`. Data of an earlier demo are removed
    first. Raises ``StackError`` and ``UserError``.
    """
    begun = time.monotonic()
    settings = StackSettings()
    folder = settings.waypost_data_dir.absolute() / "demo"
    _clear_data(folder)
    out = Console(highlight=False)
    with DemoProgressBar(Console(stderr=True, highlight=False)) as bar, (folder / _LOG_FILE).open("w") as log:
        bar.start_phase("Starting Postgres, Temporal, API, relay and worker")

        def write_log(name: str, line: str) -> None:
            print(f"{name:<8} {line}", file=log, flush=True)

        stack = create_stack(settings, folder, write_log, _ENVIRONMENT)
        async with stack:
            summary = await _await_unless_stack_fails(stack, _run_traffic(stack, bar, shoppers, seed, begun))
            bar.stop()
            summary.broken_promises = find_broken_promises(summary)
            summary.links = _browser_links(stack) if serve else {}
            if as_json:
                sys.stdout.write(orjson.dumps(summary, option=orjson.OPT_INDENT_2).decode() + "\n")
            else:
                print_summary(summary, out)
            sys.stdout.flush()
            if serve:
                front = settings.waypost_data_dir
                await _serve(stack, front, summary.links, Console(stderr=True, highlight=False))
    if not serve and not as_json:
        out.print(
            "\nAll of it is stopped; `make demo ARGS=--serve` keeps it up, to see mails and runs. "
            f"Log: {display_path(folder / _LOG_FILE)}",
            soft_wrap=True,
        )
    return 1 if summary.broken_promises else 0


async def _run_traffic(
    stack: LocalStack, bar: DemoProgressBar, shoppers: int, seed: int, begun: float
) -> Summary:
    database = Database(stack.database_url, pool_size=4)
    client = stack.temporal.client
    seconds = {"start": time.monotonic() - begun}
    try:
        async with IngestClient(stack.api_url, SERVER_KEY) as ingest_client:
            await ingest_client.require_api()
            await _require_empty_database(database)
            traffic = DemoTraffic(ingest_client, client, database, shoppers=shoppers, seed=seed, progress=bar)
            await traffic.run()
            bar.start_phase("Counting")
            summary = await summarise(
                database,
                client,
                shoppers=shoppers,
                seed=seed,
                opening=traffic.opening,
                seconds=time.monotonic() - begun,
                seconds_by_part=seconds | traffic.seconds,
            )
            summary.respelled = traffic.respelled
            return summary
    finally:
        await database.close()


async def _await_unless_stack_fails(stack: LocalStack, work: Coroutine[Any, Any, Summary]) -> Summary:
    """Await the work. Raises ``StackError`` if a process of the stack exits first."""
    working, died = asyncio.create_task(work), asyncio.create_task(stack.wait_for_failure())
    try:
        await asyncio.wait([working, died], return_when=asyncio.FIRST_COMPLETED)
        if died.done() and not working.done():
            raise died.result()
        return await working
    finally:
        died.cancel()
        working.cancel()


async def _serve(stack: LocalStack, data_dir: Path, links: dict[str, str], console: Console) -> None:
    """Publish the stack for other commands until Ctrl-C. Raises ``StackError`` if a process exits."""
    stop = install_stop_signals(lambda: console.print("Stopping …", style="bold"))
    front = DataDirectory(data_dir)
    try:
        front.acquire()
        front.publish_environment(stack.environment())
    except StackError:
        pass  # another stack holds the data directory; the demo's stack is found under its own folder
    console.print()
    for name, place in (access_info(stack) | links).items():
        console.print(f"[bold]{name:<12}[/] {place}", soft_wrap=True)
    console.print("Ctrl-C stops it; `waypost demo` starts afresh", style="bold")
    died = asyncio.create_task(stack.wait_for_failure())
    try:
        if await wait_unless_stopped(stop, died):
            raise died.result()
    finally:
        front.release()


async def _require_empty_database(database: Database) -> None:
    """Raise ``UserError`` if the database holds events: invented and real profiles must not be mixed."""
    async with database.transaction() as connection:
        if await connection.fetchval("SELECT EXISTS (SELECT 1 FROM event)"):
            raise UserError(
                "the demo wants an empty database, and DATABASE_URL names one that holds events: "
                "unset it (the demo then brings its own), or name an empty one"
            )


def _clear_data(folder: Path) -> None:
    """Remove the data of an earlier demo. Raises ``StackError`` while a demo runs on the folder."""
    held = DataDirectory(folder)
    held.acquire()
    try:
        for left in folder.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
    finally:
        held.release()


def _browser_links(stack: LocalStack) -> dict[str, str]:
    query = quote("JourneyKey IS NOT NULL")
    return {
        "Temporal UI": f"{stack.ui_url}/namespaces/{NAMESPACE}/workflows?query={query}",
        "Mailbox": f"{stack.api_url}/sandbox",
        "API docs": f"{stack.api_url}/docs",
    }
