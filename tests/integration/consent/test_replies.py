"""Answers to text messages: STOP at once, in doubt as well, START only where a reply had stopped."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from policy.verdict import Channel
from profiles.consent import review
from profiles.consent.review import DoubtfulReply, annul_opt_out, confirm_opt_out
from profiles.db.database import Database
from profiles.errors import NoChange, NotFound
from profiles.ingest.event_store import IngestResult
from profiles.messaging.claims import record_address_problem
from tests.support.environments.api import SERVER, SERVER_KEYS, event, opened
from tests.support.environments.ingest import CARTS, IngestHarness
from tests.support.queries.consent import may_mail, run_of

PHONE, OTHER, ADA = "+4915112345678", "+4915112345679", "ada@example.com"

OUT = ["opted_out", "no_consent"]

NEVER_ASKED = ["no_consent"]


class Texting:
    """Somebody with a phone, who answers."""

    def __init__(self, database: Database) -> None:
        self.facts = IngestHarness(database, CARTS)
        self.hours = 100.0

    async def agrees(self, **who: str) -> None:
        self.run_id = await run_of(self.facts, **(who or {"phone": PHONE}))
        await self.facts.happens(
            "Consent Changed", self.said("granted"), ago=timedelta(hours=200), phone=PHONE
        )

    def said(self, state: str) -> dict[str, Any]:
        return {"channel": "sms", "state": state}

    async def answers(self, text: str, phone: str = PHONE, hours_ago: float | None = None) -> IngestResult:
        self.hours -= 1
        ago = timedelta(hours=self.hours if hours_ago is None else hours_ago)
        return await self.facts.happens(
            "Message Replied", {"text": text}, channel="sms", ago=ago, phone=phone
        )

    async def may(self) -> list[str]:
        """Reasons against a text message."""
        return await may_mail(self.facts, self.run_id, Channel.SMS)

    async def to_review(self) -> list[DoubtfulReply]:
        page = await self.facts.database.run(lambda c: review.list_doubtful_replies(c, limit=50))
        return page.rows


@pytest.fixture
def ada(database: Database) -> Texting:
    return Texting(database)


@pytest.mark.parametrize(("text", "listed"), [("STOP", 0), ("Arrêt!", 0), ("please stop texting me", 1)])
async def test_a_reply_that_stops_counts_from_its_commit(ada: Texting, text: str, listed: int) -> None:
    await ada.agrees()
    assert await ada.may() == []
    await ada.answers(text)

    assert await ada.may() == OUT
    assert len(await ada.to_review()) == listed
    [entry] = await ada.facts.rows(
        "SELECT topic, source, method, voice FROM consent WHERE state = 'withdrawn'"
    )
    method = "reply_doubtful" if listed else "keyword"
    assert entry == {"topic": "all", "source": "reply", "method": method, "voice": f"phone:{PHONE}"}


@pytest.mark.parametrize("text", ["HELP", "thanks", "😀", ""])
async def test_a_reply_that_says_nothing_of_it_is_no_word(ada: Texting, text: str) -> None:
    await ada.agrees()
    await ada.answers(text)

    assert await ada.may() == []
    assert await ada.facts.values("SELECT count(*) FROM consent") == [1]


async def test_start_brings_back_what_stood_before_a_stop(ada: Texting) -> None:
    await ada.agrees()
    await ada.answers("STOP")
    await ada.answers("START")

    assert await ada.may() == []


async def test_start_agrees_to_nothing_that_nobody_had_asked_for(ada: Texting) -> None:
    ada.run_id = await run_of(ada.facts, phone=PHONE)
    await ada.answers("STOP")
    await ada.answers("START")

    assert await ada.may() == NEVER_ASKED
    assert await ada.facts.rows("SELECT * FROM consent_state") == []


async def test_start_by_another_number_lifts_nothing(ada: Texting) -> None:
    await ada.agrees(phone=PHONE, user_id="42")
    await ada.facts.happens("Seen", phone=OTHER, user_id="42")
    await ada.answers("STOP")
    await ada.answers("START", phone=OTHER)

    assert "opted_out" in await ada.may()


async def test_start_lifts_nothing_that_was_withdrawn_elsewhere(ada: Texting) -> None:
    await ada.agrees()
    said = {**ada.said("withdrawn"), "topic": "all", "method": "preference_page"}
    await ada.facts.happens("Consent Changed", said, ago=timedelta(hours=150), phone=PHONE)
    await ada.answers("STOP")
    await ada.answers("START")

    assert "opted_out" in await ada.may()


async def test_start_lifts_the_stop_that_the_provider_told_of(ada: Texting) -> None:
    await ada.agrees()
    async with ada.facts.database.transaction() as connection:
        at = ada.facts.now - timedelta(hours=150)
        await record_address_problem(connection, "sms", PHONE, "opted_out", at)
    await ada.answers("START")

    assert await ada.may() == []


@pytest.mark.parametrize("first", ["STOP", "START"])
async def test_what_was_said_last_counts_however_late_it_comes(ada: Texting, first: str) -> None:
    await ada.agrees()
    said = {"STOP": 10.0, "START": 5.0}
    for text in (first, *(other for other in said if other != first)):
        await ada.answers(text, hours_ago=said[text])

    assert await ada.may() == []


async def test_a_start_that_nobody_vouches_for_lifts_no_stop_that_somebody_does(ada: Texting) -> None:
    await ada.agrees()
    await ada.answers("STOP")
    forged = ada.facts.event("Message Replied", {"text": "START"}, channel="sms", phone=PHONE)
    await ada.facts.ingest([replace(forged, verified=False)])

    assert await ada.may() == OUT


async def test_only_the_channel_of_text_messages_is_read(ada: Texting) -> None:
    run_id = await run_of(ada.facts, email=ADA)
    message_id = await ada.facts.sent(run_id, ADA)
    said = {"message_id": str(message_id), "text": "STOP"}
    await ada.facts.happens("Message Replied", said, channel="sms")

    assert await ada.facts.rows("SELECT * FROM consent") == []


async def test_a_reply_known_by_its_sender_alone_is_that_numbers(database_url: str) -> None:
    said = {"from": "+49 1511 2345678", "body": "stop"}
    async with opened(database_url, **SERVER_KEYS) as api:
        sms = event("Message Replied", channel="sms", identifiers={}, properties=said)
        [accepted] = await api.results("/v1/events", sms, headers=SERVER)
        profile = await api.read(f"/v1/profiles/phone/{PHONE}")

    assert accepted["status"] == "accepted"
    assert [(one["channel"], one["topic"]) for one in profile["opt_outs"]] == [("sms", "all")]


async def test_a_reply_is_kept_out_by_an_operator_and_listed_no_more(ada: Texting) -> None:
    await ada.agrees()
    await ada.answers("who is this")
    [reply] = await ada.to_review()
    reviewed = await confirm_opt_out(ada.facts.database, reply.entry_id, actor="command/test")

    assert (reply.address, reply.text, reply.done) == ("+49…78", "who is this", "opted out of all on sms")
    assert reviewed.state == "withdrawn"
    assert await ada.to_review() == []
    assert await ada.may() == OUT


async def test_a_reply_that_meant_no_such_thing_is_taken_back_and_stays_in_the_ledger(ada: Texting) -> None:
    await ada.agrees()
    await ada.answers("stop by the shop tomorrow?")
    [reply] = await ada.to_review()
    before = await ada.facts.rows("SELECT * FROM consent ORDER BY seq")
    await annul_opt_out(ada.facts.database, reply.entry_id, actor="command/test")

    assert await ada.may() == []
    assert await ada.to_review() == []
    *entries, last = await ada.facts.rows("SELECT * FROM consent ORDER BY seq")
    assert entries == before
    assert (last["state"], last["source"], last["method"]) == ("granted", "command/test", "review")


async def test_taking_one_reply_back_leaves_every_other_no_as_it_is(ada: Texting) -> None:
    await ada.agrees()
    for text in ("STOP", "who is this", "wrong number"):
        await ada.answers(text)
    newest, older = await ada.to_review()
    await annul_opt_out(ada.facts.database, newest.entry_id, actor="test")
    await annul_opt_out(ada.facts.database, older.entry_id, actor="test")

    assert await ada.may() == OUT
    await ada.answers("START")
    assert await ada.may() == []


async def test_restoring_is_no_consent_where_there_was_none(ada: Texting) -> None:
    ada.run_id = await run_of(ada.facts, phone=PHONE)
    await ada.answers("who is this")
    [reply] = await ada.to_review()
    await annul_opt_out(ada.facts.database, reply.entry_id, actor="test")

    assert await ada.may() == NEVER_ASKED


async def test_a_person_who_has_started_again_is_not_stopped_by_a_review(ada: Texting) -> None:
    await ada.agrees()
    await ada.answers("who is this")
    await ada.answers("START")
    [reply] = await ada.to_review()
    await confirm_opt_out(ada.facts.database, reply.entry_id, actor="test")

    assert await ada.may() == []


async def test_a_reply_is_reviewed_once_and_nothing_else_is_reviewed(ada: Texting) -> None:
    await ada.agrees()
    await ada.answers("who is this")
    [reply] = await ada.to_review()
    await confirm_opt_out(ada.facts.database, reply.entry_id, actor="command/ada")

    with pytest.raises(NoChange, match=f"{reply.entry_id} was reviewed before by command/ada"):
        await annul_opt_out(ada.facts.database, reply.entry_id, actor="command/bob")
    with pytest.raises(NotFound, match="1 is no doubtful reply"):
        await annul_opt_out(ada.facts.database, 1, actor="command/bob")


async def test_the_review_is_read_over_http(database_url: str) -> None:
    async with opened(database_url) as api:
        for number in range(3):
            said = {"from": PHONE, "text": f"who is this {number}"}
            sms = event("Message Replied", f"e-{number}", channel="sms", identifiers={}, properties=said)
            await api.results("/v1/events", sms)
        first = await api.read("/v1/consents/review", limit=2)
        second = await api.read("/v1/consents/review", limit=2, cursor=first["next_cursor"])
        refused = await api.client.get("/v1/consents/review")

    texts = [one["text"] for one in (*first["replies"], *second["replies"])]
    assert texts == ["who is this 2", "who is this 1", "who is this 0"]
    assert PHONE not in str(first)
    assert (second["next_cursor"], refused.status_code) == (None, 401)
