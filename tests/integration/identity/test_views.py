"""One person's identity as it is read: what joined it, what was refused, cut, merged and sent."""

from datetime import timedelta

import pytest

from profiles.db.database import Database
from profiles.errors import InvalidRequest, NoChange, NotFound
from profiles.identity.identifiers import email_hash_key
from profiles.identity.quarantine import load_quarantined
from profiles.identity.views import IdentityView, load_identity
from profiles.merging.cut_preview import CutPreview, load_messages_by_id, load_messages_since, preview_cut
from profiles.merging.unmerge import check_cut, check_mend, check_release
from tests.support.builders.identities import (
    EMAIL,
    FIRST,
    KIOSK,
    LOYALTY,
    MOBILE,
    OTHER_USER,
    PHONE,
    TABLET,
    USER,
    IdentityRows,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def rows(database: Database) -> IdentityRows:
    """An empty database to write identities into."""
    return IdentityRows(database)


async def read(rows: IdentityRows, profile_id: object) -> IdentityView:
    return await rows.database.run(lambda connection: load_identity(connection, profile_id))


async def test_every_joined_identifier_comes_with_the_event_that_joined_it(rows: IdentityRows) -> None:
    ada = await rows.person(USER, EMAIL, email_hash_key(EMAIL), MOBILE, PHONE)
    await rows.link(EMAIL, email_hash_key(EMAIL), MOBILE, name="Signed Up", channel="mobile", after=HOUR)
    signed_in = await rows.link(USER, EMAIL, email_hash_key(EMAIL), name="Signed In", after=2 * HOUR)
    await rows.link(USER, MOBILE, name="Product Viewed", after=3 * HOUR, verified=False)
    await rows.link(USER, PHONE, name="Order Completed", channel="store", after=4 * HOUR)
    view = await read(rows, ada)

    # The third event joined nothing any more, and an email's own hash is no news.
    assert {(USER, EMAIL, "Signed In"), (EMAIL, MOBILE, "Signed Up"), (USER, PHONE, "Order Completed")} == {
        (edge.one, edge.other, edge.cause.event_type) for edge in view.edges
    }
    assert all(edge.joined and not edge.reason for edge in view.edges)
    [edge] = [edge for edge in view.edges if edge.other == EMAIL]
    assert (signed_in, "shop", "e-2", "web", FIRST + 2 * HOUR, True) == (
        edge.cause.event_id,
        edge.cause.source,
        edge.cause.id,
        edge.cause.channel,
        edge.cause.time,
        edge.cause.verified,
    )
    assert {USER, EMAIL, email_hash_key(EMAIL), MOBILE, PHONE} == {one.key for one in view.identifiers}
    assert view.neighbours == []


async def test_a_refused_identifier_is_a_neighbour_with_the_reason_in_a_sentence(rows: IdentityRows) -> None:
    ada = await rows.person(USER, EMAIL)
    other = await rows.person(OTHER_USER)
    await rows.link(USER, EMAIL)
    await rows.link(OTHER_USER, EMAIL, after=HOUR)
    await rows.link(OTHER_USER, EMAIL, after=2 * HOUR, verified=False)
    view = await read(rows, ada)
    seen_from_there = await read(rows, other)

    [refused] = [edge for edge in view.edges if not edge.joined]
    assert (refused.why, refused.detail) == ("limit", "user_id")
    assert "more than 1 user_id" in refused.reason
    [neighbour] = view.neighbours
    assert (other, "good", refused.reason) == (neighbour.profile_id, neighbour.status, neighbour.reason)
    assert [ada] == [each.profile_id for each in seen_from_there.neighbours]


async def test_a_quarantined_identifier_is_nobodys_and_leads_to_no_stranger(rows: IdentityRows) -> None:
    ada = await rows.person(LOYALTY, EMAIL)
    await rows.person(KIOSK, quarantined=(KIOSK,))
    stranger = await rows.person(PHONE)
    await rows.link(LOYALTY, EMAIL)
    await rows.link(LOYALTY, KIOSK, after=HOUR)
    await rows.link(PHONE, KIOSK, after=HOUR)
    view = await read(rows, ada)

    [neighbour] = view.neighbours
    assert (
        neighbour.type,
        neighbour.profile_id,
        neighbour.status,
    ) == ("anonymous_id", None, "quarantined")
    assert "nobody's" in neighbour.reason
    assert stranger not in {each.profile_id for each in view.neighbours}


async def test_a_cut_keeps_apart_and_is_listed_also_once_it_is_lifted(rows: IdentityRows) -> None:
    ada = await rows.person(EMAIL)
    await rows.person(PHONE)
    await rows.link(EMAIL, PHONE)
    standing = await rows.cut(EMAIL, PHONE)
    lifted = await rows.cut(EMAIL, TABLET, lifted=True)
    view = await read(rows, ada)

    assert [(lifted, True), (standing, False)] == [
        (cut.cut_id, cut.lifted_at is not None) for cut in view.cuts
    ]
    assert [edge.why for edge in view.edges] == ["cut"]


async def test_a_person_has_the_identifiers_and_the_log_of_all_who_were_merged_into_them(
    rows: IdentityRows,
) -> None:
    ada = await rows.person(USER)
    merged = await rows.person(MOBILE, merged_into=ada)
    earlier = await rows.person(merged_into=merged)
    await rows.logged("merged", ada, other=merged)
    await rows.logged("merged", merged, other=earlier, detail="the newest")
    await rows.logged("merged", (await rows.person(PHONE)))
    view = await read(rows, ada)

    assert [merged, earlier] == view.merged
    assert {USER, MOBILE} == {one.key for one in view.identifiers}
    assert [merged, ada] == [entry.profile_id for entry in view.log]


async def test_messages_count_from_when_they_were_licensed_not_from_when_a_run_says_it_sent_them(
    rows: IdentityRows,
) -> None:
    """A run's clock may have travelled: here every message is two days older than the stamp that counts."""
    ada = await rows.person(USER)
    sent = [await rows.sent(ada, FIRST + number * HOUR) for number in range(4)]
    await rows.sent(await rows.person(PHONE), FIRST + HOUR)
    async with rows.database.transaction() as connection:
        stamp = "UPDATE message SET claim_recorded_at = sent_at + interval '2 days' WHERE profile_id = $1"
        await connection.execute(stamp, ada)
        found = await load_messages_since(connection, ada, FIRST + 48 * HOUR + 2 * HOUR)
        by_id = await load_messages_by_id(connection, [sent[3], sent[0]])

    assert sent[2:] == [message.message_id for message in found]
    assert [sent[0], sent[3]] == [message.message_id for message in by_id]


async def test_a_cut_can_be_looked_at_before_it_is_made(rows: IdentityRows) -> None:
    ada = await rows.person(USER, EMAIL, MOBILE, PHONE, TABLET)
    await rows.link(USER, EMAIL)
    await rows.link(EMAIL, MOBILE, after=HOUR)
    await rows.link(USER, PHONE, after=2 * HOUR)
    await rows.link(PHONE, TABLET, after=3 * HOUR)
    sent = await rows.sent(ada, FIRST + HOUR)

    async def look(one: str, other: str) -> CutPreview:
        return await rows.database.run(lambda connection: preview_cut(connection, ada, one, other))

    apart = await look(USER, PHONE)
    again = await read(rows, ada)

    assert [{EMAIL, MOBILE, USER}, {PHONE, TABLET}] == list(map(set, apart.parts))
    assert [sent] == [message.message_id for message in apart.messages]
    assert again.cuts == []


async def test_reading_waits_for_nobody_who_changes_the_person(rows: IdentityRows) -> None:
    ada = await rows.person(USER, EMAIL)
    await rows.link(USER, EMAIL)
    async with rows.database.transaction() as changing:
        await changing.execute("SELECT FROM profile FOR UPDATE")
        await changing.execute("SELECT FROM identifier FOR UPDATE")
        async with rows.database.transaction() as connection:
            await connection.execute("SET LOCAL lock_timeout = '100ms'")
            view = await load_identity(connection, ada)

    assert len(view.edges) == 1


async def test_quarantined_identifiers_are_listed_with_how_many_people_they_were_seen_with(
    rows: IdentityRows,
) -> None:
    await rows.person(KIOSK, quarantined=(KIOSK,))
    await rows.person(TABLET, quarantined=(TABLET,))
    await rows.person(MOBILE)
    for number in range(3):
        await rows.person(f"user_id:u-{number}", f"email:u{number}@example.com")
        await rows.link(f"user_id:u-{number}", f"email:u{number}@example.com", KIOSK, after=number * HOUR)
    await rows.logged("quarantined", key=KIOSK, at=FIRST + 5 * HOUR)
    async with rows.database.transaction() as connection:
        both = await load_quarantined(connection, limit=10)
        second = await load_quarantined(connection, limit=10, after=("anonymous_id", both[0].value))

    assert [(f"{one.type}:{one.value}", one.people, one.since) for one in both] == [
        (KIOSK, 3, FIRST + 5 * HOUR),
        (TABLET, 0, FIRST),
    ]
    assert both[1:] == second


async def test_a_wish_that_makes_no_sense_is_refused_in_words(rows: IdentityRows) -> None:
    ada = await rows.person(USER, EMAIL, email_hash_key(EMAIL))
    await rows.person(PHONE)
    lifted = await rows.cut(USER, PHONE, lifted=True)
    standing = await rows.cut(EMAIL, PHONE)
    async with rows.database.transaction() as connection:
        assert ada == await check_cut(connection, USER, EMAIL)
        await check_mend(connection, standing)
        with pytest.raises(InvalidRequest, match="named twice"):
            await check_cut(connection, USER, USER)
        with pytest.raises(InvalidRequest, match="its own hash"):
            await check_cut(connection, email_hash_key(EMAIL), EMAIL)
        with pytest.raises(NotFound, match=f"no profile has {TABLET}"):
            await check_cut(connection, USER, TABLET)
        with pytest.raises(NoChange, match="two people already"):
            await check_cut(connection, USER, PHONE)
        with pytest.raises(NotFound, match="no cut 9999"):
            await check_mend(connection, 9999)
        with pytest.raises(NoChange, match="was mended on 2026-11-03 already"):
            await check_mend(connection, lifted)
        with pytest.raises(NotFound, match="never been seen"):
            await check_release(connection, TABLET)
        with pytest.raises(NoChange, match="not quarantined"):
            await check_release(connection, USER)
