"""Words that are not awaited, do not exist, or get what they do not take."""

from journeys.vocabulary import PERSON, Journey, days, hours, journey
from profiles.events import MessageClicked, OrderCompleted, ProductViewed


async def thank(story: Journey) -> None:
    # fault: self.sleep(…) is not awaited, so it never happens; write await self.sleep(…)
    story.sleep(hours(1))


class Shop(Journey):
    async def greet(self) -> None:
        self.retarget((), "new")  # fault: self.retarget(…) is not awaited


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Forgets(Shop):
    async def run(self, entry: ProductViewed) -> str:
        self.greet()  # fault: self.greet(…) is not awaited, so it never happens; write await self.greet(…)
        thank(self)  # fault: thank(…) is not awaited
        if self.wait_for(OrderCompleted, within=days(1)):  # fault: self.wait_for(…) is not awaited
            return "bought"
        while not (clicked := self.wait_for(MessageClicked)):  # fault: self.wait_for(…) is not awaited
            print(clicked)
        for item in self.suggestions():  # fault: self.suggestions(…) is not awaited
            print(item)
        # fault: self.suggestions(…) is not awaited
        await self.send("cart_offer", promoting=self.suggestions())
        known = self.profile().orders  # fault: self.profile(…) is not awaited
        held = self.hold_while() and known  # fault: self.hold_while(…) is not awaited
        later = self.send("receipt", promoting=None)
        await later
        return held


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class TooMuch(Journey):
    async def run(self, entry: ProductViewed) -> str:
        arm = await self.experiment("offer", offer=1, control=1)  # fault: self.experiment(…) answers at once
        when = await self.now()  # fault: self.now(…) answers at once; take the await away
        who = await self.customer_id  # fault: self.customer_id is there at once; take the await away
        # fault: self.customer_id is no function; write self.customer_id without the brackets
        me = self.customer_id()
        # fault: there is no self.sleeep; did you mean 'sleep'? words: cart, choose,
        await self.sleeep(days(1))
        await self.send("receipt")  # fault: self.send does not say what it promotes
        # fault: self.send takes no promote=; did you mean 'promoting'?
        await self.send("receipt", promote=())
        await self.sleep()  # fault: self.sleep: missing a required argument: 'length'
        # fault: self.send: too many positional arguments; it takes template,
        await self.send("receipt", None)
        # fault: self.cart is always empty here: the journey is not about a cart; write keyed_by="cart_id"
        return f"{arm} {when} {who} {me} {self.cart.items}"


JOURNEYS = (Forgets, TooMuch)
