"""Opting out without a login: looking changes nothing, one click does, and at once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from tests.support.builders.profiles import message_row
from tests.support.environments.api import ADMIN, OpenApi, event, opened


@dataclass
class Letter:
    """A person with a message whose links carry a token."""

    api: OpenApi
    token: str

    async def consents(self) -> dict[str, str]:
        """Channel → the person's latest word."""
        profile = await self.api.read("/v1/profiles/user_id/u-1")
        return {one["channel"]: one["state"] for one in profile["consents"]}

    async def opted_out(self) -> list[tuple[str, str]]:
        """(channel, address) of every opt-out there is."""
        rows = await self.api.rows(
            "SELECT channel, address FROM opt_out WHERE state = 'withdrawn' ORDER BY 1, 2"
        )
        return [(row["channel"], row["address"]) for row in rows]

    async def count(self, table: str) -> int:
        """Rows of a table."""
        return len(await self.api.rows(f"SELECT FROM {table}"))


@pytest_asyncio.fixture(loop_scope="session")
async def letter(database_url: str) -> AsyncIterator[Letter]:
    """Somebody with an address and a phone, who got a mail."""
    async with opened(database_url) as api:
        who = {"user_id": "u-1", "email": "ada@example.com", "phone": "+4915112345678"}
        await api.results(
            "/v1/events",
            event("Checkout Started", identifiers=who, properties={"cart_id": "c"}),
            headers=ADMIN,
        )
        profile = await api.read("/v1/profiles/user_id/u-1")
        async with api.doors.database.transaction() as connection:
            owner = UUID(profile["profile_id"])
            message_id = await message_row(connection, owner, address="ada@example.com")
        token = api.doors.preference_tokens.issue(
            profile["profile_id"], str(message_id), "email", "marketing"
        )
        yield Letter(api, token)


