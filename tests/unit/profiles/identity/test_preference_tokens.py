"""Preference tokens: what we signed is read, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.messaging.preference_tokens import PreferenceClaim, PreferenceTokens

OLD, NEW = "old-secret-" + "o" * 32, "new-secret-" + "n" * 32

CLAIM = PreferenceClaim(
    "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac97-7000-8000-000000000000", "email", "marketing"
)


def _issue(tokens: PreferenceTokens) -> str:
    return tokens.issue(CLAIM.profile_id, CLAIM.message_id, CLAIM.channel, CLAIM.topic)


def test_a_token_says_what_it_was_issued_for() -> None:
    tokens = PreferenceTokens([NEW])

    assert tokens.verify(_issue(tokens)) == CLAIM


def test_a_token_fits_a_url_and_a_mail_header() -> None:
    token = _issue(PreferenceTokens([NEW]))

    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(token) < 250


def test_a_change_in_any_character_is_refused() -> None:
    tokens = PreferenceTokens([NEW])
    token = _issue(tokens)

    for index, character in enumerate(token):
        for other in "A_.9":
            if other != character:
                assert tokens.verify(token[:index] + other + token[index + 1 :]) is None, index


def test_a_token_cut_short_or_made_longer_is_refused() -> None:
    tokens = PreferenceTokens([NEW])
    token = _issue(tokens)

    assert all(tokens.verify(token[:length]) is None for length in range(len(token)))
    assert all(tokens.verify(token + tail) is None for tail in ("A", "=", ".", "\n", " "))


@given(st.text(max_size=120) | st.from_regex(r"1\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{43}", fullmatch=True))
def test_a_made_up_token_is_refused_and_never_raises(token: str) -> None:
    assert PreferenceTokens([NEW]).verify(token) is None


def test_after_rotation_old_tokens_still_read_and_new_ones_are_signed_anew() -> None:
    before, during, after = PreferenceTokens([OLD]), PreferenceTokens([NEW, OLD]), PreferenceTokens([NEW])

    assert during.verify(_issue(before)) == CLAIM
    assert after.verify(_issue(during)) == CLAIM
    assert after.verify(_issue(before)) is None


def test_values_cannot_be_shifted_from_one_field_into_the_next() -> None:
    tokens = PreferenceTokens([NEW])

    with pytest.raises(ValueError, match="none with a control character"):
        tokens.issue("p\x1fm", "m", "email", "marketing")
    with pytest.raises(ValueError, match="none empty"):
        tokens.issue("p", "", "email", "marketing")


@pytest.mark.parametrize(
    ("secrets", "fault"),
    [
        pytest.param([], "at least one secret", id="none"),
        pytest.param([NEW, "short", ""], "number 2, 3 of 3", id="too short"),
    ],
)
def test_missing_or_weak_secrets_are_refused_without_showing_them(secrets: list[str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        PreferenceTokens(secrets)

    assert "short," not in str(caught.value)
