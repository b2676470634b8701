"""``waypost consents`` and ``waypost migrate --app-role`` on a real database."""

import json
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from profiles.db.database import Database
from profiles.db.sql import new_id
from tests.support.environments.command import call_waypost
from tests.support.environments.ingest import IngestHarness

PHONE = "+4915112345678"


def waypost(url: str, *words: str, code: int = 0, **more: Any) -> str:
    """What the command printed; it must end with this code."""
    done = call_waypost(*words, DATABASE_URL=url, **more)
    assert done.exit_code == code, done.stderr
    return done.stdout + done.stderr


async def test_a_reply_is_listed_kept_or_taken_back(database: Database, database_url: str) -> None:
    facts = IngestHarness(database)
    for text in ("who is this", "[b]wrong number[/b]"):
        await facts.happens("Message Replied", {"text": text}, channel="sms", phone=PHONE)
    table = waypost(database_url, "consents", "review")
    listed = json.loads(waypost(database_url, "consents", "review", "--json"))["replies"]
    newest, oldest = (str(one["entry_id"]) for one in listed)
    kept = waypost(database_url, "consents", "keep", newest)
    restored = json.loads(waypost(database_url, "consents", "restore", oldest, "--json"))

    assert all(word in table for word in ("+49…78", "who is this", "[b]wrong number[/b]", "opted out of all"))
    assert PHONE not in table + str(listed)
    assert f"Reply {newest} stays an opt-out" in kept
    assert (restored["state"], restored["reviews"]) == ("granted", int(oldest))
    assert "No reply waits" in waypost(database_url, "consents", "review")
    assert "was reviewed before by command/" in waypost(database_url, "consents", "keep", newest, code=1)
    assert "999 is no doubtful reply" in waypost(database_url, "consents", "restore", "999", code=1)


async def test_migrating_makes_a_role_that_can_log_in(database_url: str) -> None:
    role = f"waypost_app_{new_id().hex}"
    without = waypost(database_url, "migrate", "--app-role", role)
    told = waypost(database_url, "migrate", "--app-role", role, DATABASE_APP_PASSWORD="secret-of-tests")
    place = urlsplit(database_url).netloc.rpartition("@")[2]
    as_app = urlsplit(database_url)._replace(netloc=f"{role}:secret-of-tests@{place}").geturl()
    try:
        assert f"Role {role} was made" in without
        assert "no password yet" in without
        assert f"Role {role} may run Waypost, and only add to its ledgers." in told
        assert "secret-of-tests" not in told
        assert "No reply waits" in waypost(as_app, "consents", "review")
        assert "no privilege binds it" in waypost(
            database_url, "migrate", "--app-role", str(urlsplit(database_url).username), code=1
        )
    finally:
        owner = await asyncpg.connect(database_url)
        await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await owner.close()
