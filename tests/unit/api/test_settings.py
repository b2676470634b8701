"""The API refuses to start on missing or unsafe settings, and names them all at once."""

from hashlib import sha256

import pytest
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings, InvalidSettings

GOOD = {
    "database_url": "postgresql://waypost@127.0.0.1/none",
    "waypost_write_keys": SecretStr("w"),
    "waypost_admin_keys": SecretStr("a" * 16),
    "waypost_secrets": SecretStr("s" * 32),
}


def hash_of(key: str) -> str:
    """A key as its hash is configured."""
    return "sha256:" + sha256(key.encode()).hexdigest()


HASH_OF_W = hash_of("w")

ENVIRONMENT = (
    "DATABASE_URL", "WAYPOST_WRITE_KEYS", "WAYPOST_SERVER_KEYS", "WAYPOST_ADMIN_KEYS", "WAYPOST_SECRETS",
    "WAYPOST_LOCAL", "PUBLIC_URL", "WAYPOST_JOURNEYS", "API_HOST", "DEFAULT_TIMEZONE", "DEFAULT_REGION",
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
    given = ApiSettings(
        **GOOD, waypost_server_keys=SecretStr("till:a-key-of-the-tills, shop:a-key-of-the-shop")
    )
    without.check()
    given.check()

    assert [without.server_keys, given.server_keys] == [
        (),
        ("till:a-key-of-the-tills", "shop:a-key-of-the-shop"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("waypost_write_keys", SecretStr("shop:dev-write"), "local stack"),
        ("waypost_server_keys", SecretStr("till:dev-server"), "local stack"),
        ("waypost_admin_keys", SecretStr("dev-admin"), "local stack"),
        ("waypost_server_keys", SecretStr("till:w"), "both WAYPOST_WRITE_KEYS and WAYPOST_SERVER_KEYS"),
        ("waypost_server_keys", SecretStr(HASH_OF_W), "both WAYPOST_WRITE_KEYS and WAYPOST_SERVER_KEYS"),
        ("waypost_server_keys", SecretStr("k" * 513), "WAYPOST_SERVER_KEYS: a key has 1 to 512 characters"),
        ("waypost_admin_keys", SecretStr("w"), "both WAYPOST_WRITE_KEYS and WAYPOST_ADMIN_KEYS"),
        ("waypost_admin_keys", SecretStr(HASH_OF_W), "both WAYPOST_WRITE_KEYS and WAYPOST_ADMIN_KEYS"),
        ("waypost_server_keys", SecretStr("a" * 16), "both WAYPOST_SERVER_KEYS and WAYPOST_ADMIN_KEYS"),
        ("waypost_write_keys", SecretStr("web:" + "s" * 32), "both WAYPOST_WRITE_KEYS and WAYPOST_SECRETS"),
        ("waypost_admin_keys", SecretStr("b"), "WAYPOST_ADMIN_KEYS: a key has 1 characters and needs 16"),
        ("waypost_admin_keys", SecretStr("ops:" + "b" * 15), "a key has 15 characters and needs 16"),
        ("waypost_server_keys", SecretStr("k"), "WAYPOST_SERVER_KEYS: a key has 1 characters and needs 16"),
        ("waypost_admin_keys", SecretStr("k" * 513), "WAYPOST_ADMIN_KEYS: a key has 1 to 512 characters"),
        ("waypost_admin_keys", SecretStr(hash_of("dev-admin")), "local stack"),
        ("waypost_server_keys", SecretStr(f"till:sha256:{hash_of('dev-server')[7:].upper()}"), "local stack"),
        ("waypost_write_keys", SecretStr(hash_of("dev-write")), "local stack"),
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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "waypost.example.com"])
def test_a_local_stack_is_refused_on_an_address_that_others_reach(host: str) -> None:
    local = ApiSettings(database_url="postgresql://waypost@127.0.0.1/none", waypost_local=True, api_host=host)
    with pytest.raises(InvalidSettings, match="API_HOST"):
        local.check()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_local_stack_listens_on_this_machine(host: str) -> None:
    ApiSettings(database_url="postgresql://waypost@127.0.0.1/none", waypost_local=True, api_host=host).check()


def test_no_key_and_no_secret_shows_in_settings_or_faults() -> None:
    settings = ApiSettings(
        **{**GOOD, "waypost_write_keys": SecretStr("canary-w"), "waypost_secrets": SecretStr("canary-s")},
        waypost_server_keys=SecretStr("canary-w"),
    )
    with pytest.raises(InvalidSettings) as fault:
        settings.check()

    assert "canary" not in f"{settings!r} {settings} {fault.value}"
