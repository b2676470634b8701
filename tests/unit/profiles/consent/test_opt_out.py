"""The register of addresses: it says what people's words say, whichever way they came to be one or two."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.consent.ledger import (
    ConsentRecord,
    ConsentSubject,
    OptOutEntry,
    effective_consents,
    recompute_opt_outs,
)

DAY = datetime(2026, 11, 1, tzinfo=UTC)

ADA, BOB, CALL = "ada@example.com", "bob@example.com", "+4915112345678"


def day(number: int) -> datetime:
    return DAY + timedelta(days=number)


def said(
    granted: bool, on: int, voice: str, *, channel: str = "email", topic: str = "marketing"
) -> ConsentRecord:
    return ConsentRecord(channel, topic, granted, True, voice, day(on), "test", None, day(on))


def forged(granted: bool, on: int, voice: str) -> ConsentRecord:
    return replace(said(granted, on, voice), verified=False, source="browser")


def person(*words: ConsentRecord, owns: tuple[str, ...], vouched: bool = True) -> ConsentSubject:
    joined_at = dict.fromkeys(owns, DAY)
    sure = effective_consents([word for word in words if word.verified], joined_at, vouched)
    return ConsentSubject(frozenset(owns), words, effective_consents(words, joined_at, vouched), sure)


def mark(
    address: str,
    withdrawn: bool,
    on: int,
    *,
    channel: str = "email",
    topic: str = "marketing",
    by: str = "test",
) -> OptOutEntry:
    return OptOutEntry(channel, address, topic, withdrawn, day(on), by)


def test_a_no_is_entered_on_every_address_of_its_channel() -> None:
    ada = person(
        said(False, 2, "user_id:1"), owns=("user_id:1", f"email:{ADA}", f"email:{BOB}", f"phone:{CALL}")
    )

    assert ([mark(ADA, True, 2), mark(BOB, True, 2)], []) == recompute_opt_outs([ada], [])


def test_a_no_to_all_channels_outweighs_a_later_yes_to_one() -> None:
    words = (said(False, 2, "user_id:1", channel="all"), said(True, 3, "user_id:1"))
    ada = person(*words, owns=("user_id:1", f"email:{ADA}", f"phone:{CALL}"))

    assert ([mark(ADA, True, 2), mark(CALL, True, 2, channel="sms")], []) == recompute_opt_outs([ada], [])


def test_a_later_yes_lifts_and_an_earlier_one_does_not() -> None:
    ada = person(said(True, 5, "user_id:1"), owns=("user_id:1", f"email:{ADA}"))

    assert ([mark(ADA, False, 5)], []) == recompute_opt_outs([ada], [mark(ADA, True, 4)])
    assert recompute_opt_outs([ada], [mark(ADA, True, 5)]) == ([], [])
    assert recompute_opt_outs([ada], [mark(ADA, True, 6)]) == ([], [])


def test_what_a_person_refuses_is_refused_whatever_the_register_had_of_their_address() -> None:
    ada = person(said(False, 2, "user_id:1"), owns=("user_id:1", f"email:{ADA}"))

    assert ([mark(ADA, True, 2)], []) == recompute_opt_outs([ada], [mark(ADA, False, 8)])


def test_a_providers_stop_is_lifted_only_by_a_later_yes_to_everything() -> None:
    stop = mark(CALL, True, 4, channel="sms", topic="all", by="provider")
    marketing = person(said(True, 5, "user_id:1", channel="sms"), owns=("user_id:1", f"phone:{CALL}"))
    everything = person(
        said(True, 5, "user_id:1", channel="sms", topic="all"), owns=("user_id:1", f"phone:{CALL}")
    )

    assert ([mark(CALL, False, 5, channel="sms")], []) == recompute_opt_outs([marketing], [stop])
    assert ([mark(CALL, False, 5, channel="sms", topic="all")], []) == recompute_opt_outs(
        [everything], [stop]
    )


def test_a_former_address_that_said_no_is_entered_too_and_only_itself_takes_it_back() -> None:
    no, yes = said(False, 2, f"email:{BOB}"), said(True, 6, f"email:{BOB}")
    owns = ("user_id:1", f"email:{ADA}")

    assert ([mark(ADA, True, 2), mark(BOB, True, 2)], []) == recompute_opt_outs([person(no, owns=owns)], [])
    taken_back = person(no, said(True, 5, "user_id:1"), owns=owns)
    assert ([mark(ADA, False, 5), mark(BOB, True, 2)], []) == recompute_opt_outs([taken_back], [])
    [*_, former] = recompute_opt_outs([person(no, yes, owns=owns)], [])[0]
    assert mark(BOB, False, 6) == former


BY_FORMER = f"email:{BOB}"

ON_FORMER = [
    # said by the former address     entered by others             entered then
    pytest.param([said(False, 2, BY_FORMER)], mark(BOB, False, 5, by="x"), None, id="an earlier no"),
    pytest.param([said(False, 6, BY_FORMER)], mark(BOB, False, 5, by="x"), (True, 6), id="a later no"),
    pytest.param([said(False, 5, BY_FORMER)], mark(BOB, False, 5, by="x"), (True, 5), id="one as late"),
    pytest.param([forged(False, 6, BY_FORMER)], mark(BOB, False, 5, by="x"), (True, 6), id="a forged no"),
    pytest.param([forged(False, 6, BY_FORMER)], mark(BOB, True, 5, by="x"), None, id="a forged no over a no"),
    pytest.param([said(True, 6, BY_FORMER)], mark(BOB, True, 5, by="x"), (False, 6), id="a later yes"),
    pytest.param([forged(True, 6, BY_FORMER)], mark(BOB, True, 5, by="x"), None, id="a forged yes"),
    pytest.param(
        [forged(False, 6, BY_FORMER), forged(True, 7, BY_FORMER)],
        mark(BOB, False, 5, by="x"),
        (True, 6),
        id="a forged no and a forged yes",
    ),
]


@pytest.mark.parametrize(("words", "there", "expected"), ON_FORMER)
def test_on_a_former_address_the_later_word_wins_unless_it_is_forged(
    words: list[ConsentRecord], there: OptOutEntry, expected: tuple[bool, int] | None
) -> None:
    written, stale = recompute_opt_outs([person(*words, owns=("anonymous_id:a",), vouched=False)], [there])

    entered = [(entry.withdrawn, (entry.time - DAY).days) for entry in written]
    assert (entered, stale) == ([expected] if expected else [], [])


def test_a_no_on_a_former_address_does_not_outweigh_a_later_yes_of_whose_it_is_now() -> None:
    ada = person(said(False, 2, f"email:{BOB}"), owns=(f"email:{ADA}",))
    bob = person(said(True, 5, f"email:{BOB}"), owns=(f"email:{BOB}",))

    for people in ([ada, bob], [bob, ada]):
        assert ([mark(ADA, True, 2), mark(BOB, False, 5)], []) == recompute_opt_outs(people, [])


@pytest.mark.parametrize("channel", ["email", "all"])
def test_two_who_turn_out_to_be_two_get_their_addresses_own_words_back(channel: str) -> None:
    refused = said(False, 5, "user_id:1", channel=channel)
    ada = person(refused, owns=("user_id:1", f"email:{ADA}"))
    bob = person(said(True, 2, f"email:{BOB}"), owns=(f"email:{BOB}",))
    merged = [mark(ADA, True, 5), mark(BOB, True, 5)]

    assert ([mark(BOB, False, 2)], [mark(BOB, True, 5)]) == recompute_opt_outs([ada, bob], merged)


def test_two_who_turn_out_to_be_two_leave_nothing_on_an_address_of_which_nothing_was_said() -> None:
    ada = person(said(False, 5, "user_id:1"), owns=("user_id:1", f"email:{ADA}"))
    bob = person(owns=(f"email:{BOB}",))

    assert ([], [mark(BOB, True, 5)]) == recompute_opt_outs(
        [ada, bob], [mark(ADA, True, 5), mark(BOB, True, 5)]
    )


def test_what_was_said_on_another_channel_leaves_an_entry_alone() -> None:
    bob = person(said(False, 5, "user_id:1", channel="sms"), owns=("user_id:1", f"email:{BOB}"))

    assert recompute_opt_outs([bob], [mark(BOB, True, 5)]) == ([], [])


@pytest.mark.parametrize("vouched", [True, False])
def test_an_entry_of_a_grant_that_counts_no_more_is_taken_away(vouched: bool) -> None:
    """Such as a page's, which counted for unverified profiles until 0.6."""
    ada = person(forged(True, 2, f"email:{ADA}"), owns=(f"email:{ADA}",), vouched=vouched)
    entry = mark(ADA, False, 2, by="browser")

    assert recompute_opt_outs([ada], []) == ([], [])
    assert recompute_opt_outs([ada], [entry]) == ([], [entry])


