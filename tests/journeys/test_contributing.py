"""CONTRIBUTING.md, done as it says, in a copy of the clone."""

from pathlib import Path

import pytest

from tests.support.docs import ROOT, blocks_of, commands_of
from tests.support.reader import reader_in

PAGE = ROOT / "CONTRIBUTING.md"


@pytest.mark.timeout(500)
def test_each_command_that_needs_no_stack_does_what_the_page_says(tmp_path: Path) -> None:
    reader = reader_in(tmp_path, leave_out=("acceptance",))
    typed = []
    for block in blocks_of(PAGE):
        if block.mark.startswith("file="):
            reader.writes(block)
        if block.language != "console" or block.mark in ("once", "live"):
            continue
        for command in commands_of(block):
            if command.words[0] == "curl":
                continue  # sent by the test of the documents' requests
            answer = reader.types(command)
            typed.append(command.words[0])

            assert set(command.answer.splitlines()) <= set(answer.splitlines()), answer
    assert (typed.count("python"), typed.count("waypost"), typed.count("make")) == (6, 1, 1)


def test_the_files_that_the_page_changes_differ_from_the_shipped_ones_in_one_line() -> None:
    changed = [block for block in blocks_of(PAGE) if block.mark.startswith("file=")]
    there = [block for block in changed if (ROOT / block.mark.partition("=")[2]).exists()]

    [message, _] = there
    shipped = (ROOT / message.mark.partition("=")[2]).read_text("utf-8").splitlines()
    assert sum(a != b for a, b in zip(shipped, message.text.splitlines(), strict=True)) == 1
