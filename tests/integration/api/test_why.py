"""Why, as an operator asks it: by API, as a page, by command; narrowed to a journey, an item, a moment."""

import base64
import json
import shlex
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from activities.contracts import HoldSpec
from api.temporal import WaitingView
from cli.why import answer_why
from tests.support.docs import blocks, commands_of
from tests.support.environments.api import ADMIN, WRITE, OpenApi, event
from tests.support.environments.explain import EVENING, HOUR, SMS, YES, ExplainCase
from tests.support.environments.gate import GateHarness
from workers.errors import UserError

API_SETTINGS = {"temporal_ui_url": "https://temporal.example.com"}

BOUGHT = (
    "Ada was not sent cart_reminder by email on Sat 21 Nov 2037 at 20:00 (Europe/Berlin): p-1 (Aria lamp) "
    "had been bought at 14:03 in the store (Order Completed o-17, event pos/berlin-3 evt-9-cart-7001)."
)

PERSON = "/v1/profiles/email/ada-1@example.com"


@pytest_asyncio.fixture(loop_scope="session")
async def desk(gate_env: GateHarness) -> ExplainCase:
    """Ada got a text message at one, bought the lamp at two, and was kept from a reminder at eight."""
    desk = ExplainCase(gate_env, "cart-7001", 1)
    await desk.opens(YES)
    await desk.sends("1", hours=7, channel=SMS)
    await desk.buys()
    await desk.asks("2")
    return desk


async def test_the_api_answers_in_a_sentence_with_its_facts_and_the_timeline(
    desk: ExplainCase, api: OpenApi
) -> None:
    answer = await api.read(f"{PERSON}/why")
    decisions = (await api.read(f"{PERSON}/decisions"))["decisions"]
    [suppression] = [fact for fact in answer["facts"] if fact["kind"] == "suppression"]
    last = answer["timeline"][-1]

    assert answer["sentence"] == BOUGHT
    assert answer["decision"]["sentence"] == BOUGHT
    assert [one["sentence"].split(" by ")[0] for one in decisions] == [
        "Ada was not sent cart_reminder",
        "Ada was sent cart_reminder",
    ]
    assert (suppression["item"], suppression["event"]["id"]) == ("p-1", "evt-9-cart-7001")
    assert suppression["text"].startswith("p-1 (Aria lamp) is not to be promoted until Sun 21 Nov 2038")
    assert [line["kind"] for line in answer["timeline"]] == [
        *("event", "consent", "run", "decision", "message"),
        *("event", "run", "decision"),
    ]
    assert last["text"].startswith(
        "cart_reminder by email, withheld: purchased: p-1 (Aria lamp) had been bought"
    )
    assert [check["name"] for check in last["checks"] if not check["passed"]] == ["items"]
    assert "ada-1@example.com" not in json.dumps(answer)


async def test_a_moment_an_item_and_a_journey_narrow_the_answer(desk: ExplainCase, api: OpenApi) -> None:
    at_two = await api.read(f"{PERSON}/why", at="2037-11-21T14:00")
    in_utc = await api.read(f"{PERSON}/why", at="2037-11-21T13:00:00Z")
    later = await api.read(f"{PERSON}/why", at="2037-11-21T15:00")
    by_unit = await api.read(f"{PERSON}/why", item="p-1-red")
    other_item = await api.read(f"{PERSON}/why", item="p-9")
    other_journey = await api.read(f"{PERSON}/why", journey="post-purchase")
    refused = await api.client.get(f"{PERSON}/why", params={"at": "yesterday"}, headers=ADMIN)

    assert at_two["sentence"].startswith("Ada was sent cart_reminder by sms on Sat 21 Nov 2037 at 13:00")
    assert at_two["sentence"] == in_utc["sentence"]
    assert [fact["item"] for fact in at_two["facts"] if fact["kind"] == "suppression"] == []
    assert [fact["item"] for fact in later["facts"] if fact["kind"] == "suppression"] == ["p-1"]
    assert by_unit["sentence"] == BOUGHT
    assert other_item["decision"] is None
    assert other_item["sentence"].startswith("Nothing was decided for Ada about p-9 yet: ")
    assert other_journey["sentence"] == (
        "Nothing was decided for Ada in post-purchase yet: post-purchase (o-17), which began on "
        "Sat 21 Nov 2037 at 14:03, runs, and could not be asked what it waits for."
    )
    assert [line["journey"] for line in other_journey["timeline"] if line["kind"] == "run"] == [
        "post-purchase"
    ]
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "at")


