"""People taken apart: whose runs, messages and words are whose, under every kind of clock and rush."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from policy.reentry import After
from profiles import identity_messages
from profiles.claims import Planned, record_sent, write_decision
from profiles.database import Database
from profiles.identity_apart import comes_apart
from profiles.identity_wishes import Needless, Senseless, Unknown, may_cut, may_mend
from profiles.ids import new_id
from profiles.ingest import Rules
from profiles.unmerge import Cut, cut, mend
from tests.facts import CARTS, CHAIR, LAMP, PEOPLE, UNLIMITED, Facts, Journey, order
from tests.record import TABLES, record

ADA, PHONE = "ada@example.com", "+4915112345678"
ADA_KEY, PHONE_KEY = f"email:{ADA}", f"phone:{PHONE}"
BY = {"actor": "test", "reason": "two people"}
DAY = timedelta(days=1)


async def joined(facts: Facts, **more: Any) -> None:
    """The wrong event."""
    await facts.happens("Signed In", email=ADA, phone=PHONE, **more)


async def parted(facts: Facts) -> Cut:
    """The operator's word."""
    return await cut(facts.database, ADA_KEY, PHONE_KEY, **BY)


async def says(facts: Facts, state: str, *, channel: str = "email", **whom: Any) -> None:
    """A word on consent."""
    await facts.happens("Consent Changed", {"channel": channel, "state": state}, **whom)


async def word(facts: Facts, kind: str, value: str, channel: str = "email") -> list[str]:
    """What somebody's word is."""
    query = "SELECT state FROM consent_state WHERE profile_id = $1 AND channel = $2"
    return await facts.values(query, await facts.who(kind, value), channel)


async def run_of(facts: Facts, kind: str, value: str) -> UUID:
    """The only live run of somebody."""
    query = "SELECT run_id FROM run WHERE profile_id = $1 AND state = 'running'"
    [found] = await facts.values(query, await facts.who(kind, value))
    assert isinstance(found, UUID)
    return found


async def test_what_was_withdrawn_while_they_were_one_stays_so_for_both_until_each_says_otherwise(
    database: Database,
) -> None:
    facts = Facts(database)
    await says(facts, "granted", email=ADA)
    await says(facts, "granted", phone=PHONE)
    await joined(facts)
    await says(facts, "withdrawn", phone=PHONE)
    await parted(facts)
    both = await word(facts, "email", ADA), await word(facts, "phone", PHONE)
    await says(facts, "granted", email=ADA, ago=timedelta(hours=1))
    late = await word(facts, "email", ADA)
    await says(facts, "granted", email=ADA)

    assert both == (["withdrawn"], ["withdrawn"])
    assert late == ["withdrawn"]
    assert await word(facts, "email", ADA) == ["granted"]
    assert await word(facts, "phone", PHONE) == ["withdrawn"]


async def test_somebody_whom_an_event_named_in_vain_keeps_their_own_word(database: Database) -> None:
    """A bystander of the cut: on file beside the two, and never one with them."""
    facts = Facts(database)
    await says(facts, "granted", user_id="bystander", loyalty_id="L-1")
    await facts.happens("Signed In", user_id="ada", email=ADA)
    await facts.happens("Signed In", user_id="ada", loyalty_id="L-1")
    await joined(facts)
    await says(facts, "withdrawn", phone=PHONE)
    await parted(facts)

    assert await word(facts, "user_id", "bystander") == ["granted"]
    assert await word(facts, "user_id", "ada") == ["withdrawn"]


async def test_words_of_a_travelled_day_are_not_fresh_evidence_only_because_they_lie_ahead(
    database: Database,
) -> None:
    facts = Facts(database, rules=Rules(local=True))
    await says(facts, "granted", phone=PHONE, ago=-3 * DAY)
    await says(facts, "withdrawn", email=ADA, ago=-5 * DAY)
    await joined(facts, ago=-6 * DAY)
    await parted(facts)
    before = await word(facts, "phone", PHONE)
    await says(facts, "granted", phone=PHONE, ago=-7 * DAY)

    assert before == ["withdrawn"]
    assert await word(facts, "phone", PHONE) == ["granted"]


