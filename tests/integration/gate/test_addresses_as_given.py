"""A message goes to the address as its owner gave it; records and opt-outs are by its normal form."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client

from authoring.testing.calendar import DEFAULT_START
from policy.verdict import Channel
from tests.support.environments.gate import YES, GateHarness

# Where such addresses come from: a tag that a customer gives each shop, dots as on a business card, letter
# case as typed on a phone, an address book's entry, a form of an international shop.
GIVEN = [
    pytest.param("first.last+shop@gmail.com", "firstlast@gmail.com", id="dots and tag at Gmail"),
    pytest.param("First.Last@googlemail.com", "firstlast@gmail.com", id="Gmail's older domain"),
    pytest.param("ada+news@outlook.com", "ada@outlook.com", id="tag at another provider"),
    pytest.param("Ada.Lovelace@Example.COM", "ada.lovelace@example.com", id="letter case"),
    pytest.param("ada+x@shop.example.org", "ada+x@shop.example.org", id="tag at a domain of one's own"),
    pytest.param("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example", id="domain in punycode"),
]

SPELLED_OTHERWISE = [
    pytest.param("Ada <Ada+Shop@gmail.com>", "Ada+Shop@gmail.com", id="name and address"),
    pytest.param("mailto:Ada.L@gmail.com", "Ada.L@gmail.com", id="link"),
    pytest.param("  Ada@example.com\u200b ", "Ada@example.com", id="blanks and invisible characters"),
    pytest.param("Ada@BÜCHER.example", "Ada@xn--bcher-kva.example", id="domain with an umlaut"),
]


@pytest.fixture
def harness(database_url: str, temporal: Any) -> GateHarness:
    client: Client = temporal.client
    return GateHarness(database_url, client)


async def reminded(harness: GateHarness, *events: Any) -> Any:
    """Take the events in, of which the last leaves a cart; returns its reminder as accepted."""
    for one in events:
        await harness.ingest([one])
    [run] = await harness.fetch_rows("SELECT run_id FROM run WHERE state = 'running'")
    await harness.sends(harness.ask(run["run_id"], "reminder", "lamp"))
    [mail] = harness.ledgers[Channel.EMAIL].accepted
    return mail


def cart(harness: GateHarness, email: str, **more: Any) -> Any:
    lamp = {"product_id": "lamp", "name": "Lamp", "cart_id": "c-1"}
    return harness.build_event("Product Added", lamp, email=email, traits=YES, **more)


@pytest.mark.parametrize(("given", "normal"), GIVEN)
async def test_mail_goes_to_the_address_as_given(harness: GateHarness, given: str, normal: str) -> None:
    async with harness:
        mail = await reminded(harness, cart(harness, given))
        [stored] = await harness.fetch_rows("SELECT address FROM message")
        [identifier] = await harness.fetch_rows("SELECT value FROM identifier WHERE type = 'email'")

    assert given == mail.to
    assert normal == stored["address"] == identifier["value"]


@pytest.mark.parametrize(("written", "given"), SPELLED_OTHERWISE)
async def test_what_surrounds_an_address_is_no_part_of_it(
    harness: GateHarness, written: str, given: str
) -> None:
    async with harness:
        assert given == (await reminded(harness, cart(harness, written))).to


A, B, NORMAL = "ada.l+a@gmail.com", "ada.l+b@gmail.com", "adal@gmail.com"

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("reverse", [False, True], ids=["in order", "late"])
@pytest.mark.parametrize("in_one_batch", [False, True], ids=["one by one", "in one batch"])
@pytest.mark.parametrize(
    ("spellings", "expected"),
    [
        pytest.param([(A, 0, True), (B, 1, True)], B, id="the latest of a server"),
        pytest.param([(A, 0, True), (B, 1, False)], A, id="a server's before a later one of a page"),
        pytest.param([(A, 0, False), (B, 1, False)], B, id="the latest of pages"),
        pytest.param(
            [(A, 0, False), (NORMAL, 1, True)], NORMAL, id="the normal form, where a server gave it"
        ),
    ],
)
async def test_of_several_spellings_the_latest_verified_one_counts(
    harness: GateHarness,
    spellings: list[tuple[str, int, bool]],
    expected: str,
    reverse: bool,
    in_one_batch: bool,
) -> None:
    async with harness:
        events = [
            replace(
                harness.build_event(
                    "Product Viewed", email=email, time=DEFAULT_START - 9 * HOUR + hours * HOUR
                ),
                verified=verified,
            )
            for email, hours, verified in (reversed(spellings) if reverse else spellings)
        ]
        first = replace(cart(harness, NORMAL), given_emails=())
        if in_one_batch:
            await harness.ingest(events)
            events = []
        assert expected == (await reminded(harness, *events, first)).to


async def test_a_page_does_not_respell_an_address_that_a_server_named_without_spelling(
    harness: GateHarness,
) -> None:
    """Rows from before spellings were kept, and events that name no spelling."""
    async with harness:
        named = replace(harness.build_event("Product Viewed", email=A), given_emails=())
        page = replace(harness.build_event("Product Viewed", email=B), verified=False)
        mail = await reminded(harness, named, page, replace(cart(harness, A), given_emails=()))

    assert mail.to == NORMAL


async def test_a_merge_keeps_each_address_as_given(harness: GateHarness) -> None:
    async with harness:
        alone = harness.build_event("Product Viewed", email=A)
        other = harness.build_event("Product Viewed", user_id="ada")
        both = harness.build_event("Product Viewed", user_id="ada", email=A)
        mail = await reminded(harness, alone, other, both, replace(cart(harness, NORMAL), given_emails=()))

    assert mail.to == A


async def test_an_opt_out_by_another_spelling_holds(harness: GateHarness) -> None:
    async with harness:
        await harness.ingest([cart(harness, A)])
        await harness.ingest(
            [harness.build_event("Profile Updated", email=B, traits={"consents": {"email": False}})]
        )
        [run] = await harness.fetch_rows("SELECT run_id FROM run")
        result = await harness.sends(harness.ask(run["run_id"], "reminder", "lamp"))

    assert result.status.value == "withheld"
    assert harness.ledgers[Channel.EMAIL].accepted == []