async def test_the_page_is_an_operators_and_keeps_to_itself(desk: ExplainCase, api: OpenApi) -> None:
    def typed(name: str, password: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}

    path = "/why/email/ada-1@example.com"
    asked = await api.client.get(path)
    weak = await api.client.get(path, headers=WRITE)
    shown = await api.client.get(path, headers=typed("operator", "admin-key-of-tests"))
    also = await api.client.get(path, headers=typed("admin-key-of-tests", ""))
    wrong = await api.client.get(path, headers=typed("operator", "another"))
    nobody = await api.client.get("/why/email/bob@example.com", headers=ADMIN)

    assert (asked.status_code, asked.headers["www-authenticate"].split()[0]) == (401, "Basic")
    assert [one.status_code for one in (weak, wrong, nobody, shown, also)] == [403, 401, 404, 200, 200]
    assert BOUGHT in shown.text
    assert "did not pass" in shown.text
    assert "https://temporal.example.com/namespaces/default/workflows/cart-abandonment" in shown.text
    assert "ada-1@example.com" not in shown.text
    assert "<script" not in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert "default-src 'none'; style-src 'sha256-" in shown.headers["content-security-policy"]


async def test_what_customers_wrote_is_text_on_the_page(gate_env: GateHarness, api: OpenApi) -> None:
    desk = ExplainCase(gate_env, "c-3", 3)
    await desk.opens(YES)
    name = '<img src=x onerror="alert(1)">\u202e\x1b[31m'
    traits = {"first_name": name}
    await desk.hears("Product Viewed", {"product_id": "p-2", "name": name}, event_id="e-2", traits=traits)
    page = (await api.client.get("/why/email/ada-3@example.com", headers=ADMIN)).text

    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert [letter for letter in ("\u202e", "\x1b") if letter in page] == []


async def test_a_person_of_whom_nothing_was_decided_is_told_what_their_runs_wait_for(
    gate_env: GateHarness, api: OpenApi
) -> None:
    desk = ExplainCase(gate_env, "c-2", 2)
    await desk.opens(YES)
    waiting = await api.read("/v1/profiles/email/ada-2@example.com/why")
    before = await api.read("/v1/profiles/email/ada-2@example.com/why", at="2037-11-21T09:00")
    await gate_env.fetch_rows(
        "UPDATE run SET state = 'stuck', detail = 'refused' WHERE run_id = $1", desk.run_id
    )
    stuck = await api.read("/v1/profiles/email/ada-2@example.com/why")
    await gate_env.fetch_rows("UPDATE run SET state = 'ended' WHERE run_id = $1", desk.run_id)
    over = await api.read("/v1/profiles/email/ada-2@example.com/why")
    begun = "Nothing was decided for Ada yet: "
    cart = f"{begun}cart-abandonment (c-2), which began on Sat 21 Nov 2037 at 12:00"

    # No Temporal answers here, and that is what is said.
    assert waiting["sentence"] == f"{cart}, runs, and could not be asked what it waits for."
    assert before["sentence"].endswith("no run of theirs is live, so nothing is to be sent.")
    assert stuck["sentence"] == f"{cart}, is stuck (refused)."
    assert over["sentence"] == f"{begun}no run of theirs is live, so nothing is to be sent."


async def test_a_message_that_waited_says_what_came_of_it(gate_env: GateHarness, api: OpenApi) -> None:
    desk = ExplainCase(gate_env, "c-4", 4)
    await desk.opens(YES)
    hold = {"opened": "Ticket Opened", "closed": ("Ticket Solved",), "by": "ticket_id", "says": "a ticket"}
    await desk.hears("Ticket Opened", {"ticket_id": "17"}, event_id="t-17", channel="support")
    await desk.asks(hold_while=(HoldSpec.model_validate(hold),))
    await desk.hears("Ticket Solved", {"ticket_id": "17"}, event_id="t-18", channel="support", hours=-1)
    await desk.asks(at=EVENING + 2 * HOUR, hold_while=(HoldSpec.model_validate(hold),))
    now = await api.read("/v1/profiles/email/ada-4@example.com/why")
    then = await api.read(
        "/v1/profiles/email/ada-4@example.com/why", at=(EVENING + timedelta(minutes=1)).isoformat()
    )

    assert now["sentence"].startswith("Ada is being sent cart_reminder by email on Sat 21 Nov 2037 at 22:00")
    [held] = [line for line in then["timeline"] if line["kind"] == "decision"]
    assert held["text"].startswith("cart_reminder by email, on hold: held while a ticket 17 is open, opened")
    assert then["decision"]["reason"] == "lower_priority"
    assert then["sentence"].endswith(
        "; put off until Sun 22 Nov 2037 at 20:00, and allowed on Sat 21 Nov 2037 at 22:00."
    )


