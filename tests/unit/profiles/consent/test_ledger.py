"""Which word stands: by the clock and not by the post, the stricter one across a merge, no forged grant."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.consent.ledger import ConsentRecord, EffectiveConsent, effective_consents

DAY = datetime(2026, 11, 1, tzinfo=UTC)

USER, MAIL, PHONE = "user_id:42", "email:ada@example.com", "phone:+4915112345678"

FORMER = "email:former@example.com"

TOGETHER = dict.fromkeys((USER, MAIL, PHONE), DAY)

MARKETING = ("email", "marketing")


def day(number: float) -> datetime:
    return DAY + timedelta(days=number)


def said(
    granted: bool, on: float, voice: str | None, *, verified: bool = True, topic: str = "marketing"
) -> ConsentRecord:
    number = round(on * 8) + 64 * granted
    return ConsentRecord(
        "email",
        topic,
        granted,
        verified,
        voice,
        day(on),
        "test",
        UUID(int=number),
        day(on) + timedelta(hours=1),
    )


def yes(on: float, voice: str | None = USER, *, verified: bool = True) -> ConsentRecord:
    return said(True, on, voice, verified=verified)


def no(on: float, voice: str | None = USER, *, verified: bool = True) -> ConsentRecord:
    return said(False, on, voice, verified=verified)


def stands(
    words: Sequence[ConsentRecord], joined_at: Mapping[str, datetime] = TOGETHER, *, vouched: bool = True
) -> str | None:
    """granted or withdrawn, in whatever order the words come; None: nothing on file."""
    [found] = {
        state.granted if (state := effective_consents(shuffled, joined_at, vouched).get(MARKETING)) else None
        for shuffled in permutations(words)
    }
    return None if found is None else "granted" if found else "withdrawn"


# Two people until the tenth day.
MERGED = {USER: day(1), MAIL: day(10), PHONE: day(1)}

STORIES = [
    pytest.param([yes(1)], TOGETHER, "granted", id="a yes"),
    pytest.param([no(1)], TOGETHER, "withdrawn", id="a no"),
    pytest.param([yes(1), no(2)], TOGETHER, "withdrawn", id="a yes and then a no"),
    pytest.param([yes(3), no(2)], TOGETHER, "granted", id="a no and then a yes"),
    pytest.param([yes(2), no(2)], TOGETHER, "withdrawn", id="both at one time"),
    pytest.param([yes(1), no(2), yes(3), no(4)], TOGETHER, "withdrawn", id="many words, a no the last"),
    pytest.param([yes(1), no(2), yes(3)], TOGETHER, "granted", id="many words, a yes the last"),
    pytest.param([no(2, MAIL), yes(3, USER)], TOGETHER, "granted", id="another voice of the same person"),
    pytest.param([no(5, MAIL), yes(6, USER)], MERGED, "withdrawn", id="a yes of the other before the merge"),
    pytest.param([no(5, USER), yes(6, MAIL)], MERGED, "withdrawn", id="the same the other way round"),
    pytest.param([no(5, MAIL), yes(4, USER)], MERGED, "withdrawn", id="an older yes of the other"),
    pytest.param([no(5, MAIL), yes(10, USER)], MERGED, "withdrawn", id="a yes that is itself the merge"),
    pytest.param([no(5, MAIL), yes(11, USER)], MERGED, "granted", id="a yes after the merge by the other"),
    pytest.param([no(5, MAIL), yes(11, MAIL)], MERGED, "granted", id="a yes after the merge by the same"),
    pytest.param([no(5, MAIL), yes(6, MAIL)], MERGED, "granted", id="a yes before the merge by the same"),
    pytest.param(
        [no(5, MAIL), no(6, USER), yes(7, USER)], MERGED, "withdrawn", id="each must take back their own"
    ),
    pytest.param(
        [no(5, MAIL), no(6, USER), yes(7, USER), yes(8, MAIL)], MERGED, "granted", id="both took it back"
    ),
    pytest.param([no(5, USER), yes(6, PHONE)], MERGED, "granted", id="voices joined earlier than the others"),
    pytest.param([no(5, FORMER), yes(6, USER)], MERGED, "granted", id="a former address may be overruled"),
    pytest.param([no(5, USER), yes(6, FORMER)], MERGED, "withdrawn", id="a former address overrules nobody"),
    pytest.param([no(5, None), yes(6, MAIL)], MERGED, "granted", id="a no of an unknown voice"),
    pytest.param([no(5, MAIL), yes(6, None)], MERGED, "granted", id="a yes of an unknown voice"),
]


@pytest.mark.parametrize(("words", "joined_at", "expected"), STORIES)
def test_the_word_that_stands_does_not_depend_on_the_order_of_arrival(
    words: list[ConsentRecord], joined_at: dict[str, datetime], expected: str
) -> None:
    assert expected == stands(words, joined_at)


FORGED = [
    pytest.param([yes(1, verified=False)], True, None, id="nothing for a person who is vouched for"),
    pytest.param([yes(1, verified=False)], False, None, id="nothing for one who is not"),
    pytest.param([yes(1), yes(2, verified=False)], False, "granted", id="nor against a verified yes"),
    pytest.param([no(1), yes(2, verified=False)], False, "withdrawn", id="never over a verified no"),
    pytest.param([no(1), yes(2, verified=False)], True, "withdrawn", id="nor there"),
    pytest.param([no(1, verified=False)], True, "withdrawn", id="an unverified no counts"),
    pytest.param([yes(1), no(2, verified=False)], True, "withdrawn", id="even after a verified yes"),
    pytest.param(
        [no(1, verified=False), yes(2, verified=False)],
        False,
        "withdrawn",
        id="an unverified one does not even lift its like",
    ),
    pytest.param(
        [no(1, verified=False), yes(2, verified=False)], True, "withdrawn", id="but for one vouched for"
    ),
    pytest.param([no(1, verified=False), yes(2)], True, "granted", id="a verified yes lifts any"),
]


@pytest.mark.parametrize(("words", "vouched", "expected"), FORGED)
def test_an_unverified_yes_counts_for_little(
    words: list[ConsentRecord], vouched: bool, expected: str | None
) -> None:
    assert expected == stands(words, vouched=vouched)


@pytest.mark.parametrize(
    ("channel", "names_push_token", "vouched", "counts"),
    [
        pytest.param("push", True, False, True, id="a device speaks for itself"),
        pytest.param("push", False, False, False, id="who knows no token is no device"),
        pytest.param("push", True, True, False, id="a page writes nothing into a verified profile"),
        pytest.param("email", True, False, False, id="a device knows of no mailbox"),
        pytest.param("sms", True, False, False, id="nor of a number"),
        pytest.param("ads", True, False, False, id="nor of ads"),
        pytest.param("all", True, False, False, id="nor of everything"),
    ],
)
def test_only_a_device_grants_without_proof_and_only_push(
    channel: str, names_push_token: bool, vouched: bool, counts: bool
) -> None:
    word = replace(yes(1, verified=False), channel=channel, names_push_token=names_push_token)

    assert counts == ((channel, "marketing") in effective_consents([word], TOGETHER, vouched))


def test_the_state_names_the_word_it_comes_from() -> None:
    last = yes(4)
    folded = effective_consents([yes(1), no(2), last], TOGETHER, vouched=True)

    assert {MARKETING: EffectiveConsent(True, "test", last.time, last.at, last.event_id)} == folded


def test_channels_and_topics_stand_apart() -> None:
    folded = effective_consents([yes(1), said(False, 2, USER, topic="news")], TOGETHER, vouched=True)

    assert {a: state.granted for a, state in folded.items()} == {MARKETING: True, ("email", "news"): False}


VOICES = (USER, MAIL, FORMER, None)

WORDS = st.lists(
    st.builds(
        said, st.booleans(), st.integers(0, 6).map(float), st.sampled_from(VOICES), verified=st.booleans()
    ),
    max_size=8,
)

JOINED = st.fixed_dictionaries({USER: st.just(day(0)), MAIL: st.integers(0, 6).map(day)})


def told_in_order(words: Sequence[ConsentRecord], joined_at: Mapping[str, datetime]) -> bool | None:
    """The rules again, naively: word by word, keeping every withdrawal that nobody took back."""
    granted, standing = False, list[ConsentRecord]()
    for word in sorted(words, key=lambda word: (word.time, not word.granted)):
        if not word.granted:
            standing.append(word)
            continue
        if not word.verified:
            continue
        granted = True
        left = []
        for refusal in standing:
            same = None in (word.declared_by, refusal.declared_by) or word.declared_by == refusal.declared_by
            if not same and word.declared_by in joined_at:
                joined = [
                    joined_at[str(v)] for v in (word.declared_by, refusal.declared_by) if v in joined_at
                ]
                same = all(word.time > time for time in joined)
            if word.time == refusal.time or not same or (refusal.verified and not word.verified):
                left.append(refusal)
        standing = left
    return False if standing else True if granted else None


@settings(deadline=None)
@given(st.data(), WORDS, JOINED, st.booleans())
def test_the_fold_is_that_of_the_naive_model_whatever_is_shuffled_and_told_twice(
    data: st.DataObject, words: list[ConsentRecord], joined_at: dict[str, datetime], vouched: bool
) -> None:
    shuffled = data.draw(st.permutations([*words, *data.draw(st.lists(st.sampled_from(words or [yes(1)])))]))
    words = words if set(words) == set(shuffled) else shuffled
    folded = effective_consents(words, joined_at, vouched)
    state = folded.get(MARKETING)

    assert told_in_order(words, joined_at) == (state.granted if state else None)
    assert folded == effective_consents(shuffled, joined_at, vouched)


@settings(deadline=None)
@given(WORDS, WORDS, JOINED)
def test_becoming_one_person_allows_nothing_that_either_refused(
    mine: list[ConsentRecord], theirs: list[ConsentRecord], joined_at: dict[str, datetime]
) -> None:
    theirs = [said(w.granted, (w.time - DAY).days, MAIL, verified=w.verified) for w in theirs]
    mine = [said(w.granted, (w.time - DAY).days, USER, verified=w.verified) for w in mine]
    apart = [effective_consents(words, TOGETHER, True).get(MARKETING) for words in (mine, theirs)]
    merged = effective_consents([*mine, *theirs], joined_at | {MAIL: day(9)}, vouched=True).get(MARKETING)

    assert any(state and not state.granted for state in apart) == (merged is not None and not merged.granted)
