"""The fakes as other tests use them: from another process, by their control endpoint and ledger file."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from activities.channels.adapter import Accepted, MaybeSent, NotSent, OutgoingMessage, RenderedMessage
from activities.channels.sendgrid import SendGridAdapter
from tests.support.fakes import DeliveryLedger, FakeSendGrid, Mode

MAIL = OutgoingMessage("m-1", "ada@example.com", RenderedMessage("text", "subject"))


class Running:
    """Both fakes in a process of their own."""

    def __init__(self, urls: dict[str, str], ledger: Path) -> None:
        self.sendgrid, self.twilio, self.ledger = urls["sendgrid"], urls["twilio"], ledger

    async def order(self, **order: Any) -> Any:
        async with httpx2.AsyncClient() as client:
            return (await client.post(f"{self.sendgrid}/_mode", json=order)).json()

    async def see(self, what: str) -> Any:
        async with httpx2.AsyncClient() as client:
            return (await client.get(f"{self.sendgrid}/_{what}")).json()

    async def called(self, times: int) -> None:
        for _ in range(500):
            if len(await self.see("calls")) == times:
                return
            await asyncio.sleep(0.02)
        raise TimeoutError(f"expected {times} calls, saw {await self.see('calls')}")

    async def send(self, timeout_s: float = 2.0) -> Accepted | NotSent | MaybeSent:
        adapter = SendGridAdapter("k", "shop@example.com", base_url=self.sendgrid, timeout_s=timeout_s)
        try:
            return await adapter.deliver(MAIL)
        except (NotSent, MaybeSent) as failure:
            return failure
        finally:
            await adapter.aclose()


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    ledger = tmp_path / "ledger.jsonl"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.fakes", "0", "0", "--ledger", str(ledger)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            yield Running(json.loads(await process.stdout.readline()), ledger)
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_what_is_accepted_is_in_the_ledger_file(running: Running) -> None:
    accepted = await running.send()

    (delivery,) = DeliveryLedger.read(running.ledger)
    assert accepted == Accepted(delivery.provider_id)
    assert (delivery.to, delivery.subject, delivery.message_id) == ("ada@example.com", "subject", "m-1")
    assert [vars(delivery)] == await running.see("ledger")


async def test_calls_are_scripted_from_another_process_one_by_one(running: Running) -> None:
    await running.order(script=[{"name": "reject", "status": 403}, "accept_then_close"])

    outcomes = [await running.send(), await running.send(), await running.send()]

    assert [type(one) for one in outcomes] == [NotSent, MaybeSent, Accepted]
    assert [call["mode"] for call in await running.see("calls")] == ["reject", "accept_then_close", "accept"]
    assert len(DeliveryLedger.read(running.ledger)) == 2


async def test_a_call_hangs_until_it_is_released(running: Running) -> None:
    await running.order(script=["accept_then_hang"])
    call = asyncio.create_task(running.send(timeout_s=10.0))
    await running.called(1)
    assert len(DeliveryLedger.read(running.ledger)) == 1
    assert not call.done()

    await running.order(release=True)

    assert isinstance(await call, Accepted)


async def test_connections_are_refused_for_a_while(running: Running) -> None:
    await running.order(refuse_s=0.5)

    assert isinstance(await running.send(), NotSent)
    await asyncio.sleep(0.6)
    assert isinstance(await running.send(), Accepted)


async def test_an_order_nobody_understands_is_answered_with_what_there_is(running: Running) -> None:
    answer = await running.order(script=["explode"])

    assert "no mode 'explode'; there is accept, accept_then_hang" in answer["error"]


async def test_clear_forgets_everything(running: Running) -> None:
    await running.order(default="reject")
    await running.send()
    await running.order(clear=True)

    assert isinstance(await running.send(), Accepted)
    assert len(await running.see("calls")) == 1


async def test_a_request_that_is_no_mail_is_rejected_and_nobody_receives_it() -> None:
    async with FakeSendGrid() as fake, httpx2.AsyncClient() as client:
        answer = await client.post(f"{fake.url}/v3/mail/send", json={"subject": "no recipients"})

    assert answer.status_code == 400
    assert fake.delivered == []


async def test_refusing_and_listening_again_keeps_the_port() -> None:
    async with FakeSendGrid() as fake:
        before = fake.url
        await fake.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", int(before.rpartition(":")[2]))
        await fake.listen()
        _, writer = await asyncio.open_connection("127.0.0.1", int(before.rpartition(":")[2]))
        writer.close()

    assert fake.url == before


def test_a_mode_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(LookupError, match="no mode 'nap'; there is accept, accept_then_hang"):
        Mode.named("nap")
