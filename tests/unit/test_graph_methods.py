"""Methods that a story calls, drawn in place of the call."""

from authoring.graph.reader import flow_of
from journeys.registry import SHIPPED
from journeys.vocabulary import PERSON, Journey, days, journey
from profiles.events import MessageClicked, ProductViewed
from tests.unit.test_graph_reading import said, ways


def test_methods_of_the_story_are_drawn_as_what_they_contain() -> None:
    flow = flow_of(SHIPPED[1].definition)
    begun = [(node.kind.value, node.title) for node in flow.nodes].index(("sleep", "5 days"))

    assert [(node.kind.value, node.title) for node in flow.nodes[begun + 1 : begun + 8]] == [
        ("hold while open", "a support ticket or a return"),
        ("read", "the profile"),
        ("choice", "any kept?"),
        ("end", "nothing_kept"),
        ("loop", "for each item of kept, 3 at most"),
        ("look back for", "Product Reviewed"),
        ("send", "review_request"),
    ]
    assert said(flow, "review_request")[2] == "shows the item"
    assert {
        "the profile --> any kept?",
        "any kept? -no-> nothing_kept",
        "for each item of kept, 3 at most -next-> Product Reviewed",
        "Product Reviewed -Product Reviewed->> for each item of kept, 3 at most",
        "Product Reviewed -not so far-> review_request",
        "Product Reviewed -->> for each item of kept, 3 at most",
    } < ways(flow)


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Within(Journey):
    async def run(self, entry: ProductViewed) -> str:
        if not await self.clicks(times=2) and await self.again(3):
            return "gone"
        return await self.over("seen")

    async def clicks(self, times: int) -> bool:
        for _ in range(times):
            if await self.wait_for(MessageClicked, within=days(1)):
                return True
        return False

    async def again(self, left: int) -> bool:
        await self.sleep(days(left))
        return left > 0 and await self.again(left - 1)

    async def over(self, how: str) -> str:
        if await self.wait_for(MessageClicked, within=days(2)):
            return f"{how}, clicked"
        return how


def test_what_a_method_answers_leads_on_where_it_was_asked() -> None:
    assert {
        "Product Viewed --> 2 times",
        "2 times -next-> Message Clicked",
        "Message Clicked -1 day passed->> 2 times",
        "2 times -done-> 3 days",
        "Message Clicked -Message Clicked-> Message Clicked",
        "3 days --> 3 is over 0?",
        "3 is over 0? -yes-> again(3 - 1)",
        "3 is over 0? -no-> Message Clicked",
        "again(3 - 1) --> again(3 - 1)?",
        "again(3 - 1)? -yes-> gone",
        "again(3 - 1)? -no-> Message Clicked",
        "Message Clicked -Message Clicked-> seen, clicked",
        "Message Clicked -2 days passed-> seen",
    } == ways(flow_of(Within.definition))
