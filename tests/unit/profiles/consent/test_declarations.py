"""What an event says about consent, and that a withdrawal counts for everybody it names."""

from dataclasses import replace
from datetime import UTC, datetime

from profiles.consent import declarations
from profiles.db.sql import new_id
from profiles.state.event_records import IncomingEvent, MessageRef, StoredEvent
from profiles.state.profile_state import AudienceMembership, ProfileState
from profiles.state.unit_of_work import UnitOfWork

ADA = "ada@example.com"

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)

SAID = {"channel": "ads", "state": "withdrawn", "source": "desk"}

EVENT = IncomingEvent("test", "1", "Consent Changed", "web", AT, (("email", ADA),), SAID)


def taken(incoming: IncomingEvent, about: MessageRef | None = None) -> StoredEvent:
    return StoredEvent(incoming, new_id(), AT, None, about)


def test_a_withdrawal_of_ads_takes_everybody_it_names_out_of_their_audiences() -> None:
    changes = UnitOfWork()
    other = ProfileState(new_id(), audiences=[AudienceMembership(new_id(), "left", "lamp", None, new_id())])

    assert declarations.apply_withdrawals(other, taken(EVENT), changes)
    assert (other.audiences, list(changes.audience_removals.values())) == ([], ["opted_out"])


def test_what_withdraws_and_what_does_not() -> None:
    message = MessageRef(new_id(), new_id(), new_id(), "sms", "+4915112345678")
    in_traits = replace(EVENT, type="Signed Up", properties={}, traits={"consents": {"email": False}})

    def withdraws(incoming: IncomingEvent, about: MessageRef | None = None) -> bool:
        return declarations.apply_withdrawals(ProfileState(new_id()), taken(incoming, about), UnitOfWork())

    assert withdraws(in_traits)
    assert withdraws(replace(EVENT, properties=SAID | {"channel": "all"}))
    assert withdraws(replace(EVENT, type="Message Unsubscribed"), message)
    assert withdraws(replace(EVENT, type="Message Unsubscribed"))
    assert not withdraws(replace(EVENT, properties=SAID | {"state": "granted"}))
    assert not withdraws(replace(in_traits, traits={"consents": {"email": True}}))


def test_a_word_is_entered_once_with_all_identifiers_under_which_it_was_said() -> None:
    changes = UnitOfWork()
    person = ProfileState(new_id())
    named = (("anonymous_id", "a-1"), ("email", ADA), ("user_id", "42"))
    declarations.record_consent_change(person, taken(replace(EVENT, identifiers=named)), changes)

    [row] = changes.inserts["consent"]
    keys = row["named"]
    assert (row["profile_id"], row["voice"]) == (person.profile_id, "user_id:42")
    assert keys[:3] == ["user_id:42", f"email:{ADA}", "anonymous_id:a-1"]
    assert keys[3].startswith("email_sha256:")


def test_unsubscribing_in_a_message_is_said_by_the_address_that_was_written_to() -> None:
    changes = UnitOfWork()
    message = MessageRef(new_id(), new_id(), new_id(), "sms", "+4915112345678")
    person = ProfileState(new_id())
    declarations.record_message_opt_out(
        person, taken(replace(EVENT, type="Message Unsubscribed"), message), message, changes
    )

    [row] = changes.inserts["consent"]
    assert (row["channel"], row["state"], row["voice"]) == ("sms", "withdrawn", "phone:+4915112345678")
    assert "phone:+4915112345678" in row["named"]
