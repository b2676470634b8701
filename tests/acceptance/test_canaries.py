"""A customer's data and every key, sent by every door, leave no trace in logs, histories and metrics."""

import asyncio
import base64
import json
import socket
import struct
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from local.stack import ADMIN_KEY, SERVER_KEY, WRITE_KEY
from profiles.events import END_RUN
from tests.support.environments.installation import LAMP, YES, Installation, Row, installed
from tests.support.fakes import Mode
from tests.support.journeys.canary import EMAIL, NAME, PHONE

STREET = "Kanarienweg 7"

WRITE, SERVER, ADMIN, WRONG = (
    f"canary-{kind}-key-0123456789abcdef" for kind in ("write", "server", "admin", "no")
)

TOKEN = "canary-token-0123456789abcdef"

ENVIRONMENT = {
    "WAYPOST_LOG_LEVEL": "DEBUG",
    "WAYPOST_JOURNEYS": "journeys,tests.support.journeys.canary",
    "WAYPOST_WRITE_KEYS": f"{WRITE_KEY},{WRITE}",
    "WAYPOST_SERVER_KEYS": f"{SERVER_KEY},{SERVER}",
    "WAYPOST_ADMIN_KEYS": f"{ADMIN_KEY},{ADMIN}",
    "SHOPIFY_WEBHOOK_SECRET": TOKEN,
}

PERSON = {"email": EMAIL, "phone": PHONE, "user_id": "canary-user"}

TRAITS = YES | {
    "first_name": NAME.split()[0],
    "name": NAME,
    "email": EMAIL,
    "phone": PHONE,
    "address": STREET,
}

SPELLINGS = {
    "coupon": EMAIL.replace("@", "%2540"),
    "brand": EMAIL.replace("@", "＠"),
    "variant": PHONE.replace("+", "00"),
    "category": "".join(chr(ord(c) + 0xFEE0) for c in PHONE),
    "url": f"https://shop.example/?m={quote(EMAIL)}&t=tel:{PHONE}",
    "image_url": f"https://shop.example/{base64.b64encode(EMAIL.encode()).decode()}",
}
"""The customer in properties that runs get, in other spellings."""

CANARIES = (
    *("zephyrine", "okonkwo", "canary.example", "15198765432", "kanarienweg", "canary-token"),
    *("canary-write", "canary-server", "canary-admin", "canary-no", "151 98765432"),
    *(base64.b64encode(f"{key}:".encode()).decode()[:16].lower() for key in (WRITE, SERVER, ADMIN, WRONG)),
    base64.b64encode(EMAIL.encode()).decode()[:16].lower(),
)


def canaries_in(text: bytes) -> list[str]:
    """Canaries in a text, in any case."""
    lowered = text.lower()
    return [canary for canary in CANARIES if canary.encode() in lowered]


