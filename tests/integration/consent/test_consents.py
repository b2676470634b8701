"""What people said: where it comes from, which word stands, and that an opt-out follows the address."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from policy.verdict import Channel
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness
from tests.support.environments.ingest import order as order_of
from tests.support.queries.consent import may_mail, run_of

JOURNEYS = (CARTS,)

ADA = "ada@example.com"

YES = {"consents": {"email": True, "sms": True}}


async def words(facts: IngestHarness, kind: str, value: str) -> dict[tuple[str, str], str]:
    """The word that stands on each channel and topic."""
    rows = await facts.rows(
        "SELECT channel, topic, state FROM consent_state WHERE profile_id = $1", await facts.who(kind, value)
    )
    return {(row["channel"], row["topic"]): row["state"] for row in rows}


async def opted_out(facts: IngestHarness) -> list[tuple[str, str, str]]:
    """Addresses that want nothing: channel, address, topic."""
    rows = await facts.rows(
        "SELECT channel, address, topic FROM opt_out WHERE state = 'withdrawn' ORDER BY 1, 2, 3"
    )
    return [(row["channel"], row["address"], row["topic"]) for row in rows]


async def test_consents_in_traits_go_into_the_ledger_with_their_source(facts: IngestHarness) -> None:
    await facts.happens("Signed Up", traits={"consents": {"email": True, "sms": False}}, email=ADA)

    assert await words(facts, "email", ADA) == {
        ("email", "marketing"): "granted",
        ("sms", "marketing"): "withdrawn",
    }
    assert await facts.values("SELECT DISTINCT source FROM consent") == ["test"]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"email": "perhaps"}, id="no clear answer"),
        pytest.param({"fax": True}, id="not a channel"),
        pytest.param("all", id="not an object"),
    ],
)
async def test_a_consent_nobody_can_read_is_recorded_and_changes_nothing(
    facts: IngestHarness, said: object
) -> None:
    answer = await facts.happens("Signed Up", traits={"consents": said}, email=ADA)

    assert await words(facts, "email", ADA) == {}
    [problem] = await facts.problems(answer.event_id)
    assert "must be true or false, or an object with granted, of a channel" in problem


async def test_consent_changed_names_channel_topic_and_state(facts: IngestHarness) -> None:
    said = {"channel": "email", "topic": "news", "state": "granted", "source": "desk"}
    await facts.happens("Consent Changed", said, email=ADA)
    bad = await facts.happens("Consent Changed", {"channel": "email", "state": "maybe"}, email=ADA)

    assert await words(facts, "email", ADA) == {("email", "news"): "granted"}
    assert await facts.values("SELECT source FROM consent") == ["desk"]
    assert len(await facts.problems(bad.event_id)) == 1


async def test_the_last_word_of_one_batch_stands_for_person_and_address(facts: IngestHarness) -> None:
    no, yes = ({"consents": {"email": state}} for state in (False, True))
    await facts.ingest(
        [facts.event("A", traits=t, email=ADA, ago=timedelta(seconds=9 - n)) for n, t in enumerate((yes, no))]
    )
    assert await opted_out(facts) == [("email", ADA, "marketing")]

    await facts.ingest(
        [facts.event("A", traits=t, email=ADA, ago=timedelta(seconds=5 - n)) for n, t in enumerate((no, yes))]
    )
    assert await opted_out(facts) == []
    assert await words(facts, "email", ADA) == {("email", "marketing"): "granted"}


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        pytest.param([(False, 0), (True, 400)], "withdrawn", id="a grant does not undo a newer withdrawal"),
        pytest.param([(True, 0), (False, 9)], "granted", id="a withdrawal does not undo a newer grant"),
        pytest.param([(True, 10), (False, 9)], "withdrawn", id="a withdrawal counts after an older grant"),
        pytest.param([(True, 10), (False, 9), (True, 0)], "granted", id="until a newer grant ends it"),
    ],
)
async def test_a_word_delivered_late_counts_by_when_it_was_said(
    facts: IngestHarness, said: list[tuple[bool, int]], stands: str
) -> None:
    for granted, days in said:
        traits = {"consents": {"email": granted}}
        late = await facts.happens("Signed Up", traits=traits, email=ADA, ago=timedelta(days=days))
        assert await facts.problems(late.event_id) == []

    assert await words(facts, "email", ADA) == {("email", "marketing"): stands}
    assert await opted_out(facts) == ([("email", ADA, "marketing")] if stands == "withdrawn" else [])


async def test_in_whatever_order_the_words_and_the_merge_arrive_the_stricter_word_stands(
    facts: IngestHarness,
) -> None:
    yes, no = ({"channel": "email", "state": state} for state in ("granted", "withdrawn"))
    for n, order in enumerate(permutations(range(4))):
        mail: dict[str, Any] = {"email": f"{n}@example.com"}
        phone: dict[str, Any] = {"phone": f"+49151123456{n:02}"}
        told = [
            facts.event("Consent Changed", no, ago=timedelta(days=9), **mail),
            facts.event("Consent Changed", yes, ago=timedelta(days=8), **phone),
            facts.event("Signed In", ago=timedelta(days=7), **mail, **phone),
            replace(facts.event("Consent Changed", yes, ago=timedelta(days=6), **mail), verified=False),
        ]
        for position in order:
            await facts.ingest([told[position]])

        assert await words(facts, "email", mail["email"]) == {("email", "marketing"): "withdrawn"}, order
        assert await opted_out(facts) == [("email", mail["email"], "marketing")], order
        await facts.happens("Consent Changed", yes, ago=timedelta(days=5), **phone)
        assert await words(facts, "email", mail["email"]) == {("email", "marketing"): "granted"}, order
        assert await opted_out(facts) == [], order


async def test_a_withdrawal_from_the_future_of_a_wrong_clock_can_be_taken_back(facts: IngestHarness) -> None:
    await facts.happens("A", traits={"consents": {"email": False}}, email=ADA, ago=-timedelta(days=900))
    await facts.happens("A", traits={"consents": {"email": True}}, email=ADA, ago=-timedelta(seconds=5))

    assert (await words(facts, "email", ADA))[("email", "marketing")] == "granted"


async def test_the_ledger_says_under_which_identifier_and_how_surely_it_was_said(
    facts: IngestHarness,
) -> None:
    run_id = await run_of(facts, email=ADA, user_id="42")
    message = await facts.sent(run_id, "old@example.com")
    forged = replace(
        facts.event("Signed Up", traits={"consents": {"email": True}}, email=ADA), verified=False
    )
    await facts.ingest([forged])
    await facts.happens("Consent Changed", {"channel": "sms", "state": "granted"}, email=ADA, user_id="42")
    await facts.happens("Message Unsubscribed", {"message_id": str(message)})

    assert [
        (row["state"], row["voice"], row["verified"])
        for row in await facts.rows("SELECT * FROM consent ORDER BY seq")
    ] == [
        ("granted", f"email:{ADA}", False),
        ("granted", "user_id:42", True),
        ("withdrawn", "email:old@example.com", True),
    ]


async def test_a_forged_grant_gets_nobody_written_to(facts: IngestHarness) -> None:
    run_id = await run_of(facts, email=ADA, user_id="42")
    await facts.happens("Consent Changed", {"channel": "email", "state": "withdrawn"}, email=ADA)
    for consents in ({"email": True, "sms": True}, {"all": True}):
        event = facts.event("Signed Up", traits={"consents": consents}, email=ADA)
        await facts.ingest([replace(event, verified=False)])

    assert await may_mail(facts, run_id) == ["opted_out", "no_consent"]
    assert await may_mail(facts, run_id, Channel.SMS) == ["no_consent"]


async def test_a_no_to_all_channels_reaches_every_address(facts: IngestHarness) -> None:
    await facts.happens(
        "Consent Changed", {"channel": "all", "state": "withdrawn"}, email=ADA, phone="+4915112345678"
    )

    assert await opted_out(facts) == [("email", ADA, "marketing"), ("sms", "+4915112345678", "marketing")]


async def test_unsubscribing_in_a_message_opts_out_the_address_it_went_to(facts: IngestHarness) -> None:
    run_id = await run_of(facts, email=ADA)
    message = await facts.sent(run_id, "old@example.com")
    await facts.happens("Message Unsubscribed", {"message_id": str(message)})

    assert await words(facts, "email", ADA) == {("email", "marketing"): "withdrawn"}
    assert await opted_out(facts) == [("email", ADA, "marketing"), ("email", "old@example.com", "marketing")]


async def test_a_no_to_ads_takes_the_person_out_of_their_audiences(facts: IngestHarness) -> None:
    run_id = await run_of(facts, email=ADA)
    await facts.joined(run_id, "lamp")
    await facts.happens("Consent Changed", {"channel": "ads", "state": "withdrawn"}, email=ADA)

    assert await facts.values("SELECT state || ' ' || reason FROM audience_member") == ["leaving opted_out"]
    assert await facts.values("SELECT name FROM outbox WHERE kind = 'audience'") == ["remove"]


async def test_nothing_on_file_lets_mail_pass_only_where_the_address_came_with_an_order(
    facts: IngestHarness,
) -> None:
    run_id = await run_of(facts, email=ADA)
    assert await may_mail(facts, run_id) == ["no_consent"]
    await facts.happens("Checkout Started", {"cart_id": "c-1"}, email=ADA)

    assert await may_mail(facts, run_id) == []
    assert await may_mail(facts, run_id, Channel.SMS) == ["no_consent"]


async def test_an_address_that_came_with_an_order_stays_so_when_an_older_card_turns_out_to_be_theirs(
    facts: IngestHarness,
) -> None:
    run_id = await run_of(facts, email=ADA)
    await facts.happens("Order Completed", order_of(LAMP), ago=timedelta(days=7), loyalty_id="L-1")
    await facts.happens("Order Completed", order_of(LAMP, order_id="o-2"), email=ADA)
    assert await may_mail(facts, run_id) == []
    await facts.happens("Seen", email=ADA, loyalty_id="L-1")

    assert await may_mail(facts, run_id) == []


async def test_an_order_by_card_is_no_word_on_an_address_that_was_told_later(facts: IngestHarness) -> None:
    await facts.happens("Order Completed", order_of(LAMP), loyalty_id="L-1")
    run_id = await run_of(facts, email=ADA)
    await facts.happens("Seen", email=ADA, loyalty_id="L-1")

    assert await may_mail(facts, run_id) == ["no_consent"]