async def test_two_who_are_one_by_way_of_a_third_are_kept_apart_as_well(database: Database) -> None:
    """Whose the third is the rules say: the one's who was seen with it first."""
    facts = Facts(database)
    await facts.happens("Signed In", email=ADA, loyalty_id="L-1", ago=2 * DAY)
    await facts.happens("Signed In", phone=PHONE, loyalty_id="L-1", ago=DAY)
    one = await facts.who("email", ADA) == await facts.who("phone", PHONE)
    await parted(facts)
    await facts.happens("Signed In", phone=PHONE, loyalty_id="L-1")
    await facts.happens("Signed In", phone=PHONE, email=ADA)

    assert one
    assert await facts.who("email", ADA) == await facts.who("loyalty_id", "L-1")
    assert await facts.who("email", ADA) != await facts.who("phone", PHONE)


async def test_each_live_run_goes_where_its_entry_goes_and_hears_its_own_person_only(
    database: Database,
) -> None:
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c-2"}, phone=PHONE)
    ada, other = [run["run_id"] for run in await facts.runs()]
    await joined(facts)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-3"}, phone=PHONE)
    third = (await facts.runs())[-1]["run_id"]
    await parted(facts)
    whose = {run["run_id"]: run["profile_id"] for run in await facts.runs()}
    heard = len(await facts.outbox())
    await facts.happens("Order Completed", order(LAMP, CHAIR), phone=PHONE)

    assert whose == {
        ada: await facts.who("email", ADA),
        other: await facts.who("phone", PHONE),
        third: await facts.who("phone", PHONE),
    }
    assert (await facts.outbox())[heard:] == ["Order Completed", "Order Completed"]
    assert (await facts.outbox(ada))[-1] == "start: Product Added"
    assert await facts.suppressed("email", ADA) == []


async def test_a_run_goes_by_its_own_cart_again(database: Database) -> None:
    """While they are one, the carts without a name of their own are one cart under one key."""
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c-2"}, phone=PHONE, ago=4 * DAY)
    await facts.happens("Product Added", LAMP, email=ADA)
    own = {run["run_id"]: run["key"] for run in await facts.runs()}
    await joined(facts)
    meanwhile = [run["key"] for run in await facts.runs()]
    await parted(facts)
    again = {run["run_id"]: run["key"] for run in await facts.runs()}
    [ada] = own
    told = await facts.outbox(ada)
    await facts.happens("Product Added", CHAIR, email=ADA)

    assert meanwhile == ["c-2"]
    assert again == own
    assert await facts.outbox(ada) == [*told, "Product Added"]
    assert len(await facts.runs()) == 1


async def test_no_two_people_have_one_cart_and_both_have_runs_of_their_own(database: Database) -> None:
    """What the one put into the other's cart while they were one becomes a cart of its own."""
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", LAMP, email=ADA)
    await joined(facts)
    await facts.happens("Product Added", CHAIR, phone=PHONE)
    await parted(facts)
    await facts.happens("Product Added", LAMP, phone=PHONE)

    assert sorted((await facts.carts()).values()) == [["chair", "lamp"], ["lamp"]]
    assert sorted(await facts.carts()) == sorted(run["key"] for run in await facts.runs())
    assert {run["profile_id"] for run in await facts.runs()} == {
        await facts.who("email", ADA),
        await facts.who("phone", PHONE),
    }