def test_forged_words_lift_no_entry_of_somebody_elses() -> None:
    first = mark(BOB, True, 5, by="the first owner")
    no, yes = forged(False, 8, f"email:{BOB}"), forged(True, 9, f"email:{BOB}")

    for words in ([yes], [no], [no, yes]):
        assert recompute_opt_outs([person(*words, owns=(f"email:{BOB}",), vouched=False)], [first]) == (
            [],
            [],
        )


def test_a_forged_yes_after_a_genuine_one_does_not_hide_it() -> None:
    words = (said(True, 6, f"email:{BOB}"), forged(True, 9, f"email:{BOB}"))
    bob = person(*words, owns=(f"email:{BOB}",), vouched=False)
    [entry] = recompute_opt_outs([bob], [mark(BOB, True, 5, by="the first owner")])[0]

    assert not entry.withdrawn


def test_an_unverified_no_is_lifted_by_a_verified_yes_and_not_by_its_like() -> None:
    words = (forged(False, 2, f"email:{ADA}"), forged(True, 3, f"email:{ADA}"))
    entry = mark(ADA, True, 2, by="browser")
    for more, written in (((), []), ((said(True, 4, f"email:{ADA}"),), [mark(ADA, False, 4)])):
        ada = person(*words, *more, owns=(f"email:{ADA}",), vouched=False)

        assert recompute_opt_outs([ada], [entry]) == (written, [])


