"""What is kept beside a word on consent, by every door, and that bad evidence costs nobody their no."""

from datetime import UTC, datetime
from typing import Any

import pytest

from profiles.db.pagination import Cursor
from profiles.db.sql import new_id
from tests.support.environments.api import ADMIN, OpenApi, event
from tests.support.environments.ingest import IngestHarness

ADA = "ada@example.com"

PATH = f"/v1/profiles/email/{ADA}"

SHOWN = {"text_version": "2026-03", "method": "double_opt_in", "jurisdiction": "de"}

KEPT = {"text_version": "2026-03", "method": "double_opt_in", "jurisdiction": "DE"}

NONE = dict.fromkeys(KEPT)


async def says(api: OpenApi, **said: Any) -> Any:
    return await api.client.put(f"{PATH}/consents", json=said, headers=ADMIN)


async def evidence(api: OpenApi) -> list[dict[str, Any]]:
    """Of each entry of the ledger, the newest first."""
    entries = (await api.read(f"{PATH}/consents"))["consents"]
    return [{name: entry[name] for name in KEPT} for entry in entries]


async def test_evidence_is_given_back_with_the_answer_the_profile_and_the_ledger(api: OpenApi) -> None:
    answer = await says(api, channel="email", state="granted", **SHOWN)
    [stands] = (await api.read(PATH))["consents"]
    [entry] = (await api.read(f"{PATH}/consents"))["consents"]

    assert answer.json() | KEPT == answer.json()
    assert stands | KEPT == stands
    assert entry | KEPT == entry
    assert (entry["said_by"], entry["state"], entry["source"]) == (f"email:{ADA}", "granted", "api")


async def test_evidence_comes_in_events_and_in_traits_as_well(api: OpenApi) -> None:
    who = {"email": ADA}
    said = {"channel": "sms", "state": "granted", **SHOWN}
    await api.results(
        "/v1/events", event("Consent Changed", "1", identifiers=who, properties=said), headers=ADMIN
    )
    in_traits = {"consents": {"email": {"granted": True, **SHOWN}, "push": True}}
    await api.results("/v1/events", event("Signed Up", "2", identifiers=who, traits=in_traits), headers=ADMIN)
    stands = {one["channel"]: one for one in (await api.read(PATH))["consents"]}

    assert stands["sms"] | KEPT == stands["sms"]
    assert stands["email"] | KEPT == stands["email"]
    assert stands["push"] | NONE == stands["push"]


async def test_a_word_by_the_api_without_a_method_has_the_api_for_one(api: OpenApi) -> None:
    await says(api, channel="email", state="granted")

    assert await evidence(api) == [NONE | {"method": "api"}]


BAD = [
    pytest.param({"text_version": "v" * 101}, id="too long a version"),
    pytest.param({"text_version": 7}, id="a version that is a number"),
    pytest.param({"method": "by phone call"}, id="a method with blanks"),
    pytest.param({"method": "keyword_start"}, id="a method of Waypost's own"),
    pytest.param({"jurisdiction": "Germany"}, id="a country by name"),
    pytest.param({"jurisdiction": ["DE"]}, id="a list"),
]


@pytest.mark.parametrize("bad", BAD)
async def test_bad_evidence_refuses_a_yes_and_never_a_no(api: OpenApi, bad: dict[str, Any]) -> None:
    yes = await says(api, channel="email", state="granted", **bad)
    no = await says(api, channel="email", state="withdrawn", **bad)
    [stands] = (await api.read(PATH))["consents"]
    [problem] = await api.rows("SELECT problems::text FROM event WHERE type = 'Consent Changed'")

    [name] = bad
    assert (yes.status_code, no.status_code) == (422, 200)
    assert (stands["state"], stands[name]) == ("withdrawn", None)
    assert f"{name} must be" in problem[0]


@pytest.mark.parametrize("bad", BAD)
async def test_bad_evidence_in_an_event_is_a_problem_and_the_word_counts(
    facts: IngestHarness, bad: dict[str, Any]
) -> None:
    in_traits = await facts.happens(
        "Signed Up", traits={"consents": {"email": {"granted": False, **bad}}}, email=ADA
    )
    said = {"channel": "sms", "state": "withdrawn", **bad}
    by_event = await facts.happens("Consent Changed", said, email=ADA)

    [name] = bad
    assert await facts.values("SELECT state FROM consent_state") == ["withdrawn", "withdrawn"]
    assert await facts.values(f"SELECT DISTINCT {name} FROM consent") == [None]
    for answer, where in ((in_traits, "traits.consents.email."), (by_event, "")):
        [problem] = await facts.problems(answer.event_id)
        assert problem.startswith(f"{where}{name} must be ")


async def test_the_ledger_is_read_page_by_page_and_every_word_once(api: OpenApi) -> None:
    for number in range(5):
        await says(api, channel="email", state="granted", text_version=str(number))
    found = await api.read_all(f"{PATH}/consents", "consents", limit=2)

    assert [entry["text_version"] for entry in found] == ["4", "3", "2", "1", "0"]


async def test_a_cursor_of_another_list_and_an_unknown_person_are_refused_in_words(api: OpenApi) -> None:
    await says(api, channel="email", state="granted")
    await says(api, channel="email", state="withdrawn")
    foreign = str(Cursor(datetime.now(UTC), new_id()))
    answer = await api.client.get(f"{PATH}/consents", params={"cursor": foreign}, headers=ADMIN)
    unknown = await api.client.get("/v1/profiles/email/bob@example.com/consents", headers=ADMIN)

    assert (answer.status_code, unknown.status_code) == (422, 404)
    assert "not a cursor of this list" in answer.json()["detail"]