@pytest.mark.parametrize(
    ("reentry", "entries"),
    [pytest.param(UNLIMITED, 2, id="may enter at any time"), pytest.param(After(DAY), 1, id="entered today")],
)
async def test_a_run_that_gave_way_stays_ended_and_its_person_enters_again_by_the_rule(
    database: Database, reentry: Any, entries: int
) -> None:
    people = Journey(
        name="people", starts=("Order Completed",), key_property=PEOPLE.key_property, reentry=reentry
    )
    facts = Facts(database, people)
    await facts.happens("Order Completed", order(LAMP, order_id="o-1"), email=ADA)
    await facts.happens("Order Completed", order(LAMP, order_id="o-2"), phone=PHONE)
    ada = await run_of(facts, "email", ADA)
    await joined(facts)
    [gave_way] = await facts.runs("ended")
    await parted(facts)
    other = await facts.who("phone", PHONE)
    after = await facts.rows("SELECT * FROM run WHERE run_id = $1", gave_way["run_id"])
    await facts.happens("Order Completed", order(LAMP, order_id="o-3"), phone=PHONE)

    assert (gave_way["outcome"], gave_way["state"]) == ("merged", "ended")
    assert [(row["state"], row["outcome"], row["profile_id"], row["key"]) for row in after] == [
        ("ended", "merged", other, str(other))
    ]
    assert await run_of(facts, "email", ADA) == ada
    assert len(await facts.values("SELECT 1 FROM run WHERE profile_id = $1", other)) == entries


async def test_whoever_got_a_profile_by_a_cut_keeps_it_through_news_and_through_mending(
    database: Database,
) -> None:
    """Two who came in as one: the second has no profile of an earlier time to go back to."""
    facts = Facts(database)
    await joined(facts)
    done = await parted(facts)
    await facts.happens("Seen", phone=PHONE, anonymous_id="a-1")
    later = await facts.who("email", ADA), await facts.who("phone", PHONE)
    await mend(database, done.cut_id, **BY)
    mended = await facts.values("SELECT DISTINCT profile_id FROM identifier")
    again = await parted(facts)

    assert set(later) == set(done.profiles)
    assert mended == [later[0]]
    assert set(again.profiles) == set(done.profiles)


async def claimed(facts: Facts, run_id: UUID, step: str, *, at: Any = None) -> tuple[UUID, UUID]:
    """A message that may be sent, and the token of its claim. ``at``: by the run's clock."""
    [row] = await facts.rows("SELECT journey, profile_id, now() AS now FROM run WHERE run_id = $1", run_id)
    message_id, token = new_id(), new_id()
    planned = Planned(
        message_id=message_id,
        profile_id=row["profile_id"],
        run_id=run_id,
        step=step,
        journey=row["journey"],
        channel="email",
        template="reminder",
        message_class="marketing",
        status="claimed",
        verdict="allow",
        at=at or row["now"],
        address=ADA,
        token=token,
        decision_id=new_id(),
    )
    async with facts.database.transaction() as connection:
        await write_decision(connection, planned)
    return message_id, token


async def answered(facts: Facts, message_id: UUID, token: UUID, at: Any) -> None:
    """The provider took it."""
    async with facts.database.transaction() as connection:
        await record_sent(connection, message_id, token, provider="sandbox", provider_id="1", at=at)


async def test_messages_are_told_by_when_they_were_licensed_whatever_the_clocks_of_runs_and_events_say(
    database: Database,
) -> None:
    """The wrong event says that it was a month ago; the one run is a month ahead, the other one behind."""
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-2"}, phone=PHONE)
    ada, other = [run["run_id"] for run in await facts.runs()]
    for run, away in ((ada, 30 * DAY), (other, -30 * DAY)):
        await answered(facts, *await claimed(facts, run, "before", at=facts.now + away), facts.now + away)
    await joined(facts, ago=30 * DAY)
    sent = []
    for run, away in ((ada, 30 * DAY), (other, -30 * DAY)):
        licence = await claimed(facts, run, "meanwhile", at=facts.now + away)
        await answered(facts, *licence, facts.now + away)
        sent.append(licence[0])
    async with database.transaction() as connection:
        ahead = await comes_apart(connection, await facts.who("email", ADA), ADA_KEY, PHONE_KEY)
    done = await parted(facts)

    assert sorted(sent) == sorted(done.sent)
    assert done.sent == tuple(message.message_id for message in ahead.messages)


