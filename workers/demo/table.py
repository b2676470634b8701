"""The demo's summary as one table for people."""

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table

from workers.demo.summary import Counts, Summary

Row = tuple[str, int | str, str]

_REASONS = {
    "purchased": "bought already",
    "no_consent": "no consent",
    "opted_out": "opted out",
    "capped": "frequency cap",
    "no_address": "no address on file",
    "bounced": "address bounced before",
    "expired": "too late to make sense",
    "run_ended": "not in the cart any more",
}

_CHANNELS = {"email": "mails", "sms": "text messages"}
_READ = {"opened": "opened", "clicked": "followed a link"}


def show(summary: Summary, console: Console) -> None:
    """Print the table, the example and where to look."""
    table = Table(
        title=f"{summary.shoppers} shoppers, 48 days, {summary.seconds:.0f} seconds",
        box=box.SIMPLE_HEAD,
        title_style="bold",
        show_header=False,
    )
    table.add_column(style="bold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    for section in (_came_in(summary), _journeys(summary), _went_out(summary), _silence(summary)):
        for name, count, detail in section:
            table.add_row(name, f"{count:,}" if isinstance(count, int) else count, detail)
        table.add_section()
    broken = summary.bought_items_promoted_after_purchase
    table.add_row(
        "bought items promoted after purchase",
        f"[bold {'red' if broken else 'green'}]{broken}[/]",
        "checked over every decision",
    )
    console.print(table)
    if summary.example:
        console.print(summary.example, style="bold", soft_wrap=True, markup=False)
    console.print()
    for name, link in summary.links.items():
        console.print(f"[bold]{name:<12}[/] {link}", soft_wrap=True)
    for promise in summary.broken_promises:
        console.print(f"[bold red]Not as promised:[/] {promise}", soft_wrap=True)


def _came_in(summary: Summary) -> Iterator[Row]:
    shop = summary.shop
    yield "events", sum(summary.events.values()), _listed(summary.events)
    yield "people", shop["people"], f"{shop['merged']} more profiles turned out to be one of them, and merged"
    orders = shop["orders_web"] + shop["orders_store"]
    yield "carts filled", shop["carts_filled"], ""
    yield (
        "orders",
        orders,
        f"{shop['orders_web']} online, {shop['orders_store']} in a store, {shop['orders_older']} older ones",
    )


def _journeys(summary: Summary) -> Iterator[Row]:
    for journey, outcomes in summary.runs.items():
        yield f"runs of {journey}", sum(outcomes.values()), _listed(outcomes)


def _went_out(summary: Summary) -> Iterator[Row]:
    for channel, templates in summary.messages.items():
        yield f"{_CHANNELS.get(channel, channel)} sent", sum(templates.values()), _listed(templates)
    read = {word: summary.statuses.get(status, 0) for status, word in _READ.items()}
    yield "opened or followed", sum(read.values()), _listed(read)
    withheld = {_REASONS.get(reason, reason): n for reason, n in summary.withheld.items()}
    yield "withheld by the gate", sum(withheld.values()), _listed(withheld)
    found = summary.silence
    yield "deferred for quiet hours", found["deferred"], "decided afresh when the morning came"
    yield "opted out by one click", found["one_click"], "the link of a mail; it holds for the address"


def _silence(summary: Summary) -> Iterator[Row]:
    found = summary.silence
    yield "promotions withheld, bought", found["withheld_bought"], "at the gate: no item in them was left"
    yield "cart journeys silenced", found["carts_silenced"], "a purchase ended them, in the middle of a wait"
    yield (
        "carts shrunk",
        found["shrunk_carts"],
        f"some of it was bought; {found['shrunk_messages']} messages went out without an item",
    )
    yield (
        "ad audience removals",
        found["audience_bought"],
        f"on purchase; the other {found['audience_run_ended']} of {found['audience_joined']} with their run",
    )


def _listed(counts: Counts) -> str:
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n)
