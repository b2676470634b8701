"""The address that a message goes to and the names that may greet there, as values."""

import pytest

from profiles.messaging.recipients import Contact, recipient_address, recipient_names, stated_address

A, B, PHONE = "a@example.com", "b@example.com", "+4915112000001"


def contact(
    *emails: str, name: str = "", phone: str = "", verified: bool = True, account: str = ""
) -> Contact:
    addresses = {"email": emails} if emails else {}
    addresses |= {"phone": (phone,)} if phone else {}
    names = {"first_name": name} if name else {}
    return Contact(verified, addresses, names, (account,) if account else ())


@pytest.mark.parametrize(
    ("contacts", "own", "trusted", "expected"),
    [
        pytest.param([contact(A)], [A, B], [], A, id="a verified event"),
        pytest.param([contact(A, verified=False)], [A, B], [B], None, id="a page, of a new address"),
        pytest.param([contact(A, verified=False)], [A, B], [A, B], A, id="a page, of one the shop has named"),
        pytest.param([contact(A, verified=False)], [A, B], None, A, id="a page, where only pages speak"),
        pytest.param([contact(A)], [B], None, None, id="moved to another profile"),
        pytest.param([contact(), contact(A)], [A, B], None, A, id="an earlier event stated it"),
        pytest.param([], [A, B], None, None, id="none"),
    ],
)
def test_an_address_is_taken_from_the_run_if_it_is_the_profiles_own(
    contacts: list[Contact], own: list[str], trusted: list[str] | None, expected: str | None
) -> None:
    assert expected == stated_address(contacts, "email", own, trusted=trusted)


@pytest.mark.parametrize(
    ("stated", "consented", "is_marketing", "expected"),
    [
        pytest.param(A, [B], False, A, id="transactional: as stated"),
        pytest.param(None, [B], False, "preferred", id="transactional: else the preferred one"),
        pytest.param(A, [B, A], True, A, id="marketing: as stated, if it consented"),
        pytest.param(A, [B], True, B, id="marketing: the one that consented"),
        pytest.param(None, [B, A], True, B, id="marketing: the latest that consented"),
        pytest.param(A, [], True, A, id="marketing: as stated, where no address consented by itself"),
        pytest.param(None, [], True, "preferred", id="marketing: else the preferred one"),
    ],
)
def test_the_address_depends_on_the_class_of_the_message(
    stated: str | None, consented: list[str], is_marketing: bool, expected: str
) -> None:
    assert expected == recipient_address(
        stated=stated, consented=consented, preferred="preferred", is_marketing=is_marketing
    )


@pytest.mark.parametrize(
    ("run", "naming", "trait", "expected"),
    [
        pytest.param([contact(A, name="Ada")], None, "Bob", ["Ada", "Bob"], id="one address"),
        pytest.param([contact(A, name="Ada", verified=False)], None, "Bob", ["Bob"], id="said by a page"),
        pytest.param([contact(A)], [contact(B, name="Bob")], "Bob", [], id="the name of another address"),
        pytest.param([contact(A)], [contact(A, name="Ada")], "Bob", ["Ada"], id="its own earlier name"),
        pytest.param(
            [contact(A, phone=PHONE)],
            [contact(B, phone=PHONE, name="Bob")],
            "Bob",
            [],
            id="a shared phone does not outweigh another address",
        ),
        pytest.param(
            [contact(A, account="7")], [contact(B, name="Ada", account="7")], "Ada", ["Ada"], id="one account"
        ),
        pytest.param([contact(A)], [contact(name="Ada")], "Ada", ["Ada"], id="a name without an address"),
        pytest.param([contact(A)], [], "Ada", [], id="it is not known with which address"),
    ],
)
def test_a_name_that_came_with_another_address_does_not_greet(
    run: list[Contact], naming: list[Contact] | None, trait: str, expected: list[str]
) -> None:
    names = recipient_names(A, "email", run, naming, {"first_name": trait})

    assert expected == [name for each in names for name in each.values()]
