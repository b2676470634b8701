"""Client that sends events to the HTTP API in batches and counts the results."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson

from workers.errors import UserError

JsonObject = dict[str, Any]

MAX_BATCH_EVENTS = 500

MAX_BATCH_BYTES = 900_000
"""Bytes of one body. Both limits are below the API's own of 1,000 events and 1 MiB."""

_MAX_ATTEMPTS = 8

_REQUEST_TIMEOUT_S = 30.0


class IngestApiError(UserError):
    """The API cannot be reached, or refuses the request as a whole."""


@dataclass(slots=True)
class IngestCounts:
    """Results of the events sent so far."""

    statuses: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    """Rejected events by code."""
    examples: dict[str, str] = field(default_factory=dict)
    """Code → detail of the first rejection with this code."""

    def add(self, results: Iterable[JsonObject]) -> None:
        """Count results of the API."""
        for result in results:
            self.statuses[result["status"]] += 1
            if result["status"] == "rejected":
                self.codes[result["code"]] += 1
                self.examples.setdefault(result["code"], result.get("detail") or "")

    def describe_refusals(self) -> list[str]:
        """Describe rejections and conflicts, one sentence each; empty if there are none."""
        descriptions = [f"{n} rejected, {code}: {self.examples[code]}" for code, n in self.codes.items()]
        if conflicts := self.statuses["conflict"]:
            descriptions.append(f"{conflicts} with an id that came before with other content")
        return descriptions


class IngestClient:
    """HTTP client for one API and one of its keys. Use as an async context manager."""

    def __init__(self, api_url: str, key: str) -> None:
        self.api_url = api_url.rstrip("/")
        self.counts = IngestCounts()
        self._client = httpx2.AsyncClient(
            base_url=self.api_url,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=_REQUEST_TIMEOUT_S,
        )

    async def __aenter__(self) -> "IngestClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def require_api(self) -> None:
        """Raise ``IngestApiError`` unless an API answers."""
        try:
            alive = (await self._client.get("/healthz")).status_code == httpx2.codes.OK
        except httpx2.HTTPError:
            alive = False
        if not alive:
            raise IngestApiError(
                f"no Waypost API answers at {self.api_url}: start one with `waypost dev` (same folder, or "
                "the same WAYPOST_DATA_DIR), or set API_URL and WAYPOST_SERVER_KEYS to one that runs"
            )

    async def send_events(self, events: Sequence[JsonObject]) -> list[JsonObject]:
        """Send native events to ``POST /v1/events``. Return one result per event, after COMMIT.

        Raises ``IngestApiError`` if the API is away, stays busy, or refuses a request as a whole.
        """
        return await self._send_batches("/v1/events", "events", events)

    async def send_segment_calls(self, calls: Sequence[JsonObject]) -> list[JsonObject]:
        """Send Segment calls to ``POST /v1/batch``. Results and errors are those of native events."""
        return await self._send_batches("/v1/batch", "batch", calls)

    async def unsubscribe_one_click(self, url: str) -> bool:
        """Send the one-click unsubscribe request of a mail program (RFC 8058). Return its success."""
        form = {"List-Unsubscribe": "One-Click"}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": ""}
        answer = await self._client.post(url, data=form, headers=headers)
        return answer.status_code == httpx2.codes.OK

    async def _send_batches(self, path: str, name: str, events: Sequence[JsonObject]) -> list[JsonObject]:
        results: list[JsonObject] = []
        for body in split_bodies(name, events):
            answers = (await self._post(path, body)).json()["results"]
            self.counts.add(answers)
            results.extend(answers)
        return results

    async def _post(self, path: str, body: bytes) -> httpx2.Response:
        """Post a body; retry on 429 and 503 after Retry-After seconds. Idempotent by the events' ids."""
        for attempt in range(_MAX_ATTEMPTS):
            try:
                answer = await self._client.post(path, content=body)
            except httpx2.HTTPError as error:
                raise IngestApiError(f"{self.api_url} stopped answering: {type(error).__name__}") from error
            if answer.status_code not in (429, 503):
                break
            retry_after = answer.headers.get("Retry-After", "")
            await asyncio.sleep(float(retry_after) if retry_after.isdigit() else min(0.2 * 2**attempt, 5.0))
        if answer.status_code != httpx2.codes.OK:
            raise IngestApiError(_describe_failure(self.api_url, answer))
        return answer


def split_bodies(name: str, events: Iterable[JsonObject]) -> Iterator[bytes]:
    """Yield request bodies of at most ``MAX_BATCH_EVENTS`` events and about ``MAX_BATCH_BYTES`` bytes."""
    batch: list[bytes] = []
    size = 0
    for event in events:
        line = orjson.dumps(event)
        if batch and (len(batch) == MAX_BATCH_EVENTS or size + len(line) > MAX_BATCH_BYTES):
            yield _encode_body(name, batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield _encode_body(name, batch)


def _encode_body(name: str, batch: Sequence[bytes]) -> bytes:
    return b'{"%s":[%s]}' % (name.encode(), b",".join(batch))


def _describe_failure(api_url: str, answer: httpx2.Response) -> str:
    if answer.status_code in (401, 403):
        return (
            f"{api_url} refuses the key ({answer.status_code}): set WAYPOST_SERVER_KEYS, or else "
            "WAYPOST_WRITE_KEYS, to one it knows"
        )
    return f"{api_url} answered {answer.status_code}: {answer.text[:300]}"
