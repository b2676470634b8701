"""Unsafe or half-made settings are refused by name, and secrets never show."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from activities.settings import ActivitySettings

LIVE_MAIL = {
    "SENDGRID_API_KEY": "SG.hidden-key",
    "EMAIL_FROM": "Lamps <hello@example.com>",
    "PUBLIC_URL": "https://shop.example.com/",
    "WAYPOST_SHOP_ADDRESS": "2 Lamp Street, 10115 Berlin",
}

LIVE_SMS = {
    "TWILIO_ACCOUNT_SID": "AC" + "a1" * 16,
    "TWILIO_AUTH_TOKEN": "hidden-token",
    "TWILIO_FROM": "+15005550006",
}

SECRET = "s" * 32


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in ActivitySettings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)


def settings(monkeypatch: pytest.MonkeyPatch, **env: str) -> ActivitySettings:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return ActivitySettings()


def test_nothing_set_is_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(monkeypatch)

    assert given.sendgrid_api_key is None
    assert given.twilio_account_sid is None
    assert (given.data_dir, given.default_timezone) == (Path(".waypost"), "UTC")


def test_both_providers_are_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(monkeypatch, **LIVE_MAIL, **LIVE_SMS, WAYPOST_SECRETS=f"{SECRET}1, {SECRET}2")

    assert given.sendgrid_api_key is not None
    assert given.sendgrid_api_key.get_secret_value() == "SG.hidden-key"
    assert given.public_url == "https://shop.example.com"
    assert [one.get_secret_value() for one in given.secrets] == [f"{SECRET}1", f"{SECRET}2"]


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch, SENDGRID_API_KEY="").sendgrid_api_key is None


@pytest.mark.parametrize(
    ("env", "words"),
    [
        pytest.param({**LIVE_MAIL, "EMAIL_FROM": ""}, "EMAIL_FROM is not: set EMAIL_FROM", id="no sender"),
        pytest.param({**LIVE_MAIL, "EMAIL_FROM": "Lamps"}, "EMAIL_FROM", id="sender is no address"),
        pytest.param({**LIVE_MAIL, "PUBLIC_URL": ""}, "PUBLIC_URL is not https", id="links lead nowhere"),
        pytest.param({**LIVE_MAIL, "WAYPOST_SHOP_ADDRESS": ""}, "WAYPOST_SHOP_ADDRESS is not", id="no place"),
        pytest.param(
            {**LIVE_MAIL, "SENDGRID_BASE_URL": "http://proxy.example.com"},
            "SENDGRID_BASE_URL must be https",
            id="mail key in the clear",
        ),
        pytest.param({"TWILIO_AUTH_TOKEN": "x"}, "TWILIO_ACCOUNT_SID is not", id="token alone"),
        pytest.param({**LIVE_SMS, "TWILIO_AUTH_TOKEN": ""}, "TWILIO_AUTH_TOKEN is not", id="account alone"),
        pytest.param({**LIVE_SMS, "TWILIO_FROM": ""}, "set TWILIO_FROM", id="no number"),
        pytest.param({**LIVE_SMS, "TWILIO_FROM": "0151/123"}, "TWILIO_FROM must be", id="number not E.164"),
        pytest.param({**LIVE_SMS, "TWILIO_ACCOUNT_SID": "SK1"}, "TWILIO_ACCOUNT_SID must be", id="not a sid"),
        pytest.param(
            {**LIVE_SMS, "TWILIO_MESSAGING_SERVICE_SID": "PN1"},
            "TWILIO_MESSAGING_SERVICE_SID must be",
            id="not a service",
        ),
        pytest.param(
            {**LIVE_SMS, "TWILIO_BASE_URL": "http://proxy.example.com"},
            "TWILIO_BASE_URL must be https",
            id="token in the clear",
        ),
        pytest.param({"PUBLIC_URL": "shop.example.com"}, "PUBLIC_URL", id="address without a scheme"),
        pytest.param({"DEFAULT_TIMEZONE": "Berlin"}, "IANA zone such as Europe/Berlin", id="no such zone"),
        pytest.param({"DEFAULT_TIMEZONE": "../etc/passwd"}, "IANA zone", id="zone that is a path"),
        pytest.param({"WAYPOST_SHOP_CURRENCY": "Euro"}, "ISO 4217 code such as EUR", id="no such currency"),
        pytest.param({"WAYPOST_SHOP_HOSTS": "https://a.example"}, "hosts such as", id="host that is a link"),
        pytest.param({"WAYPOST_SECRETS": f"{SECRET},hidden-short"}, "number 2 has fewer", id="weak secret"),
    ],
)
def test_what_cannot_work_is_refused_by_name_without_showing_secrets(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], words: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        settings(monkeypatch, **env)

    assert words in str(refusal.value)
    assert "hidden" not in str(refusal.value)


def test_faults_of_both_providers_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError) as refusal:
        settings(monkeypatch, SENDGRID_API_KEY="k", TWILIO_ACCOUNT_SID="AC1")

    for name in ("EMAIL_FROM", "PUBLIC_URL", "WAYPOST_SHOP_ADDRESS", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"):
        assert name in str(refusal.value)


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:9000", "fake-provider:9000"])
def test_a_provider_on_this_machine_needs_no_https_and_no_real_account(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    given = settings(
        monkeypatch,
        SENDGRID_API_KEY="k",
        SENDGRID_BASE_URL=f"http://{host}/",
        EMAIL_FROM="shop@shop.test",
        TWILIO_ACCOUNT_SID="ACtest",
        TWILIO_AUTH_TOKEN="t",
        TWILIO_BASE_URL=f"http://{host}",
        TWILIO_FROM="shop",
    )

    assert given.sendgrid_base_url == f"http://{host}"
