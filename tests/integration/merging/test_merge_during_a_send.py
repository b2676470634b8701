"""Who a person is changes while a message to them is on its way: the table of all steps of a send.

``pytest -s`` prints it: what became of the message, and of the run's next one.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import pytest_asyncio

from activities.content.templates import TemplateRegistry
from activities.gate.send_gate import SendGate
from journeys.registry import load_journeys
from local.temporal_server import TemporalDevServer
from policy.verdict import Channel
from tests.support.builders.two_profiles import BRINGS, WITHHELD, TwoPeople, word
from tests.support.environments.gate import GateHarness
from tests.support.faults.paused_send import CAPS_ONLY, LATER, Ringing, SendStep, sends_through

Table = dict[tuple[str, SendStep], str]

PAIRS = count(1)


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    """Filled in by the tests, printed when all are through."""
    cells: Table = {}
    yield cells
    print(f"\n{'':56}" + "".join(f"{step.value:22}" for step in SendStep))
    for change in dict.fromkeys(change for change, _ in cells):
        print(f"{change:56}" + "".join(f"{cells.get((change, step), ''):22}" for step in SendStep))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gate_env(module_database_url: str, temporal: TemporalDevServer) -> AsyncIterator[GateHarness]:
    """One shop for all pairs of people, which reads its templates once."""
    read = TemplateRegistry.load([definition.folder for definition in load_journeys().values()])
    with pytest.MonkeyPatch.context() as once:
        once.setattr(TemplateRegistry, "load", lambda folders: read)
        async with GateHarness(module_database_url, temporal.client) as running:
            running.gate = SendGate(running.database, CAPS_ONLY)
            yield running


@pytest.fixture
def two(gate_env: GateHarness) -> TwoPeople:
    """Two people whom nobody has seen yet, and a provider whose calls may hang."""
    gate_env.ledgers[Channel.EMAIL] = Ringing(Channel.EMAIL, gate_env.database)
    return TwoPeople(gate_env, next(PAIRS))


def assert_sent_once(accepted: dict[str, list[str]], words: list[str]) -> None:
    """As many messages of the run were taken as are said to be sent, or unknown; each once."""
    assert sorted(map(len, accepted.values())) == sorted(int(one in ("sent", "unknown")) for one in words)


@pytest.mark.parametrize("step", SendStep, ids=str)
@pytest.mark.parametrize("older", ["ada", "the other"], ids="{} is older".format)
@pytest.mark.parametrize("brings", BRINGS)
async def test_a_merge_during_a_send(
    two: TwoPeople, table: Table, brings: str, older: str, step: SendStep
) -> None:
    run_id = await two.leave_a_lamp(older, brings)
    first = await sends_through(two.env, two.ask(run_id), step, lambda pool: two.joined(pool, brings))
    again = await two.env.sends(two.ask(run_id), at=LATER)
    following = await two.env.sends(two.ask(run_id, "another"), at=LATER)
    table[f"merge, {older} is older, brings {brings}", step] = f"{word(again)}, {word(following)}"
    ada = await two.who(email=two.ada["email"])

    refused = WITHHELD.get(brings) if step.decided_after and brings != "one mail of two" else None
    expected = "unknown" if step is SendStep.KILLED else refused or "sent"
    assert (word(again), word(following)) == (expected, WITHHELD.get(brings, "sent"))
    assert word(first) == ("no answer" if step in (SendStep.REFUSED, SendStep.KILLED) else expected)
    assert_sent_once(await two.accepted(run_id), [expected, word(following)])
    assert two.env.ledgers[Channel.EMAIL].unlicensed == []
    assert await two.owners_of(run_id) == {ada} == {await two.who(**two.card)}
    assert await two.told(run_id, **two.card)
    assert await two.told(run_id, phone=two.ada["phone"])
    carts = two.carts if "mail" in brings else two.carts[:1]
    assert await two.runs_of_carts(ada) == [(cart, "running") for cart in carts]


@pytest.mark.parametrize("step", SendStep, ids=str)
@pytest.mark.parametrize("younger", ["ada", "the other"], ids="{} is younger".format)
async def test_an_unmerge_during_a_send(two: TwoPeople, table: Table, younger: str, step: SendStep) -> None:
    run_id = await two.are_one(younger)
    first = await sends_through(two.env, two.ask(run_id), step, two.parted)
    again = await two.env.sends(two.ask(run_id), at=LATER)
    following = await two.env.sends(two.ask(run_id, "another"), at=LATER)
    table[f"unmerge, {younger} is younger", step] = f"{word(again)}, {word(following)}"
    ada = await two.who(email=two.ada["email"])

    expected = "unknown" if step is SendStep.KILLED else "sent"
    assert (word(again), word(following)) == (expected, "sent")
    assert word(first) == ("no answer" if step in (SendStep.REFUSED, SendStep.KILLED) else expected)
    accepted = await two.accepted(run_id)
    assert_sent_once(accepted, [expected, "sent"])
    if step.decided_after:
        assert list(accepted.values()) == [[two.ada["email"]], [two.ada["email"]]]
    assert await two.owners_of(run_id) == {ada}
    assert await two.who(**two.card) != ada
    assert not await two.told(run_id, **two.card)
    assert await two.told(run_id, phone=two.ada["phone"])
    assert await two.runs_of_carts(ada) == [(two.carts[0], "running")]


@pytest.mark.parametrize("step", [SendStep.UNCLAIMED, SendStep.WAITING], ids=str)
@pytest.mark.parametrize("younger", ["ada", "the other"], ids="{} is younger".format)
@pytest.mark.parametrize("brought", ["a purchase", "both mails of two", "a no"])
async def test_an_unmerge_takes_what_is_the_others_along(
    two: TwoPeople, table: Table, brought: str, younger: str, step: SendStep
) -> None:
    """But for a no, which stays for both until one of them says otherwise."""
    run_id = await two.are_one(younger, brought)
    before = await two.env.sends(two.ask(run_id, "earlier"))
    answer = await sends_through(two.env, two.ask(run_id), step, two.parted)
    table[f"unmerge, {younger} is younger, of {brought}", step] = word(answer)

    assert word(before) == WITHHELD[brought]
    assert word(answer) == ("opted_out" if brought == "a no" else "sent")
    assert await two.owners_of(run_id) == {await two.who(email=two.ada["email"])}


@pytest.mark.parametrize("step", [SendStep.UNCLAIMED, SendStep.WAITING], ids=str)
@pytest.mark.parametrize("younger", ["ada", "the other"], ids="{} is younger".format)
async def test_an_unmerge_leaves_with_ada_what_she_has_bought(
    two: TwoPeople, table: Table, younger: str, step: SendStep
) -> None:
    run_id = await two.are_one(younger)
    await two.env.takes("Order Completed", two.order, **two.ada)
    answer = await sends_through(two.env, two.ask(run_id), step, two.parted)
    table[f"unmerge, {younger} is younger, Ada had bought", step] = word(answer)

    assert word(answer) == "purchased"
    assert await two.owners_of(run_id) == {await two.who(email=two.ada["email"])}
