"""The table of what each word costs, in Markdown, as the documentation shows it."""

from collections import Counter

from journeys.vocabulary import Journey
from tests.support.journeys.costs import deciding, reaching, waiting
from tests.support.journeys.costs.row import ACTIVITY, TIMER, Row

BEGIN, END = "<!-- actions -->", "<!-- /actions -->"

_PLURALS = {ACTIVITY: "activities", TIMER: "timers"}

STORIES: tuple[type[Journey], ...] = tuple(
    found
    for module in (waiting, reaching, deciding)
    for found in vars(module).values()
    if isinstance(found, type) and isinstance(getattr(found, "row", None), Row)
)
"""Journeys with a row, in the order in which they are written."""


def row_of(story: type[Journey]) -> Row:
    """The row that a journey carries."""
    row = vars(story)["row"]
    assert isinstance(row, Row)
    return row


def markdown() -> str:
    """The whole table, with what every run costs at its top."""
    return "\n".join(
        [
            "| Word | Case | Actions | Made of |",
            "| --- | --- | --- | --- |",
            "| the entry | the run starts and receives its first event | 1 | start with signal |",
            "| each event | delivered to the run, whether or not the run waits for it | 1 | signal |",
            "| the end | the run is closed | 1 | activity |",
            *(
                f"| `{row.word}` | {row.case or 'always'} | {len(row.costs)} | {_made_of(row)} |"
                for row in map(row_of, STORIES)
            ),
        ]
    )


def documented(text: str) -> str | None:
    """The table of a document, between its marks; None where it has none."""
    _, begun, rest = text.partition(BEGIN)
    table, ended, _ = rest.partition(END)
    return table.strip() if begun and ended else None


def _made_of(row: Row) -> str:
    counted = Counter(row.costs)
    return ", ".join(kind if count == 1 else f"{count} {_PLURALS[kind]}" for kind, count in counted.items())
