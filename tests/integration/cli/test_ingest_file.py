"""`waypost ingest` against the API: what is in, what is not, and how the command says so."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.ingest import main
from cli.ingest.main import replay_file
from tests.support.environments.api import SERVER, SERVER_KEYS, OpenApi
from workers.ingest_client import IngestClient

API_SETTINGS = SERVER_KEYS


def call(number: int, **more: Any) -> str:
    fields = {"type": "track", "event": "Lamp Lit", "userId": f"u-{number}", "messageId": f"m-{number}"}
    return json.dumps({**fields, "timestamp": "2024-05-01T10:00:00Z", **more}) + "\n"


@pytest.fixture(autouse=True)
def client_of_the_api(api: OpenApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's own client, to this test's API."""

    class Client(IngestClient):
        async def __aenter__(self) -> IngestClient:
            await self._client.aclose()
            api.client.headers.update(SERVER)
            self._client = api.client
            return self

        async def __aexit__(self, *_: object) -> None: ...

    monkeypatch.setattr(main, "IngestClient", Client)
    monkeypatch.delenv("DATABASE_URL", raising=False)


async def test_bad_lines_are_counted_and_listed_and_the_others_are_in(
    api: OpenApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "calls.ndjson"
    too_large = call(4, properties={"text": ["x" * 1000] * 400})
    unnamed = call(5, userId=None)
    file.write_bytes((call(1) + "{\n" + too_large + unnamed).encode() + b"\xe9\n" + call(6).encode())
    code = await replay_file(file, format="segment", as_live=False, as_json=True)
    summary = json.loads(capsys.readouterr().out)
    stored = [row["id"] for row in await api.rows("SELECT id FROM event ORDER BY id")]

    assert stored == ["m-1", "m-6"]
    assert code == 1
    assert {name: summary[name] for name in ("sent", "accepted", "rejected", "no_events")} == {
        "sent": 4, "accepted": 2, "rejected": 2, "no_events": 2,
    }  # fmt: skip
    assert sorted(line["line"] for line in summary["lines"]) == [2, 3, 4, 5]


async def test_the_printed_text_names_file_line_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "calls.ndjson"
    file.write_bytes(call(1).encode() + b"\xe9\n")

    assert await replay_file(file, format="segment", as_live=False) == 1
    assert "calls.ndjson, line 2: byte 0xe9 at position 1 is not UTF-8; save the file as UTF-8" in (
        capsys.readouterr().out
    )


async def test_a_file_that_is_in_whole_exits_with_0(tmp_path: Path) -> None:
    file = tmp_path / "calls.ndjson"
    file.write_text(call(1))

    assert [await replay_file(file, format="segment", as_live=False) for _ in range(2)] == [0, 0]
