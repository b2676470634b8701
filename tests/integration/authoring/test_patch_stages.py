"""The four stages of a patch: which runs go on at which stage."""

from collections.abc import AsyncIterator
from datetime import timedelta

from temporalio.client import WorkflowHistory

from authoring.replay.replayer import difference, replay
from authoring.testing.environment import Waypost
from journeys.vocabulary import Journey
from local.temporal_server import TemporalDevServer
from tests.support.journeys.patch_stages import Before, Clean, Guarded, Settled

STAGES: tuple[type[Journey], ...] = (Before, Guarded, Settled, Clean)


async def lived(
    database_url: str, temporal: TemporalDevServer, stage: type[Journey], key: str
) -> list[WorkflowHistory]:
    """One run of a stage, as it stood in its wait for a click and at its end."""
    async with Waypost(database_url, temporal.client, journeys=[stage]) as waypost:
        line = {"product_id": "lamp", "cart_id": key}
        await waypost.ingest_event("Product Added", line, email=f"{key}@example.com", event_id=key)
        run = await waypost.run("call-back", key)
        await waypost.advance_run(run, timedelta(hours=2))
        waiting = await waypost.handle(run).fetch_history()
        await waypost.advance_run(run, timedelta(days=4))
        await waypost.run_result(run)
        return [waiting, await waypost.handle(run).fetch_history()]


async def fate(stage: type[Journey], histories: list[WorkflowHistory]) -> list[str]:
    """What becomes of these runs at a stage: nothing, or where they break."""

    async def each() -> AsyncIterator[WorkflowHistory]:
        for history in histories:
            yield history

    return [difference(one).description if one.breaks else "goes on" async for one in replay([stage], each())]


async def test_each_stage_of_a_patch_keeps_the_runs_it_says_it_keeps(
    database_url: str, temporal: TemporalDevServer
) -> None:
    too_much = (
        "history has the timer 'quiet for 1 h' here, the code now asks for activity suggest_items "
        "(suggest 1 items)"
    )
    unknown = "history went the new way of patch 'ask-first', the code now knows no such patch"
    fates = {}
    for begun in STAGES:
        histories = await lived(database_url, temporal, begun, f"begun-{begun.__name__.lower()}")
        for stage in STAGES[STAGES.index(begun) :]:
            [found] = set(await fate(stage, histories))
            fates[begun.__name__, stage.__name__] = found

    assert fates == {
        ("Before", "Before"): "goes on",
        ("Before", "Guarded"): "goes on",
        ("Before", "Settled"): too_much,
        ("Before", "Clean"): too_much,
        ("Guarded", "Guarded"): "goes on",
        ("Guarded", "Settled"): "goes on",
        ("Guarded", "Clean"): unknown,
        ("Settled", "Settled"): "goes on",
        ("Settled", "Clean"): "goes on",
        ("Clean", "Clean"): "goes on",
    }
