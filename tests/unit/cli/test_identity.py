"""``waypost identity`` without a database: what it offers, and how it tells what is wrong."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from cli.identity import format_cut_preview, format_identity, format_quarantined
from profiles.identity.identifiers import email_hash_key
from profiles.identity.quarantine import QuarantinedIdentifier
from profiles.identity.views import LogEntry
from profiles.merging.cut_preview import AffectedRun, CutPreview, SentMessage
from tests.support.builders.identities import BROTHER, EMAIL, FIRST, PERSON, PHONE, USER, ada, held, seen
from tests.support.environments.command import call_waypost

NOWHERE = "postgresql://waypost:x@127.0.0.1:1/none"


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which nothing is broken into two lines."""
    monkeypatch.setenv("COLUMNS", "200")


def test_help_names_every_subcommand(tmp_path: Path) -> None:
    said = call_waypost("identity", "--help", folder=tmp_path).stdout

    assert [name for name in ("show", "unmerge", "mend", "release", "quarantined") if name not in said] == []


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["show", "email", "ada@example.com"], {}, "DATABASE_URL"),
        (["show", "email", "ada@example.com"], {"DATABASE_URL": NOWHERE}, "Check DATABASE_URL"),
        (["mend", "7"], {"DATABASE_URL": NOWHERE}, "Check DATABASE_URL"),
        (["quarantined"], {"DATABASE_URL": NOWHERE}, "Check DATABASE_URL"),
        (["show", "passport", "X"], {"DATABASE_URL": NOWHERE}, "no identifier type 'passport'"),
        (["release", "email", "nonsense", "--reason", "x"], {"DATABASE_URL": NOWHERE}, "not an address"),
    ],
)
def test_what_is_wrong_is_told_without_a_traceback(
    words: list[str], environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = call_waypost("identity", *words, folder=tmp_path, **environment)

    assert done.exit_code == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    "words", [["unmerge", "email", EMAIL, "--from", "phone", PHONE], ["release", "email", EMAIL]]
)
def test_nothing_is_changed_without_a_reason(words: list[str], tmp_path: Path) -> None:
    done = call_waypost("identity", *words, folder=tmp_path, DATABASE_URL=NOWHERE)

    assert done.exit_code == 2
    assert "--reason" in done.stderr


def log_entry(seq: int, kind: str, key: str | None = None, other_key: str | None = None) -> LogEntry:
    """A row of the log of Ada's profile."""
    return LogEntry(seq, FIRST, kind, PERSON, None, key, other_key, None, None, "")


def test_the_table_tells_what_joined_and_what_did_not() -> None:
    told = format_identity(ada())

    assert f"Profile {PERSON}" in told
    assert "Signed In e-180840 from shop" in told
    assert "loyalty_id:L-220871 and user_id:u-4832 stay apart" in told
    assert "2026-11-05 10:26Z" in told


def test_what_customers_wrote_is_text_in_a_table() -> None:
    told = format_identity(seen([held("user_id:[bold]x[/bold]:smile:")]))

    assert "[bold]x[/bold]:smile:" in told


def test_a_table_fits_80_columns_with_short_hashes_and_without_empty_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    hashed = email_hash_key(EMAIL)
    told = format_identity(replace(ada(), log=[log_entry(1, "joined", EMAIL, hashed)]))
    log = told.partition("\nLog ")[2]

    assert max(map(len, told.splitlines())) <= 80
    assert hashed.partition(":")[2] not in told.replace("\n", "")
    assert hashed.partition(":")[2][:12] in told
    assert "detail" not in log


def test_the_log_has_one_row_for_a_pair_and_names_the_other_profile() -> None:
    view = ada()
    joined = next(edge for edge in view.edges if edge.one == USER and edge.other == EMAIL)
    first = replace(log_entry(2, "joined", USER, EMAIL), cause=joined.cause.event_id)
    later = replace(log_entry(3, "joined", EMAIL, USER), cause=UUID(int=99))
    again = replace(log_entry(5, "joined", USER, EMAIL), at=FIRST + timedelta(days=9))
    merged = replace(log_entry(4, "merged"), other_profile_id=BROTHER)
    earlier = replace(log_entry(1, "merged"), profile_id=BROTHER, other_profile_id=UUID(int=7))
    told = format_identity(replace(view, log=[again, merged, later, first, earlier]))
    rows = [line for line in told.partition("\nLog ")[2].splitlines() if "2026-" in line]

    assert len(rows) == 4
    assert "named together by 2 events" in rows[2]
    assert "Signed In e-180840" in rows[2]
    assert "2026-11-05 10:26Z" in rows[2]
    assert f"profile {BROTHER}" in rows[1]
    assert f"profile {UUID(int=7)}" in rows[3]
    assert f"into {BROTHER}" in rows[3]


def test_a_cut_is_told_before_it_is_made() -> None:
    run = AffectedRun(UUID(int=7), "cart-abandonment", "cart-7001")
    sent = SentMessage(UUID(int=8), "win-back", "email", "we_miss_you", FIRST + timedelta(hours=1))
    told = format_cut_preview(CutPreview(PERSON, [[EMAIL], [PHONE]], [run], [sent]))
    quiet = format_cut_preview(CutPreview(PERSON, [[EMAIL], [PHONE]], [], []))

    for words in (EMAIL, PHONE, "cart-7001", "we_miss_you", "2026-11-03 09:12Z"):
        assert words in told
    assert "No message went out while they were one." in quiet


def test_the_list_of_quarantined_identifiers_says_so_when_it_is_empty() -> None:
    shared = QuarantinedIdentifier("anonymous_id", "till/3", 7, FIRST)

    assert format_quarantined([]) == "No identifier is quarantined."
    assert "till/3" in format_quarantined([shared])
