"""The API refuses to start on missing or unsafe settings, and names them all at once."""

from hashlib import sha256

import pytest
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings, InvalidSettings

GOOD = {
    "database_url": "postgresql://waypost@127.0.0.1/none",
    "waypost_write_keys": SecretStr("w"),
    "waypost_admin_keys": SecretStr("a"),
    "waypost_secrets": SecretStr("s" * 32),
}

HASH_OF_W = "sha256:" + sha256(b"w").hexdigest()

ENVIRONMENT = (
    "DATABASE_URL", "WAYPOST_WRITE_KEYS", "WAYPOST_SERVER_KEYS", "WAYPOST_ADMIN_KEYS", "WAYPOST_SECRETS",
    "WAYPOST_LOCAL", "PUBLIC_URL", "WAYPOST_JOURNEYS", "DEFAULT_TIMEZONE", "DEFAULT_REGION",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def test_all_that_is_missing_is_named_in_one_message() -> None:
    with pytest.raises(InvalidSettings) as fault:
        create_app(ApiSettings())

    for name in ("DATABASE_URL", "WAYPOST_WRITE_KEYS", "WAYPOST_ADMIN_KEYS", "WAYPOST_SECRETS"):
        assert name in str(fault.value)


def test_a_local_stack_needs_a_database_only() -> None:
    local = ApiSettings(database_url="postgresql://waypost@127.0.0.1/none", waypost_local=True)
    local.check()

    assert [
        local.write_keys, local.server_keys, local.admin_keys
    ] == [("dev-write",), ("dev-server",), ("dev-admin",)]  # fmt: skip


def test_server_keys_are_a_choice_and_have_no_default_outside_a_local_stack() -> None:
    without = ApiSettings(**GOOD)
    given = ApiSettings(**GOOD, waypost_server_keys=SecretStr("till:a, shop:b"))
    without.check()
    given.check()

    assert [without.server_keys, given.server_keys] == [(), ("till:a", "shop:b")]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("waypost_write_keys", SecretStr("shop:dev-write"), "local stack"),
        ("waypost_server_keys", SecretStr("till:dev-server"), "local stack"),
        ("waypost_admin_keys", SecretStr("dev-admin"), "local stack"),
        ("waypost_server_keys", SecretStr("till:w"), "both WAYPOST_WRITE_KEYS and WAYPOST_SERVER_KEYS"),
        ("waypost_server_keys", SecretStr(HASH_OF_W), "both WAYPOST_WRITE_KEYS and WAYPOST_SERVER_KEYS"),
        ("waypost_server_keys", SecretStr("k" * 513), "WAYPOST_SERVER_KEYS: a key has 1 to 512 characters"),
        ("waypost_secrets", SecretStr("short"), "32 bytes"),
        ("public_url", "waypost.example.com", "PUBLIC_URL"),
        ("default_timezone", "Berlin", "DEFAULT_TIMEZONE"),
        ("default_region", "Germany", "DEFAULT_REGION"),
        ("waypost_journeys", "no.such.module", "WAYPOST_JOURNEYS"),
    ],
)
def test_an_unsafe_or_malformed_setting_is_refused_by_name(name: str, value: object, said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        create_app(ApiSettings(**{**GOOD, name: value}))


def test_no_key_and_no_secret_shows_in_settings_or_faults() -> None:
    settings = ApiSettings(
        **{**GOOD, "waypost_write_keys": SecretStr("canary-w"), "waypost_secrets": SecretStr("canary-s")},
        waypost_server_keys=SecretStr("canary-w"),
    )
    with pytest.raises(InvalidSettings) as fault:
        settings.check()

    assert "canary" not in f"{settings!r} {settings} {fault.value}"