async def test_an_item_narrows_what_a_person_waits_for_to_the_runs_about_it(
    gate_env: GateHarness, api: OpenApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def details(*_: object) -> WaitingView:
        return WaitingView(details="**Sleeping until Fri 01 Jan 00:30 UTC**", note="")

    monkeypatch.setattr(api.doors.temporal, "load_waiting_view", details)
    desk = ExplainCase(gate_env, "c-5", 5)
    await desk.opens(YES)
    chair = {"product_id": "p-2", "cart_id": "c-5"}
    await desk.hears("Product Added", chair, event_id="chair-1", hours=7)
    why = "/v1/profiles/email/ada-5@example.com/why"
    lamp, also = await api.read(why, item="p-1"), await api.read(why, item="p-2")
    await desk.hears("Product Removed", chair, event_id="chair-2", hours=6)
    sofa, removed = await api.read(why, item="sofa"), await api.read(why, item="p-2")
    begun = "Nothing was decided for Ada about"

    # The run says its times in UTC, and they are told by the clock of the person.
    for answer in (lamp, also):
        assert "cart-abandonment (c-5), which began on Sat 21 Nov 2037 at 12:00, says: " in answer["sentence"]
        assert answer["sentence"].endswith("Sleeping until Fri 1 Jan 2038 at 01:30.")
    for answer, item in ((sofa, "sofa"), (removed, "p-2")):
        assert answer["sentence"] == (
            f"{begun} {item} yet: no live run of theirs is about it, so nothing is to be sent."
        )


async def test_a_run_with_a_moved_clock_says_so_where_it_begins(gate_env: GateHarness, api: OpenApi) -> None:
    desk = ExplainCase(gate_env, "c-6", 6)
    await desk.opens(YES)
    texts = {}
    for offset in (7_201.5, 0.0):
        await gate_env.fetch_rows("UPDATE run SET clock_offset_s = $1", offset)
        timeline = (await api.read("/v1/profiles/email/ada-6@example.com/why"))["timeline"]
        [texts[offset]] = [line["text"] for line in timeline if line["kind"] == "run"]

    assert texts[7_201.5] == f"{texts[0.0]}; this run's clock is ahead by 2 hours"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/why/email/ada-1@example.com?at=noon", 422, "At: expected a time such as 2026-11-21T20:00"),
        ("/why/email/bob@example.com", 404, "No profile has this email; check its spelling"),
        ("/sandbox/019a2f00-1111-7000-8000-00000ada0001", 404, "The sandbox delivered no message"),
        ("/sandbox/x", 422, "Message_id: "),
    ],
)
async def test_a_browser_gets_a_page_for_an_error_and_others_get_json(
    desk: ExplainCase, api: OpenApi, path: str, status: int, said: str
) -> None:
    page = await api.client.get(path, headers={**ADMIN, "Accept": "text/html,*/*;q=0.8"})
    other = await api.client.get(path, headers=ADMIN)
    closed = await api.client.get(path, headers={"Accept": "text/html"})

    assert (page.status_code, other.status_code) == (status, status)
    assert page.headers["content-type"].startswith("text/html")
    assert f"<p>{said}" in page.text
    assert other.headers["content-type"] == "application/problem+json"
    assert closed.status_code == 401
    assert closed.headers["www-authenticate"]


async def test_the_command_prints_the_answer_and_knows_whom_it_does_not_know(
    desk: ExplainCase, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    nothing: dict[str, Any] = {"journey": None, "item": None, "at": None, "as_json": False}
    said = await answer_why("ada-1@example.com", **nothing)
    answer = json.loads(
        await answer_why("phone:+4915112345601", **nothing | {"as_json": True, "at": "2037-11-21T14:00"})
    )
    with pytest.raises(UserError, match=r"--at: expected a time such as 2026-11-21T20:00"):
        await answer_why("ada-1@example.com", **nothing | {"at": "noon"})
    with pytest.raises(UserError, match=r"no profile has email:bob@example\.com; check its spelling"):
        await answer_why("bob@example.com", **nothing)

    assert said.replace("\n", " ").startswith(BOUGHT)
    assert "What happened, by the clock of Europe/Berlin (as their profile says)" in said
    assert "did not pass: items: 0 of 1 item left: p-1 suppressed" in said
    assert "ada-1@example.com" not in said
    assert answer["sentence"].startswith("Ada was sent cart_reminder by sms")


async def test_the_answer_in_the_operators_guide_is_what_the_command_prints(
    desk: ExplainCase, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "118")
    # A run of a stack that is not local has no offset.
    await desk.env.fetch_rows("UPDATE run SET clock_offset_s = 0")
    [said] = [command for block in blocks("console", "why") for command in commands_of(block)]
    answer = await answer_why(
        "ada-1@example.com", journey="cart-abandonment", item="p-1", at=None, as_json=False
    )

    assert shlex.join(said.words) == "waypost why ada@example.com --journey cart-abandonment --item p-1"
    # Eleven years earlier every day of that year is the same day of the week.
    assert said.answer == answer.replace("2037", "2026").replace("2038", "2027").strip()


async def test_why_says_that_an_order_was_over_before_its_confirmation(api: OpenApi) -> None:
    order = {"order_id": "o-9", "products": [{"product_id": "p-1"}]}
    for number, name in enumerate(("Order Cancelled", "Order Completed")):
        told = event(name, f"e-{number}", properties=order if number else {"order_id": "o-9"})
        await api.results("/v1/events", told, headers=ADMIN)
    answer = await api.read("/v1/profiles/user_id/u-1/why")

    assert [entry["kind"] for entry in answer["timeline"]] == ["event", "event"]
    assert answer["timeline"][-1]["problems"].startswith(
        "no run was started, as it would be over at once (cancelled): Order Cancelled came before it"
    )
