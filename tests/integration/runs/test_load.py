"""Proof: many runs at once, every event three times and in any order, workers killed: everything once."""

import asyncio
import os
import random
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from activities.channels.registry import ChannelRegistry
from authoring.testing.environment import Waypost
from authoring.testing.fakes import AcceptedMessage, FakeChannelAdapter
from journeys.vocabulary.inbox import Inbox
from local.processes import ChildProcess, Command
from local.temporal_server import TemporalDevServer
from policy.verdict import Channel
from profiles.events import Event
from profiles.messaging.claims import record_sent
from profiles.state.unit_of_work import MESSAGE_RANK
from tests.support.deadlines import scaled
from tests.support.environments.installation import provider_environment
from tests.support.fakes import FakeSendGrid, FakeTwilio
from tests.support.fakes.ledger import Delivery
from tests.support.journeys.load_test import ACTIVITIES, JOURNEYS
from tests.support.journeys.load_test.crowd import Crowd, shoppers
from tests.support.journeys.load_test.effects import LEDGER
from tests.support.journeys.load_test.verdict import Verdict, judge
from tests.support.proof_size import FULL, size

pytestmark = [pytest.mark.proof, pytest.mark.timeout(3600 if FULL else 180)]

SEED = 20261122

RUNS = size(ci=36, full=1_000)

KILLS = size(ci=2, full=12)

STEPS = 5
"""Least that a life takes, as ``Crowd.steps`` counts."""

ROOT = Path(__file__).parents[3]


