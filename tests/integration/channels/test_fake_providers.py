"""What the fakes do that the tests of adapters do not show."""

import asyncio

import httpx2
import pytest

from tests.support.fakes import FakeSendGrid, Mode


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
