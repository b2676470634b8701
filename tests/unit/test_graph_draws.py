"""Where a step leads on by more than one way of its own: a message that falls back, and what is drawn."""

from authoring.graph.reader import flow_of
from journeys.vocabulary import (
    EMAIL,
    PERSON,
    PUSH,
    SMS,
    Journey,
    days,
    hours,
    if_not_delivered,
    if_not_seen,
    journey,
    minutes,
)
from profiles.events import ProductViewed
from tests.unit.test_graph_reading import said, ways

TONES = {"warm": 3, "dry": 1}
UNDELIVERED = if_not_delivered(within=minutes(30), then=(SMS, PUSH))


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Falls(Journey):
    async def run(self, entry: ProductViewed) -> str:
        unseen = if_not_seen(within=hours(6), then=SMS)
        note = await self.send("hello", promoting=None, prefer=(EMAIL,), fallback=unseen)
        if not note:
            return "not told"
        await self.send("bye", promoting=None, fallback=UNDELIVERED)
        return "told"


def test_a_fallback_is_a_second_send_that_joins_the_way_of_the_first() -> None:
    flow = flow_of(Falls.definition)

    assert {
        "Product Viewed --> hello",
        "hello -not seen within 6 h-> hello",
        "hello -not sent-> not told",
        "hello -sent-> bye",
        "hello --> bye",
        "bye -not delivered within 30 min-> bye",
        "bye -else-> told",
        "bye --> told",
    } == ways(flow)
    assert [node.lines[0] for node in flow.nodes if node.kind.value == "send"] == [
        "by email",
        "by sms",
        "on the channel that suits",
        "by sms, else push",
    ]


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Draws(Journey):
    async def run(self, entry: ProductViewed) -> str:
        match self.experiment("size", small=50, big=30, none=20):
            case "small" | "big":
                await self.send("offer", promoting=None)
            case _:
                pass
        tone = self.choose("tone", TONES)
        await self.sleep(days(1))
        if tone == "warm":
            return "warm"
        if self.experiment("colour", red=1, green=1, blue=2) in ("red", "green"):
            return tone
        template = self.choose("words", {"long": 1, "short": 1})
        await self.send(template, promoting=None)
        best = self.choose("dearest", await self.suggestions(), by=lambda item: item.quantity)
        if best is None:
            return "nothing"
        return "else"


def test_draws_split_by_their_shares_at_once_or_later() -> None:
    flow = flow_of(Draws.definition)

    assert {
        "size -small or big: 80 of 100-> offer",
        "size -none: 20 of 100-> tone",
        "offer --> tone",
        "warm or dry? -warm: 3 of 4-> warm",
        "warm or dry? -dry: 1 of 4-> colour",
        "colour -red or green: 2 of 4-> warm or dry",
        "colour -blue: 2 of 4-> words",
        "words --> long or short",
        "dearest -none-> nothing",
        "dearest -one-> else",
    } < ways(flow)
    assert said(flow, "tone") == ("warm 3, dry 1",)
    assert said(flow, "dearest") == ("the best of the suggestions", "by its quantity")
