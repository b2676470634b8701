"""Whether everything happened once, whatever was repeated, reordered or killed: all faults at once."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.converter import default

from authoring.testing.environment import Row, Waypost
from policy.experiments import assign_arm
from tests.support.fakes.ledger import Delivery
from tests.support.journeys.load_test.crowd import LoadShopper

ACCEPTED = ("sent", "delivered", "opened", "clicked")

TASK_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED

OVERTAKEN = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
"""In good order: a signal came in while the run's last words were on their way, so it is asked again."""

TASK_LOST = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT


@dataclass
class Verdict:
    """What was found; no fault is the proof."""

    faults: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)

    def expect(self, holds: bool, fault: str) -> None:
        """Keep a fault unless it holds."""
        if not holds:
            self.faults.append(fault)


async def judge(shop: Waypost, people: list[LoadShopper], taken: list[Delivery], points: Path) -> Verdict:
    """Compare what each person did with what came of it."""
    verdict = Verdict()
    runs = {row["run_id"]: row for row in await shop.fetch_rows("SELECT * FROM run")}
    messages = [message for message in await shop.messages() if message["channel"] != "ads"]
    verdict.expect(len(runs) == len(people), f"{len(runs)} runs of {len(people)} people")
    for one in people:
        mine = [m for m in messages if m["run_id"] == one.run["run_id"]]
        _judge_outcome(verdict, one, runs[one.run["run_id"]], mine)
        await _judge_history(verdict, shop, one)
    _judge_sends(verdict, messages, taken)
    _judge_points(verdict, points, [str(one.run["profile_id"]) for one in people if not one.buys])
    await _judge_facts(verdict, shop, people)
    return verdict


def _judge_outcome(verdict: Verdict, one: LoadShopper, run: Row, messages: list[Row]) -> None:
    found, wanted = run["outcome"], expected(one, run, messages)
    verdict.expect(run["state"] == "ended", f"run {one.number} is {run['state']}")
    verdict.expect(found == wanted, f"run {one.number} ended as {found!r}, its events say {wanted!r}")
    verdict.figures["runs"] += 1


def expected(one: LoadShopper, run: Row, messages: list[Row]) -> str:
    """The outcome that a person's own events determine, given what is known of the mail."""
    if one.buys:
        return "converted"
    arm = assign_arm(str(run["profile_id"]), "thousand", {"one": 50, "other": 50})
    both = "both" if one.receives else "neither"
    mail = next((m["status"] for m in messages if m["channel"] == "email"), "nothing")
    sent = "Sent" if mail in ACCEPTED else "Unknown"
    clicked = "clicked" if any(e.type == "Message Clicked" for e in one.events.values()) else "alone"
    return f"{arm}, {both}, 10 points, {sent}, {clicked}"


async def _judge_history(verdict: Verdict, shop: Waypost, one: LoadShopper) -> None:
    """Nothing lost on the way to the run, and none of its tasks failed."""
    told: Counter[str] = Counter()
    async for event in shop.handle(one.run).fetch_history_events():
        verdict.figures["workflow tasks lost with a worker"] += event.event_type == TASK_LOST
        if event.event_type == TASK_FAILED:
            cause = event.workflow_task_failed_event_attributes.cause
            verdict.figures["workflow tasks overtaken by a signal"] += cause == OVERTAKEN
            name = WorkflowTaskFailedCause.Name(cause)
            verdict.expect(cause == OVERTAKEN, f"a task of run {one.number} failed: {name}")
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            attributes = event.workflow_execution_signaled_event_attributes
            [payload] = await default().decode(list(attributes.input.payloads))
            told[payload["id"]] += 1
    verdict.figures["signals"] += told.total()
    verdict.figures["signals that were repetitions"] += told.total() - len(told)
    rows = await shop.fetch_rows(
        "SELECT event_id::text AS id, name, trigger, delivered_at, rerouted_at FROM outbox "
        "WHERE lane = $1 AND kind IN ('start', 'signal')",
        one.run["run_id"],
    )
    for row in rows:
        arrived = row["id"] in told
        verdict.expect(row["delivered_at"] is not None, f"{row['name']} of run {one.number} is still queued")
        late = one.buys and (row["rerouted_at"] is not None or not row["trigger"])
        verdict.expect(arrived or late, f"{row['name']} of run {one.number} was lost")
    known = {row["id"] for row in rows}
    verdict.expect(set(told) <= known, f"run {one.number} was told of what never happened")
    if not one.buys:
        verdict.expect(len(known) == len(one.events), f"run {one.number} misses events: {len(known)}")


def _judge_sends(verdict: Verdict, messages: list[Row], taken: list[Delivery]) -> None:
    # Twilio is given no id of ours. Each customer gets one text.
    texts = {
        message["address"]: str(message["message_id"]) for message in messages if message["channel"] == "sms"
    }
    times = Counter(one.message_id or texts.get(one.to, "") for one in taken)
    keys = Counter((m["run_id"], m["step"]) for m in messages)
    verdict.expect(max(keys.values(), default=0) <= 1, "a send key has two messages")
    verdict.expect(set(times) <= {str(m["message_id"]) for m in messages}, "a message that is on no record")
    for message in messages:
        count, status = times[str(message["message_id"])], message["status"]
        verdict.figures[f"messages {'sent' if status in ACCEPTED else status}"] += 1
        # Of a call whose worker died nobody knows: it may have been taken, and is never made again.
        allowed = (1,) if status in ACCEPTED else (0, 1) if status.startswith("unknown") else (0,)
        verdict.expect(count in allowed, f"message {message['step']} ({status}) was taken {count} times")


def _judge_points(verdict: Verdict, folder: Path, keys: list[str]) -> None:
    given = sorted(file.stem for file in folder.glob("*.given"))
    attempts = (folder / "attempts").read_text(encoding="utf-8").split()
    verdict.figures["own effects"] = len(given)
    verdict.figures["own effects attempted again"] = len(attempts) - len(given)
    verdict.expect(given == sorted(keys), f"points were given to {len(given)} of {len(keys)}, or to others")
    verdict.expect(set(attempts) == set(keys), "an attempt with a key of its own")


async def _judge_facts(verdict: Verdict, shop: Waypost, people: list[LoadShopper]) -> None:
    kept = {row["id"] for row in await shop.fetch_rows("SELECT id FROM event")}
    acknowledged = {event_id for one in people for event_id in one.events}
    verdict.figures["events"] = len(acknowledged)
    verdict.expect(kept == acknowledged, f"{len(kept ^ acknowledged)} events lost or made up")
    orders = await shop.fetch_rows("SELECT count(*) AS n FROM purchase")
    bought = sum(one.buys for one in people)
    verdict.expect(orders[0]["n"] == bought, f"{orders[0]['n']} purchases of {bought}")
    places = await shop.fetch_rows("SELECT run_id, state FROM audience_member")
    told = [one.run["run_id"] for one in people if not one.buys]
    verdict.expect(sorted(row["run_id"] for row in places) == sorted(told), "ad audience: not once a run")
    exposed = {row["run_id"] for row in await shop.fetch_rows("SELECT run_id FROM exposure")}
    # Who has bought before the run's first task has never come to the experiment.
    buyers = {one.run["run_id"] for one in people if one.buys}
    verdict.expect(exposed | buyers == {*told, *buyers}, f"{len(exposed - buyers)} exposures of {len(told)}")
