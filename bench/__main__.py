"""``python -m bench``: measure Waypost and the bare components it uses, and print and store the results."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import gate, hostile, identity, ingest, journeys, latency, machine
from bench.report import BenchComparison, comparison_table
from bench.servers import start_servers
from bench.sizes import DEFAULT, FULL, QUICK, SEED, Sizes

BENCHES: dict[str, ModuleType] = {
    bench.NAME: bench for bench in (ingest, identity, journeys, latency, gate, hostile)
}
RESULTS = Path(__file__).parent / "results"

_MIN_TABLE_WIDTH = 132
"""Width in columns, below which the table is not readable."""


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes, coarse results.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Larger sizes, for published figures.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help=f"One of {', '.join(BENCHES)}.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON instead of a table.")
    ] = False,
) -> None:
    """Measure ingest, identity, journeys, latency and the gate beside bare counterparts, and an attack."""
    if quick and full:
        raise typer.BadParameter("--quick and --full exclude one another")
    unknown = sorted(set(only or ()) - set(BENCHES))
    if unknown:
        raise typer.BadParameter(f"no bench {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    sizes = QUICK if quick else FULL if full else DEFAULT
    chosen = [bench for name, bench in BENCHES.items() if not only or name in only]
    started = machine.describe_machine()
    comparisons = asyncio.run(_measure_all(chosen, sizes))
    encoded = encode_results(started, sizes, comparisons)
    path = _write_results(encoded)
    if as_json:
        print(encoded.decode())
    else:
        console = Console()
        console.width = max(console.width, _MIN_TABLE_WIDTH)
        console.print(comparison_table(comparisons))
        console.print(_format_conditions(started, sizes))
    Console(stderr=True).print(f"Kept in {path}.")
    sys.stdout.flush()
    # The Temporal SDK may crash during the interpreter shutdown of a short process.
    os._exit(0)


async def _measure_all(benches: list[ModuleType], sizes: Sizes) -> list[BenchComparison]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    comparisons: list[BenchComparison] = []
    with (
        tempfile.TemporaryDirectory(prefix="waypost-bench-") as folder,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        total = sum(bench.steps(sizes) for bench in benches)
        bar = progress.add_task("starting Postgres and Temporal", total=total + 1)

        def report_progress(description: str) -> None:
            progress.update(bar, description=description, advance=1)

        async with start_servers(Path(folder)) as servers:
            for bench in benches:
                measure: Callable[..., Coroutine[Any, Any, list[BenchComparison]]] = bench.measure
                comparisons += await measure(servers, sizes, report_progress)
            progress.update(bar, description="done", advance=1)
    return comparisons


def encode_results(started: dict[str, Any], sizes: Sizes, comparisons: list[BenchComparison]) -> bytes:
    """Return the results file: the machine, the sizes, and every value of every repeat, as JSON."""
    content = {
        "machine": started,
        "load_average_at_the_end": machine.describe_machine()["load_average"],
        "seed": SEED,
        "sizes": sizes,
        "comparisons": [each.as_json() for each in comparisons],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def _write_results(results: bytes) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    path.write_bytes(results)
    return path


def _format_conditions(started: dict[str, Any], sizes: Sizes) -> str:
    load = ", ".join(f"{each:.2f}" for each in started["load_average"])
    is_busy = started["load_average"][0] > 0.5 * started["cores"]
    warning = (
        " [bold]The machine was busy: trust the ratios little, the rest not at all.[/bold]" if is_busy else ""
    )
    return (
        f"{started['cores']} cores, {started['system']}, Python {started['python']}; "
        f"{sizes.repeats} repeats ({sizes.name}); load average at the start {load}.{warning}\n"
        "How to read this, and what it does not show: docs/explanation/benchmarks.md"
    )


if __name__ == "__main__":
    typer.run(main)