async def test_a_claim_under_way_stays_with_its_run_and_is_listed(database: Database) -> None:
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-2"}, phone=PHONE)
    _, other = [run["run_id"] for run in await facts.runs()]
    early, early_token = await claimed(facts, other, "early")
    await joined(facts)
    licence = await claimed(facts, other, "meanwhile")
    held_back, _ = await claimed(facts, other, "held back")
    await facts.rows("UPDATE message SET status = 'released' WHERE message_id = $1", held_back)
    await answered(facts, early, early_token, facts.now)
    done = await parted(facts)
    await answered(facts, *licence, facts.now)

    assert done.sent == (licence[0],)
    assert await facts.values("SELECT DISTINCT profile_id FROM message") == [await facts.who("phone", PHONE)]
    assert await facts.values("SELECT status FROM message ORDER BY message_id") == [
        "sent",
        "sent",
        "released",
    ]


async def test_messages_count_from_the_wrong_link_on_whoever_else_was_joined_before_or_since(
    database: Database,
) -> None:
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    [run] = [run["run_id"] for run in await facts.runs()]
    await facts.happens("Seen", phone=PHONE)
    said: tuple[tuple[str, dict[str, Any]], ...] = (
        ("first", {"email": ADA, "loyalty_id": "L-1"}),
        ("second", {"loyalty_id": "L-1", "phone": PHONE}),
        ("third", {"phone": PHONE, "anonymous_id": "a-1"}),
    )
    for step, named in said:
        await facts.happens("Seen", **named)
        await facts.sent(run, step=step)
    done = await parted(facts)
    await facts.sent(run, step="apart")
    await mend(database, done.cut_id, **BY)
    await facts.sent(run, step="mended")
    again = await cut(database, "loyalty_id:L-1", PHONE_KEY, **BY)
    steps = "SELECT step FROM message WHERE message_id = ANY($1) ORDER BY message_id"

    assert await facts.values(steps, list(done.sent)) == ["second", "third"]
    assert await facts.values(steps, list(again.sent)) == ["mended"]


async def test_two_who_came_in_as_one_have_been_one_since_then(database: Database) -> None:
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", LAMP, email=ADA, phone=PHONE)
    sent = [await facts.sent(run["run_id"]) for run in await facts.runs()]

    assert (await parted(facts)).sent == tuple(sent)


async def test_messages_of_somebody_with_ten_thousand_are_read_by_an_index(database: Database) -> None:
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Seen", phone=PHONE)
    [run] = [run["run_id"] for run in await facts.runs()]
    written = (
        "INSERT INTO message (message_id, profile_id, run_id, step, journey, channel, template, "
        "message_class, items, status, decided_at, claimed_at, sent_at, claim_recorded_at) "
        "SELECT gen_random_uuid(), COALESCE($1, gen_random_uuid()), $2, $3 || n, 'carts', 'email', 't', "
        "'marketing', '{}', 'sent', now(), now(), now(), now() FROM generate_series(1, $4::int) n"
    )
    ada = await facts.who("email", ADA)
    await facts.rows(written, ada, run, "before", 10_000)
    await facts.rows(written, None, run, "of others", 30_000)
    await joined(facts)
    await facts.rows(written, ada, run, "meanwhile", 3)
    await facts.rows("ANALYZE message")
    plan = await facts.values(f"EXPLAIN {identity_messages._SINCE}", ada, facts.now)

    assert "Seq Scan" not in "".join(plan)
    assert len((await parted(facts)).sent) == 3


