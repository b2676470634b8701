"""Experiments and choices that nothing can be drawn from."""

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import ProductViewed


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Draws(Journey):
    async def run(self, entry: ProductViewed) -> str:
        # fault: self.experiment has no arm to choose; as in self.experiment("offer",
        one = self.experiment("offer")
        two = self.experiment("offer", offer=0, control=0)  # fault: self.experiment: all weights are zero
        # fault: self.experiment: offer has the weight -5
        three = self.experiment("offer", offer=-5, control=5)
        # fault: self.experiment: offer has the weight 'half'; expected
        four = self.experiment("offer", offer="half")
        five = self.choose("subject", {})  # fault: self.choose has no arm to choose
        six = self.choose("subject", {"warm": 3, "dry": -1})  # fault: self.choose: 'dry' has the weight -1
        seven = self.choose("subject", ["warm", "dry"])  # fault: self.choose has neither weights nor a score
        return f"{one} {two} {three} {four} {five} {six} {seven}"


JOURNEYS = (Draws,)
