"""What a story knows of a person is declared in a subclass of Profile, and nothing else is there."""

from dataclasses import dataclass

from journeys.vocabulary import PERSON, Journey, Profile, journey
from profiles.events import ProductViewed


class Member(Profile):
    plan: str = "none"


@dataclass
class Plain:
    plan: str = "none"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        # E: Value of type variable "P" of "profile" of "Deciding" cannot be "str"  [type-var]
        await self.profile(str)
        # E: Value of type variable "P" of "profile" of "Deciding" cannot be "Plain"  [type-var]
        await self.profile(Plain)
        # E: No overload variant of "profile" of "Deciding" matches argument type "str"  [call-overload]
        await self.profile("plan")
        member = await self.profile(Member)
        # E: "Member" has no attribute "email"  [attr-defined]
        print(member.email)
        # E: "Member" has no attribute "plann"; maybe "plan"?  [attr-defined]
        return str(member.plann)