async def test_looking_changes_nothing(letter: Letter) -> None:
    before = await letter.count("event")
    for path in (f"/unsubscribe/{letter.token}", f"/preferences/{letter.token}"):
        for method in ("GET", "HEAD"):
            answer = await letter.api.client.request(method, path)
            assert answer.status_code in (200, 405)

    assert before == await letter.count("event")
    assert (await letter.consents(), await letter.opted_out()) == ({}, [])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded", id="RFC 8058"),
        pytest.param(b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n'
                     b"--x--",
                     "multipart/form-data; boundary=x", id="as a multipart form"),
        pytest.param(b"", "", id="without a body"),
        pytest.param(b"\xff\x00nonsense", "application/json", id="with any body"),
    ],
)  # fmt: skip
async def test_one_click_opts_out_at_once_without_a_redirect(
    letter: Letter, content: bytes, kind: str
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await letter.api.client.post(f"/unsubscribe/{letter.token}", content=content, headers=headers)

    assert answer.status_code == 200
    assert await letter.consents() == {"email": "withdrawn"}
    assert await letter.opted_out() == [("email", "ada@example.com")]


async def test_ten_clicks_are_one_event(letter: Letter) -> None:
    before = await letter.count("event")
    answers = [await letter.api.client.post(f"/unsubscribe/{letter.token}") for _ in range(10)]

    assert {200} == {answer.status_code for answer in answers}
    assert (before + 1, 1) == (await letter.count("event"), await letter.count("consent"))


async def test_an_old_link_works_again_after_the_person_opted_in_again(letter: Letter) -> None:
    await letter.api.client.post(f"/unsubscribe/{letter.token}")
    await letter.api.client.post(f"/preferences/{letter.token}", content=b"form=preferences&email=on")
    back_in = (await letter.consents())["email"], await letter.opted_out()
    await letter.api.client.post(f"/unsubscribe/{letter.token}")

    assert back_in == ("granted", [])
    assert (await letter.consents())["email"] == "withdrawn"
    assert await letter.opted_out() == [("email", "ada@example.com")]


async def test_a_link_outlives_its_message_and_a_merge(letter: Letter) -> None:
    await letter.api.rows("DELETE FROM message")
    answer = await letter.api.client.post(f"/unsubscribe/{letter.token}")

    assert answer.status_code == 200
    assert await letter.consents() == {"email": "withdrawn"}


async def test_a_link_nobody_signed_is_a_404_page_and_changes_nothing(letter: Letter) -> None:
    before = await letter.count("event")
    for token in (letter.token[:-2], "x", "1.AAAA.AAAA", "../../etc/passwd", "%00", "t" * 5000):
        for method in ("GET", "POST"):
            for door in ("unsubscribe", "preferences"):
                answer = await letter.api.client.request(method, f"/{door}/{token}")
                assert answer.status_code == 404, token

    assert before == await letter.count("event")


async def test_the_preference_page_shows_and_saves_each_channel(letter: Letter) -> None:
    path = f"/preferences/{letter.token}"
    first = (await letter.api.client.get(path)).text
    saved = await letter.api.client.post(path, content=b"form=preferences&sms=on")

    assert "push" not in first  # no provider sends on it
    # An address that came with a checkout may be written to until its owner says no.
    assert first.count('value="on" checked') == 1
    assert 'name="email" value="on" checked' in first
    assert saved.status_code == 200
    assert 'name="sms" value="on" checked' in saved.text
    assert "Saved" in saved.text
    assert await letter.consents() == {"email": "withdrawn", "sms": "granted"}


async def test_saving_what_is_already_so_says_that_the_customer_stays(letter: Letter) -> None:
    before = await letter.count("consent")
    await letter.api.client.post(f"/preferences/{letter.token}", content=b"form=preferences&email=on")

    saved = await letter.api.rows(
        "SELECT properties::text AS text, verified FROM event WHERE type = 'Preferences Saved'"
    )
    assert [(orjson.loads(row["text"]), row["verified"]) for row in saved] == [
        ({"channels": ["email"]}, True)
    ]
    assert before == await letter.count("consent")


async def test_saving_with_everything_off_says_nothing_of_staying(letter: Letter) -> None:
    await letter.api.client.post(f"/preferences/{letter.token}", content=b"form=preferences")

    assert await letter.api.rows("SELECT 1 FROM event WHERE type = 'Preferences Saved'") == []


async def test_everything_is_stopped_by_one_button(letter: Letter) -> None:
    await letter.api.client.post(
        f"/preferences/{letter.token}", content=b"form=preferences&email=on&nothing=1"
    )

    assert dict.fromkeys(("email", "sms", "push", "ads"), "withdrawn") == await letter.consents()
    assert {"email", "sms"} == {channel for channel, _ in await letter.opted_out()}


async def test_a_form_without_its_fields_withdraws_nothing(letter: Letter) -> None:
    for body in (b"", b"email=on", b"\x00\xff", b"&" * 1000):
        answer = await letter.api.client.post(f"/preferences/{letter.token}", content=body)
        assert answer.status_code == 422

    assert await letter.consents() == {}


async def test_pages_load_nothing_leak_nothing_and_cannot_be_framed(letter: Letter) -> None:
    for path in (f"/unsubscribe/{letter.token}", f"/preferences/{letter.token}", "/unsubscribe/x"):
        answer = await letter.api.client.get(path)
        policy = answer.headers["content-security-policy"]

        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "http://" not in answer.text.replace("http://waypost.test", "")
        assert "ada@example.com" not in answer.text


async def test_a_yes_on_the_page_is_one_of_the_address_that_got_the_link(letter: Letter) -> None:
    """Of a profile into which a page has put several, none of the others is granted anything."""
    both = {"user_id": "u-2", "email": "mallory@example.com"}
    for n, who in enumerate((both, {"user_id": "u-2", "email": "a-victim@example.com"})):
        await letter.api.results("/v1/events", event("Signed In", f"e-{n + 7}", identifiers=who))
    profile = await letter.api.read("/v1/profiles/user_id/u-2")
    async with letter.api.doors.database.transaction() as connection:
        owner = UUID(profile["profile_id"])
        message_id = await message_row(connection, owner, address=both["email"])
    for message, named in ((str(message_id), f"email:{both['email']}"), (str(owner), "user_id:u-2")):
        token = letter.api.doors.preference_tokens.issue(str(owner), message, "email", "marketing")
        await letter.api.client.post(f"/preferences/{token}", content=b"form=preferences&sms=on&email=on")
        [*_, last] = await letter.api.rows("SELECT named, verified FROM consent ORDER BY seq")

        assert named in last["named"]
        assert not {"email:a-victim@example.com"} & {*last["named"]}
        assert last["verified"] == (named != "user_id:u-2")
        await letter.api.client.post(f"/preferences/{token}", content=b"form=preferences")
