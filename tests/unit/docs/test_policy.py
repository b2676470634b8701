"""The pages about the policy are true: their files are read, and the faults are those that are told."""

import re
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

from cli.policy import check_policy_file
from policy.config.policy_file import read_policy
from policy.limits import Limits
from tests.support.docs import ROOT, Block, blocks, commands

PAGE = ROOT / "docs" / "reference" / "policy.md"


def examples() -> list[Block]:
    """Every piece of a policy on the page; those in a list are indented."""
    found = [block for block in blocks("toml", "policy") if block.document == PAGE]
    indented = re.findall(
        r"^  ```toml policy\n(.*?)^  ```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return found + [Block(PAGE, 0, "toml", "policy", textwrap.dedent(text)) for text in indented]


def test_the_whole_file_on_the_page_says_the_defaults_and_every_one_of_them() -> None:
    whole, *_ = examples()

    # A value that is new: write it into the file of docs/reference/policy.md, with its default and a comment.
    assert Limits() == read_policy(whole.text).limits
    assert set(read_policy(whole.text).lines) >= {("holdout",), ("caps",), ("quiet_hours", "sms", "opens")}
    assert [one.name for one in fields(Limits) if not re.search(rf"\b{one.name}\b", whole.text)] == []


def test_every_other_piece_changes_something() -> None:
    others = examples()[1:]

    assert others
    assert [block.text for block in others if read_policy(block.text).limits == Limits()] == []


def test_the_faults_on_the_page_are_those_that_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [faulty] = blocks("toml", "faulty")
    [command] = [one for one in commands("waypost") if one.words[1:3] == ("policy", "check")]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "shop.toml").write_text(faulty.text, "utf-8")

    assert (command.answer, False) == check_policy_file(Path(command.words[3]), as_json=False)