def test_a_later_yes_replaces_an_entry_without_taking_it_away_first() -> None:
    no, yes = said(False, 2, "user_id:1"), said(True, 5, "user_id:1")
    ada = person(no, yes, owns=("user_id:1", f"email:{ADA}"))

    assert ([mark(ADA, False, 5)], []) == recompute_opt_outs([ada], [mark(ADA, True, 2)])


def test_an_opt_out_of_an_earlier_owner_stays_with_the_address() -> None:
    stranger = person(said(True, 3, "user_id:9"), owns=("user_id:9", f"email:{ADA}"))

    assert recompute_opt_outs([stranger], [mark(ADA, True, 5, by="the first owner")]) == ([], [])


@pytest.mark.parametrize("granted", [True, False])
def test_what_is_already_entered_is_left_alone(granted: bool) -> None:
    ada = person(said(granted, 2, "user_id:1"), owns=("user_id:1", f"email:{ADA}"))
    once, _ = recompute_opt_outs([ada], [])

    assert once == [mark(ADA, not granted, 2)]
    assert recompute_opt_outs([ada], once) == ([], [])


OWNS = ("user_id:1", f"email:{ADA}")

WORDS = st.lists(
    st.builds(
        lambda granted, on, voice, verified: replace(said(granted, on, voice), verified=verified),
        st.booleans(),
        st.integers(1, 7),
        st.sampled_from([*OWNS, BY_FORMER]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(st.data(), WORDS, st.booleans(), st.none() | st.integers(1, 7))
def test_the_register_is_the_same_in_whatever_order_a_persons_words_arrive(
    data: st.DataObject, words: list[ConsentRecord], vouched: bool, earlier: int | None
) -> None:
    """Also where it is written anew after each of them, over an entry of the address's earlier owner."""
    first = [mark(one, True, earlier, by="the first owner") for one in (ADA, BOB) if earlier]
    register = {entry.key: entry for entry in first}
    shuffled = data.draw(st.permutations(words))
    for count in range(1, len(shuffled) + 1):
        ada = person(*shuffled[:count], owns=OWNS, vouched=vouched)
        written, stale = recompute_opt_outs([ada], register.values())
        for entry in stale:
            del register[entry.key]
        register |= {entry.key: entry for entry in written}
    at_once = {entry.key: entry for entry in first}
    at_once |= {
        entry.key: entry
        for entry in recompute_opt_outs([person(*words, owns=OWNS, vouched=vouched)], first)[0]
    }

    assert closed(register) == closed(at_once)


def closed(register: dict[tuple[str, str, str], OptOutEntry]) -> dict[tuple[str, str, str], bool]:
    return {place: entry.withdrawn for place, entry in register.items()}
