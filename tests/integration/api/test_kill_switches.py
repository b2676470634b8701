"""Kill switches over HTTP and by command: switching, refusals in words, and where they show."""

import asyncio

import orjson
import pytest

from cli.kill_switches import format_change, list_stops, set_stop
from policy.facts import StopKind
from tests.support.environments.api import ADMIN, OpenApi
from workers.errors import UserError

WHY = {"reason": "the shop's prices are wrong"}


async def test_a_stop_is_shown_everywhere_until_it_is_resumed(api: OpenApi) -> None:
    put = await api.client.put("/v1/stops/channel/sms", json=WHY, headers=ADMIN)
    again = await api.client.put("/v1/stops/channel/sms", json={"reason": "other"}, headers=ADMIN)
    listed = await api.read("/v1/stops")
    ready = await api.client.get("/readyz")
    text = (await api.client.get("/metrics")).text
    deleted = [(await api.client.delete("/v1/stops/channel/sms", headers=ADMIN)).json() for _ in range(2)]
    after = (await api.client.get("/metrics")).text

    assert put.status_code == 200
    assert again.json() == put.json()
    assert listed == {"stops": [put.json()]}
    assert put.json()["reason"] == WHY["reason"]
    assert put.json()["actor"].startswith("api/")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert [(one["kind"], one["name"]) for one in ready.json()["stops"]] == [("channel", "sms")]
    assert "prices" not in ready.text
    assert '\nwaypost_stops_active{kind="channel"} 1.0\n' in text
    assert '\nwaypost_stops_active{kind="channel"} 0.0\n' in after
    assert deleted == [{"resumed": True}, {"resumed": False}]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("channel/fax", "no channel 'fax'; known: email, sms, push, ads"),
        ("journey/winback", "no journey 'winback'; known: cart-abandonment, double-opt-in, post-purchase, "
         "win-back; did you "
         "mean 'win-back'?"),
        ("template/cart_ofer", "did you mean 'cart_offer'?"),
        ("all/sms", "no such thing as 'sms'; known: all"),
    ],
)  # fmt: skip
async def test_an_unknown_name_is_refused_with_what_is_known(
    shared_api: OpenApi, path: str, said: str
) -> None:
    put = await shared_api.client.put(f"/v1/stops/{path}", json=WHY, headers=ADMIN)
    deleted = await shared_api.client.delete(f"/v1/stops/{path}", headers=ADMIN)

    assert [put.status_code, deleted.status_code] == [404, 404]
    assert said in put.json()["detail"]
    assert await shared_api.rows("SELECT 1 FROM kill_switch") == []


async def test_what_has_gone_from_the_code_can_be_resumed(api: OpenApi) -> None:
    await api.rows("INSERT INTO kill_switch VALUES ('template', 'of_last_year', now(), 'old', 'somebody')")
    deleted = await api.client.delete("/v1/stops/template/of_last_year?reason=gone", headers=ADMIN)

    assert deleted.json() == {"resumed": True}
    [row] = await api.rows("SELECT done, reason FROM kill_switch_log")
    assert (row["done"], row["reason"]) == ("resumed", "gone")


async def test_a_stop_wants_a_reason_and_an_admin_key(shared_api: OpenApi) -> None:
    without = await shared_api.client.put("/v1/stops/all/all", json={}, headers=ADMIN)
    nobody = await shared_api.client.put("/v1/stops/all/all", json=WHY)

    assert (without.status_code, nobody.status_code) == (422, 401)


async def test_by_command_too(api: OpenApi, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    stopped = await set_stop(StopKind.TEMPLATE, "cart_offer", stopped=True, reason="[typo] in it")
    again = await set_stop(StopKind.TEMPLATE, "cart_offer", stopped=True, reason="")
    everything = await set_stop(StopKind.ALL, "", stopped=True, reason="  ")
    table, listed = await asyncio.gather(list_stops(as_json=False), list_stops(as_json=True))
    resumed = [
        await set_stop(StopKind.ALL, "", stopped=False, reason=""),
        await set_stop(StopKind.ALL, "all", stopped=False, reason=""),
    ]
    with pytest.raises(UserError, match=r"no journey 'winback'; known: .* did you mean 'win-back'"):
        await set_stop(StopKind.JOURNEY, "winback", stopped=True, reason="")
    with pytest.raises(UserError, match="a channel has a name"):
        await set_stop(StopKind.CHANNEL, "", stopped=False, reason="")
    with pytest.raises(UserError, match="all is everything"):
        await set_stop(StopKind.ALL, "sms", stopped=True, reason="")

    assert format_change(stopped).startswith("template cart_offer is stopped: nothing more is claimed.")
    assert "To go on: waypost resume template cart_offer" in format_change(stopped)
    assert format_change(again) == "template cart_offer is stopped already; nothing was changed."
    assert "To go on: waypost resume all" in format_change(everything)
    assert "[typo] in it" in " ".join(table.split())
    assert [one["name"] for one in orjson.loads(listed)["stops"]] == ["all", "cart_offer"]
    assert [one.changed for one in resumed] == [True, False]
    assert format_change(resumed[1]) == "everything is not stopped; nothing was changed."


async def test_nothing_stopped_is_said_so(
    api: OpenApi, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)

    assert await list_stops(as_json=False) == "Nothing is stopped.\n"