async def left_behind(facts: Facts) -> dict[str, list[Any]]:
    """All there is in Postgres."""
    return {table: await facts.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


async def test_a_wish_that_cannot_be_is_told_in_words_and_leaves_no_trace(database: Database) -> None:
    facts = Facts(database, CARTS)
    await facts.happens("Product Added", LAMP, email=ADA)
    await joined(facts)
    first = await parted(facts)
    before = await left_behind(facts)
    again = await parted(facts)
    async with database.transaction() as connection:
        with pytest.raises(Needless, match="two people already"):
            await may_cut(connection, ADA_KEY, PHONE_KEY)
        with pytest.raises(Unknown, match="nobody has email:bob@example"):
            await may_cut(connection, ADA_KEY, "email:bob@example.com")
        with pytest.raises(Senseless, match="named twice"):
            await may_cut(connection, ADA_KEY, ADA_KEY)
        with pytest.raises(Unknown, match="there is no cut 7777"):
            await may_mend(connection, 7777)
    for one, other in ((ADA_KEY, "email:bob@example.com"), ("user_id:x", "email:bob@example.com")):
        with pytest.raises(KeyError, match="not on file: email:bob@example"):
            await cut(database, one, other, **BY)
    with pytest.raises(ValueError, match="cannot be cut from itself"):
        await cut(database, ADA_KEY, ADA_KEY, **BY)
    with pytest.raises(KeyError, match="no cut 7777 is in force"):
        await mend(database, 7777, **BY)

    assert (again.cut_id, again.sent, set(again.profiles)) == (first.cut_id, (), set(first.profiles))
    assert await left_behind(facts) == before

    await mend(database, first.cut_id, **BY)
    mended = await left_behind(facts)
    with pytest.raises(KeyError, match=f"no cut {first.cut_id} is in force"):
        await mend(database, first.cut_id, **BY)
    async with database.transaction() as connection:
        with pytest.raises(Needless, match=f"cut {first.cut_id} was mended on"):
            await may_mend(connection, first.cut_id)

    assert await left_behind(facts) == mended


async def test_people_come_apart_while_events_of_both_stream_in(database: Database) -> None:
    facts = Facts(database, CARTS)
    await joined(facts)

    async def lives(kind: str, value: str, mark: str) -> None:
        for n in range(9):
            bought = order(LAMP, order_id=f"{mark}-{n}")
            await facts.happens("Product Added", CHAIR | {"cart_id": f"{mark}-{n}"}, **{kind: value})
            await facts.happens("Order Completed", bought, **{kind: value, "anonymous_id": f"{mark}-{n}"})

    async def parts() -> Cut:
        await facts.until("SELECT 1 FROM purchase")
        return await parted(facts)

    _, _, done = await asyncio.gather(lives("email", ADA, "ada"), lives("phone", PHONE, "other"), parts())
    ada, other = await facts.who("email", ADA), await facts.who("phone", PHONE)
    query = "SELECT DISTINCT split_part(order_id, '-', 1) FROM purchase WHERE profile_id = $1"
    runs = "SELECT DISTINCT split_part(key, '-', 1) FROM run WHERE profile_id = $1"

    assert len(done.profiles) == 2
    assert [await facts.values(query, who) for who in (ada, other)] == [["ada"], ["other"]]
    assert [await facts.values(runs, who) for who in (ada, other)] == [["ada"], ["other"]]
    assert await facts.values("SELECT orders FROM profile WHERE merged_into IS NULL") == [9, 9]
    assert len(await record(database)) == 2
    assert await facts.values("SELECT count(DISTINCT profile_id) FROM identifier") == [2]


async def test_operators_who_cut_and_mend_the_same_two_at_once_make_one_cut_or_none(
    database: Database,
) -> None:
    facts = Facts(database)
    await joined(facts)
    cuts = await asyncio.gather(*(parted(facts) for _ in range(4)))
    mended = await asyncio.gather(
        *(mend(database, cuts[0].cut_id, **BY) for _ in range(4)), return_exceptions=True
    )

    assert len({done.cut_id for done in cuts}) == 1
    assert sorted(type(answer).__name__ for answer in mended) == ["KeyError"] * 3 + ["tuple"]
    assert await facts.who("email", ADA) == await facts.who("phone", PHONE)