async def hang_up(installation: Installation, path: str, *, reset: bool) -> None:
    """Send half of a body with a key, then go away."""
    url = httpx2.URL(installation.stack.api_url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    key = base64.b64encode(f"{WRITE}:".encode()).decode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {key}\r\nContent-Length: 5000\r\n\r\n"
    writer.write(head.encode() + json.dumps({"email": EMAIL, "name": NAME}).encode())
    await writer.drain()
    await asyncio.sleep(0.05)
    if reset:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def by_every_door(installation: Installation) -> None:
    """Name the customer and the keys in every kind of request, well-formed or not."""
    whole = installation.event("Product Viewed", LAMP | {"note": NAME}, traits=TRAITS, **PERSON)
    segment = {"type": "identify", "userId": PERSON["user_id"], "traits": TRAITS, "writeKey": WRITE}
    segment["messageId"] = EMAIL
    bodies: list[object] = [
        {"events": [whole, {**whole, "time": NAME}, {**whole, "identifiers": {NAME: EMAIL}}, NAME]},
        {**whole, "id": f"{EMAIL}\0", "properties": {NAME: [STREET, {"price": NAME, "a": "\0" + EMAIL}]}},
        segment,
        {"batch": [segment, {**segment, "type": NAME}, {"type": "track", "event": NAME, "properties": NAME}]},
        f'{{"email": "{EMAIL}", "name": "{NAME}", ',
        NAME.encode("utf-16"),
        b"\x1f\x8b" + EMAIL.encode(),
    ]
    profile = f"/v1/profiles/email/{quote(EMAIL)}"
    paths = [
        *("/v1/events", "/v1/track", "/v1/identify", "/v1/batch", "/v1/t", "/v1/m", f"/v1/{NAME}"),
        *("/webhooks/sendgrid/events", "/webhooks/twilio/inbound", "/webhooks/shopify"),
        *(f"/preferences/{TOKEN}", f"/unsubscribe/{TOKEN}", f"{profile}/consents"),
        *(f"/v1/runs/{quote(EMAIL)}/cancel", "/v1/identity/tokens", f"/v1/kill-switches?who={quote(EMAIL)}"),
    ]
    for path in paths:
        for body in bodies:
            content = body if isinstance(body, str | bytes) else json.dumps(body)
            for key in (WRITE, WRONG, ADMIN):
                await installation.ask("POST", path, key=key, content=content)
        await installation.ask("GET", path, key=ADMIN, headers={"Cookie": TOKEN, "User-Agent": EMAIL})
        await installation.ask("PUT", path, key=TOKEN, content=f'{{"state": "{NAME}"}}')
    for path in (
        profile,
        f"/v1/profiles/phone/{quote(PHONE)}",
        f"/v1/profiles/{NAME}/{EMAIL}",
        f"{profile}/runs",
    ):
        await installation.ask("GET", path, key=ADMIN, params={"cursor": NAME, "limit": EMAIL})
    for path in ("/v1/events", "/v1/batch", "/v1/t", f"{profile}/consents", "/webhooks/shopify"):
        await hang_up(installation, path, reset=True)
        await hang_up(installation, path, reset=False)


async def through_the_journeys(installation: Installation) -> list[Row]:
    """Lead the customer through runs, providers that repeat addresses, and journeys that name people."""

    async def happens(name: str, properties: Row) -> None:
        event = installation.event(name, properties, traits=TRAITS, **PERSON)
        answer = await installation.ask("POST", "/v1/events", key=SERVER, json={"events": [event]})
        assert answer.json()["results"][0]["status"] == "accepted", answer.text

    echo = f"Mail to {EMAIL} (call +49 151 98765432) is not possible"
    installation.mail.script(
        Mode.named("throttle", body=json.dumps({"errors": [{"message": echo}]}), reset_in_s=1.0)
    )
    installation.mail.script(Mode.named("reject", body=json.dumps({"errors": [{"message": echo}]})))
    installation.text.script(
        Mode.named("reject", code=21211, body=json.dumps({"code": 21211, "message": echo}))
    )
    await happens("Product Added", LAMP | SPELLINGS | {"cart_id": "cart-1"})
    run = await installation.run(EMAIL, "cart-abandonment")
    await installation.passes(run, timedelta(days=4))
    await happens("Checkout Started", {"products": [LAMP | SPELLINGS], "email": EMAIL})
    await happens("Product Viewed", LAMP | SPELLINGS)
    looked_up = await installation.run(EMAIL, "looks-up")
    handle = await installation.handle(looked_up)

    async def failed() -> bool:
        return (await handle.describe()).close_time is not None

    await installation.until(failed, within_s=60)
    raised = await installation.run(EMAIL, "raises")
    reason = {"reason": f"asked by {EMAIL}"}
    answer = await installation.ask("POST", f"/v1/runs/{raised['run_id']}/cancel", key=ADMIN, json=reason)
    assert answer.status_code < 300, answer.text
    raising = await installation.handle(raised)

    async def failed_and_cancelled() -> bool:
        told = (await raising.fetch_history()).to_json()
        return "LookupFailed" in told and END_RUN in told

    await installation.until(failed_and_cancelled)
    return [json.loads((await handle.fetch_history()).to_json()), run]


def written_by(folder: Path) -> dict[str, bytes]:
    """What the processes logged, and every file of the Temporal server."""
    files = [folder / "processes.log", *(folder / "temporal").iterdir()]
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def lines_with(log: bytes, words: Iterable[str]) -> list[str]:
    return [line for line in log.decode().splitlines() if any(word in line.lower() for word in words)]


@pytest.mark.timeout(240)
async def test_no_canary_is_in_a_log_a_history_or_a_metric(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("canaries")
    async with installed(folder, environment=ENVIRONMENT) as installation:
        await by_every_door(installation)
        log = written_by(folder)["processes.log"]
        [history, run] = await through_the_journeys(installation)
        told = {path: await installation.ask("GET", path) for path in ("/metrics", "/readyz", "/healthz")}
        settled = await installation.messages(EMAIL)
    written = written_by(folder)

    # Clients that went away, and refused requests, are no errors.
    assert lines_with(log, ("[error", "[critical", "traceback", "clientdisconnect")) == []
    assert b"client_left" in log
    # What is searched is legible, and the failures did happen.
    assert {"processes.log", "temporal.db"} <= written.keys()
    for known in ("cart-1", run["workflow_id"], "LookupFailed", "tests/support/journeys/canary.py"):
        assert any(known.encode() in each for each in written.values()), known
    assert b"look_up_customer" in written["processes.log"]
    assert "[address]" in json.dumps(history)
    assert {message["status"] for message in settled} & {"released", "withheld"}
    assert {name: canaries_in(text) for name, text in written.items() if canaries_in(text)} == {}
    assert {
        path: canaries_in(answer.content) for path, answer in told.items() if canaries_in(answer.content)
    } == {}
    assert max(map(len, written["processes.log"].splitlines())) < 8 * 1024
