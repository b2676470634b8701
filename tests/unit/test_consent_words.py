"""What an event says about consent, and that a withdrawal is entered for everybody it names."""

from dataclasses import replace
from datetime import UTC, datetime

from profiles.changes import Changes
from profiles.consents import withdraw_for
from profiles.ids import new_id
from profiles.incoming import IncomingEvent
from profiles.person import Membership, Person
from profiles.taken import KnownMessage, Taken

ADA = "ada@example.com"
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_an_event_says_what_it_withdraws_for_everybody_it_names() -> None:
    said = {"consents": {"email": False, "sms": True, "push": False, "fax": False}}
    event = IncomingEvent("test", "1", "Consent Changed", "web", AT, (("email", ADA),), traits=said)
    changed = replace(event, traits={}, properties={"channel": "all", "topic": "news", "state": "withdrawn"})
    message = KnownMessage(new_id(), new_id(), new_id(), "sms", "+4915112345678")

    def withdrawn(incoming: IncomingEvent, about: KnownMessage | None = None) -> list[tuple[str, str]]:
        changes = Changes()
        withdraw_for(Person(new_id()), f"email:{ADA}", Taken(incoming, new_id(), AT, None, about), changes)
        return [(row["channel"], row["topic"]) for row in changes.inserts["consent"]]

    assert withdrawn(event) == [("email", "marketing"), ("push", "marketing")]
    assert withdrawn(changed) == [("all", "news")]
    assert withdrawn(replace(changed, type="Signed Up")) == []
    assert withdrawn(replace(event, type="Message Unsubscribed", traits={}), message) == [
        ("sms", "marketing")
    ]
    assert withdrawn(replace(event, type="Message Unsubscribed", traits={})) == []


def test_a_withdrawal_is_entered_for_another_person_under_their_own_identifier() -> None:
    properties = {"channel": "ads", "state": "withdrawn", "source": "desk"}
    event = IncomingEvent("test", "1", "Consent Changed", "web", AT, (("user_id", "42"),), properties)
    taken, changes = Taken(event, new_id(), AT, None), Changes()
    other = Person(new_id(), audiences=[Membership(new_id(), "left", "lamp", None, new_id())])
    withdraw_for(other, f"email:{ADA}", taken, changes)

    [row] = changes.inserts["consent"]
    assert row == row | {"profile_id": other.profile_id, "voice": f"email:{ADA}", "state": "withdrawn"}
    assert (row["channel"], row["source"], row["event_id"]) == ("ads", "desk", taken.event_id)
    assert (other.audiences, list(changes.leaving.values())) == ([], ["opted_out"])
