"""docs/reference/events.md lists the bounds of events as the code has them."""

from pathlib import Path

from profiles.state.bounds import limits_table

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "events.md"


def test_the_page_of_events_lists_every_bound() -> None:
    rows = "\n".join(f"| {where} | {limit} | {beyond} |" for where, limit, beyond in limits_table())

    assert rows in PAGE.read_text("utf-8"), f"write this table into {PAGE.name}:\n{rows}"
