"""Console output of the demo: the progress bar, and the summary as a table."""

from collections.abc import Iterator
from typing import Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.demo.calendar import PHASE_NAMES
from local.demo.summary import Counts, Summary

TableRow = tuple[str, int, str]

_REASON_LABELS = {
    "purchased": "bought",
    "expired": "too late",
    "run_ended": "not in the cart any more",
    "out_of_stock": "sold out",
}

_CHANNEL_LABELS = {"email": "mails", "sms": "text messages"}

_ENGAGEMENT_LABELS = {"opened": "opened", "clicked": "followed a link"}

_PHASE_COUNT = 4 + len(PHASE_NAMES)
"""Start, older orders, sweep, the phases of the calendar, and the count."""


def print_summary(summary: Summary, console: Console) -> None:
    """Print the table, the checks, the example, and the broken promises."""
    table = _table()
    table.title = f"{summary.shoppers} shoppers, 48 days, {summary.seconds:.0f} seconds"
    for section in (
        _input_rows(summary),
        _run_rows(summary),
        _message_rows(summary),
        _suppressed_rows(summary),
    ):
        for name, count, detail in section:
            table.add_row(name, f"{count:,}", detail)
        table.add_section()
    console.print(table)
    # A separate table, so that its long names do not narrow the details of the first one.
    checked = _table(frame=None)
    for name, breaches in (
        ("bought items promoted after purchase", summary.bought_items_promoted_after_purchase),
        ("promoted while a ticket was open", summary.promoted_while_a_ticket_was_open),
    ):
        number = f"[bold {'red' if breaches else 'green'}]{breaches}[/]"
        checked.add_row(name, number, "checked over every decision")
    console.print(checked)
    if summary.example:
        console.print()
        console.print(summary.example, style="bold", soft_wrap=True, markup=False)
    for promise in summary.broken_promises:
        console.print(f"[bold red]Not as promised:[/] {promise}", soft_wrap=True)


def _table(frame: box.Box | None = box.SIMPLE_HEAD) -> Table:
    padding = (0, 1) if frame else (0, 1, 0, 2)
    table = Table(box=frame, title_style="bold", show_header=False, padding=padding)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    return table


def _input_rows(summary: Summary) -> Iterator[TableRow]:
    shop = summary.shop
    yield _total("events", summary.events)
    spellings = "names in lower case, ids with blanks, lists as objects, amounts as text"
    yield "in other spellings", summary.respelled, spellings
    yield "people", shop["people"], f"{shop['merged']} more profiles turned out to be one of them"
    orders = {"online": shop["orders_web"], "in a store": shop["orders_store"]}
    filled, older = shop["carts_filled"], shop["orders_older"]
    yield _total("orders", orders, f"; {filled} carts filled; {older} older orders")


def _run_rows(summary: Summary) -> Iterator[TableRow]:
    for journey, outcomes in summary.runs.items():
        yield _total(f"runs of {journey}", outcomes)
    for experiment, arms in summary.experiments.items():
        yield "in an experiment", sum(arms.values()), f"{experiment}: {_format_counts(arms)}"


def _message_rows(summary: Summary) -> Iterator[TableRow]:
    for channel, templates in summary.messages.items():
        yield _total(f"{_CHANNEL_LABELS.get(channel, channel)} sent", templates)
    read = {word: summary.statuses.get(status, 0) for status, word in _ENGAGEMENT_LABELS.items()}
    yield _total("opened or followed", read, f"; {summary.silence['one_click']} opted out by one click")
    found = summary.patience
    news = f"{found['cheaper']} held something cheaper now, {found['back_in_stock']} something back in stock"
    yield "news about a cart", found["told"], news
    kept = f"one for each thing kept ({found['sent_back']} went back); {found['reviewed']} reviews came"
    yield "asked for a review", found["reviews_asked"], kept


def _suppressed_rows(summary: Summary) -> Iterator[TableRow]:
    found, patience = summary.silence, summary.patience
    withheld = {_REASON_LABELS.get(reason, reason): n for reason, n in summary.withheld.items()}
    yield _total("withheld by the gate", withheld)
    after, never = patience["held_and_sent"], patience["held"] - patience["held_and_sent"]
    cases = f"{patience['tickets']} tickets, {patience['returns']} returns"
    yield (
        "held for ticket or return",
        patience["held"],
        f"{cases}; {after} sent once closed, {never} not at all",
    )
    yield "put off for quiet hours", found["deferred"], "decided afresh when the morning came"
    sold_out = {"withheld": patience["withheld_sold_out"], "sent without it": patience["shrunk_sold_out"]}
    yield _total("sold out when due", sold_out)
    yield "cart journeys silenced", found["carts_silenced"], "a purchase ended them, in the middle of a wait"
    shrunk = f"some of it was bought; {found['shrunk_messages']} messages went out without an item"
    yield "carts shrunk", found["shrunk_carts"], shrunk
    others = f"the other {found['audience_run_ended']} of {found['audience_joined']} with their run"
    yield "ad audience removals", found["audience_bought"], f"on purchase; {others}"


def _total(name: str, counts: Counts, more: str = "") -> TableRow:
    return name, sum(counts.values()), _format_counts(counts) + more


def _format_counts(counts: Counts) -> str:
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n)


class DemoProgressBar:
    """Progress over all phases: a bar on a terminal, else one printed line per phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<52}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=_PHASE_COUNT)
        self._phase_index = -1

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_phase(self, name: str) -> None:
        """Begin a phase; the previous one is complete."""
        self._phase_index += 1
        self._progress.update(self._task, description=name, completed=self._phase_index)
        if not self._console.is_terminal:
            self._console.print(f"{name} …", markup=False)

    def set_share(self, share: float) -> None:
        """Set the share of the phase that is done, from 0 to 1."""
        self._progress.update(self._task, completed=self._phase_index + share)

    def stop(self) -> None:
        """Remove the bar. Idempotent."""
        self._progress.stop()
