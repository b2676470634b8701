"""A process that sends hostile requests under the public write key as fast as it can, until it is stopped."""

import asyncio
import gzip
import itertools
import os

import aiohttp
import orjson

from bench.servers import WRITE_HEADERS

CONNECTIONS = 8


def hostile_requests() -> list[tuple[str, bytes, bool]]:
    """Return requests as (path, body, whether the key comes in the headers)."""
    cart = [
        {
            "id": f"add-{number}",
            "type": "Product Added",
            "source": "page",
            "identifiers": {"anonymous_id": "stranger"},
            "properties": {"cart_id": "c", "product_id": f"p-{number}", "name": "x" * 60, "quantity": 1},
        }
        for number in range(1000)
    ]
    refused = [
        {
            "id": f"bad-{number}",
            "type": "X",
            "source": "page",
            "identifiers": {"user_id": f"u-{number}", "phone": [1, 2, 3, 4, 5]},
            "properties": {"text": "\x00", **{f"k{field}": None for field in range(30)}},
        }
        for number in range(1000)
    ]
    brackets = b"[" * 500_000 + b'"' + b'\\"' * 270_000
    return [
        ("/v1/events", orjson.dumps(cart[0]), True),
        ("/v1/events", gzip.compress(orjson.dumps(cart)), True),
        ("/v1/events", gzip.compress(orjson.dumps(refused)), True),
        ("/v1/events", gzip.compress(brackets), True),
        ("/v1/t", gzip.compress(brackets), False),
        ("/v1/t", b'{"writeKey":"wrong",' + b'"writeKey"' * 50_000, False),
        ("/v1/batch", b'{"batch":[' + b"NaN," * 250_000 + b"1]}", True),
    ]


async def _flood(session: aiohttp.ClientSession, url: str, first: int) -> None:
    requests = hostile_requests()
    for number in itertools.count(first):
        path, body, has_key = requests[number % len(requests)]
        try:
            async with session.post(
                url + path, data=body, headers=WRITE_HEADERS if has_key else {}
            ) as answer:
                await answer.read()
        except aiohttp.ClientError:
            # A refused body may end the connection before it is sent.
            await asyncio.sleep(0)


async def main(url: str) -> None:
    """Send for ever."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session,
        asyncio.TaskGroup() as group,
    ):
        print("ready", flush=True)
        for number in range(CONNECTIONS):
            group.create_task(_flood(session, url, number))


if __name__ == "__main__":
    asyncio.run(main(os.environ["PUBLIC_URL"]))