class MortalWorker:
    """``waypost worker`` as a process of its own, whose providers keep a ledger."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._child: ChildProcess | None = None
        self.kills = 0

    async def start(self) -> None:
        """Start one, and wait until it is ready."""
        command = Command(
            name="worker",
            argv=[sys.executable, "-m", "cli.main", "worker"],
            environment=self._environment,
            working_dir=ROOT,
            ready_line=re.compile(r"\] ready\b"),
        )
        self._child = ChildProcess(command)
        await self._child.start()
        await self._child.wait_until_ready(timeout_s=scaled(90))

    async def kill(self) -> None:
        """``kill -9``, if it runs."""
        if self._child is not None:
            await self._child.kill()

    async def die_at(self, crowd: Crowd, moments: list[int]) -> None:
        """Killed and started again whenever the crowd has come so far."""
        for moment in moments:
            await crowd.comes_to(moment)
            await self.kill()
            self.kills += 1
            await self.start()


@asynccontextmanager
async def mortal_worker(
    database_url: str, server: TemporalDevServer, points: Path, ledgers: tuple[FakeSendGrid, FakeTwilio]
) -> AsyncIterator[MortalWorker]:
    """A worker on these servers, dead at the end."""
    ours = ("WAYPOST_", "SENDGRID_", "TWILIO_", "TEMPORAL_", "EMAIL_FROM", "PUBLIC_URL", "DEFAULT_", "API_")
    worker = MortalWorker(
        {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": server.address,
            "WAYPOST_LOCAL": "1",
            "WAYPOST_DATA_DIR": str(points.parent),
            "WAYPOST_JOURNEYS": "tests.support.journeys.load_test",
            "WAYPOST_SECRETS": "a-secret-of-tests-which-is-long-enough",
            **provider_environment(*ledgers),
            LEDGER: str(points),
        }
    )
    try:
        await worker.start()
        yield worker
    finally:
        await worker.kill()


def told(verdict: Verdict, crowd: Crowd, kills: int, seconds: float) -> str:
    """The figures of a proof, a line each."""
    figures = verdict.figures | {"workers killed": kills, "signals by hand": crowd.repeated}
    lines = [f"{number:>7,} {what}" for what, number in sorted(figures.items())]
    return "\n".join([*lines, f"{seconds:>7.0f} s in all"])


async def test_proof_every_run_ends_as_its_own_events_say_and_everything_happens_once(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = shoppers(RUNS, SEED)
    points = tmp_path / "points"
    points.mkdir()
    # In CI close to each other, so that what they tore down is waited for once.
    last = RUNS * STEPS * (0.9 if FULL else 0.3)
    moments = sorted(random.Random(SEED).sample(range(RUNS // 2, int(last)), KILLS))
    begun = time.monotonic()
    async with (
        TemporalDevServer() as server,
        FakeSendGrid() as mail,
        FakeTwilio(mail.ledger) as text,
        mortal_worker(database_url, server, points, (mail, text)) as worker,
        Waypost(
            database_url, server.client, journeys=JOURNEYS, effects=ACTIVITIES, with_workers=False
        ) as shop,
    ):
        crowd = Crowd(shop, SEED)
        killer = asyncio.create_task(worker.die_at(crowd, moments))
        await crowd.live(people)
        await killer
        verdict = await judge(shop, people, mail.ledger.deliveries, points)
    with capsys.disabled():
        print(f"\n{told(verdict, crowd, worker.kills, time.monotonic() - begun)}")

    assert verdict.faults == []
    assert worker.kills == KILLS
    assert verdict.figures["signals that were repetitions"] > RUNS


class ForgetfulInbox(Inbox):
    """Keeps an event however often it has been seen."""

    def receive(self, event: Event, at: object) -> bool:
        self._seen.pop(event.id, None)
        return super().receive(event, at)  # type: ignore[arg-type]


async def test_proof_fails_where_a_run_does_not_know_an_event_again(
    database_url: str, temporal: TemporalDevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("journeys.vocabulary.execution.Inbox", ForgetfulInbox)
    monkeypatch.setenv(LEDGER, str(tmp_path))
    people = [one for one in shoppers(40, SEED) if one.receives and not one.buys][:3]
    async with Waypost(database_url, temporal.client, journeys=JOURNEYS, effects=ACTIVITIES) as shop:
        await Crowd(shop, SEED).live(people)
        verdict = await judge(shop, people, [], tmp_path)
    wrong = [fault for fault in verdict.faults if "its events say" in fault]

    assert len(wrong) == 3
    assert all("twice" in fault for fault in wrong)


@pytest.mark.parametrize(
    ("guarded", "taken"),
    [
        pytest.param(True, 1, id="with the guard: its outcome is unknown"),
        pytest.param(False, 2, id="without it: it is sent again"),
    ],
)
async def test_proof_fails_where_a_send_key_is_not_known_again(
    database_url: str,
    temporal: TemporalDevServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    guarded: bool,
    taken: int,
) -> None:
    monkeypatch.setenv(LEDGER, str(tmp_path))
    if not guarded:
        monkeypatch.setattr("activities.gate.send_gate._UNSENT_STATUSES", frozenset(MESSAGE_RANK))
    lost: set[UUID] = set()

    async def lost_once(connection: object, message_id: UUID, *known: Any, **more: Any) -> None:
        # As if the worker had died between the provider's answer and its record.
        if message_id not in lost:
            lost.add(message_id)
            raise OSError("the record was lost")
        await record_sent(connection, message_id, *known, **more)

    monkeypatch.setattr("activities.send_message.record_sent", lost_once)
    people = [one for one in shoppers(40, SEED) if one.receives and not one.buys and not one.clicks][:1]
    post: list[AcceptedMessage] = []
    channels = ChannelRegistry(
        {channel: FakeChannelAdapter(channel, post) for channel in (Channel.EMAIL, Channel.SMS)}, {}
    )
    async with Waypost(
        database_url, temporal.client, journeys=JOURNEYS, effects=ACTIVITIES, channels=channels
    ) as shop:
        await Crowd(shop, SEED).live(people)
        verdict = await judge(shop, people, [delivery(one) for one in post], tmp_path)
    mails = [one for one in post if one.channel is Channel.EMAIL]

    assert len(mails) == taken
    assert [fault for fault in verdict.faults if "was taken 2 times" in fault] == [
        "message thousand_note (sent) was taken 2 times",
        "message thousand_note #2 (sent) was taken 2 times",
    ][: 0 if guarded else 2]
    assert guarded is (verdict.faults == [])


def delivery(posted: AcceptedMessage) -> Delivery:
    """As a fake provider's ledger has it."""
    out = posted.outgoing
    return Delivery(posted.channel.value, out.to, out.content.subject, out.content.text, out.message_id, "")
