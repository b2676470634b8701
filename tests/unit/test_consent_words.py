"""What an event says about consent, and that a withdrawal counts for everybody it names."""

from dataclasses import replace
from datetime import UTC, datetime

from profiles.consent import declarations
from profiles.db.sql import new_id
from profiles.state.event_records import IncomingEvent, KnownMessage, Taken
from profiles.state.profile_state import Membership, Person
from profiles.state.unit_of_work import Changes

ADA = "ada@example.com"
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SAID = {"channel": "ads", "state": "withdrawn", "source": "desk"}
EVENT = IncomingEvent("test", "1", "Consent Changed", "web", AT, (("email", ADA),), SAID)


def taken(incoming: IncomingEvent, about: KnownMessage | None = None) -> Taken:
    return Taken(incoming, new_id(), AT, None, about)


def test_a_withdrawal_of_ads_takes_everybody_it_names_out_of_their_audiences() -> None:
    changes = Changes()
    other = Person(new_id(), audiences=[Membership(new_id(), "left", "lamp", None, new_id())])

    assert declarations.leave_with(other, taken(EVENT), changes)
    assert (other.audiences, list(changes.leaving.values())) == ([], ["opted_out"])


def test_what_withdraws_and_what_does_not() -> None:
    message = KnownMessage(new_id(), new_id(), new_id(), "sms", "+4915112345678")
    in_traits = replace(EVENT, type="Signed Up", properties={}, traits={"consents": {"email": False}})

    def withdraws(incoming: IncomingEvent, about: KnownMessage | None = None) -> bool:
        return declarations.leave_with(Person(new_id()), taken(incoming, about), Changes())

    assert withdraws(in_traits)
    assert withdraws(replace(EVENT, properties=SAID | {"channel": "all"}))
    assert withdraws(replace(EVENT, type="Message Unsubscribed"), message)
    assert not withdraws(replace(EVENT, type="Message Unsubscribed"))
    assert not withdraws(replace(EVENT, properties=SAID | {"state": "granted"}))
    assert not withdraws(replace(in_traits, traits={"consents": {"email": True}}))


def test_a_word_is_entered_once_with_all_identifiers_under_which_it_was_said() -> None:
    changes = Changes()
    person = Person(new_id())
    named = (("anonymous_id", "a-1"), ("email", ADA), ("user_id", "42"))
    declarations.from_event(person, taken(replace(EVENT, identifiers=named)), changes)

    [row] = changes.inserts["consent"]
    keys = row["named"]
    assert (row["profile_id"], row["voice"]) == (person.profile_id, "user_id:42")
    assert keys[:3] == ["user_id:42", f"email:{ADA}", "anonymous_id:a-1"]
    assert keys[3].startswith("email_sha256:")


def test_unsubscribing_in_a_message_is_said_by_the_address_that_was_written_to() -> None:
    changes = Changes()
    message = KnownMessage(new_id(), new_id(), new_id(), "sms", "+4915112345678")
    person = Person(new_id())
    declarations.from_message(
        person, taken(replace(EVENT, type="Message Unsubscribed"), message), message, changes
    )

    [row] = changes.inserts["consent"]
    assert (row["channel"], row["state"], row["voice"]) == ("sms", "withdrawn", "phone:+4915112345678")
    assert "phone:+4915112345678" in row["named"]
