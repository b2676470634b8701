"""Tales of addresses that are asked to confirm a consent: one for each outcome."""

from tests.replay.scenario import ReplayScenario, tale

ASKS = "double-opt-in"


async def requested(t: ReplayScenario, asks_by: str) -> None:
    """The sweep has an address asked."""
    await t.happens("Opt In Requested", {"request_id": f"opt-in-{t.key}", "asks_by": asks_by})


@tale(ASKS, "asked")
async def asked_by_mail(t: ReplayScenario) -> None:
    await requested(t, "email")


@tale(ASKS, "asked")
async def asked_by_text(t: ReplayScenario) -> None:
    await requested(t, "sms")


@tale(ASKS, "not_asked")
async def not_asked_where_the_mail_bounced(t: ReplayScenario) -> None:
    await t.waypost.fetch_rows(
        "INSERT INTO address_problem (channel, address, problem, at) VALUES ('email', $1, 'bounced', now())",
        t.who["email"],
    )
    await requested(t, "email")
