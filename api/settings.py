"""Settings of the API from the environment, and the check that refuses missing or unsafe ones."""

import re
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from api.http.keys import ApiKey, Role
from policy.config.settings import PolicySettings
from profiles.db.database import async_url
from profiles.db.settings import DatabaseSettings
from profiles.identity.tokens import MIN_SECRET_BYTES

LOCAL_WRITE_KEY = "dev-write"
LOCAL_SERVER_KEY = "dev-server"
LOCAL_ADMIN_KEY = "dev-admin"
LOCAL_SECRET = "waypost-local-stack-signs-with-this"  # noqa: S105 - says what it is; refused elsewhere


class InvalidSettings(ValueError):
    """The API cannot start with these settings. The message names every fault and the fix."""


class ApiSettings(DatabaseSettings, PolicySettings):
    """Settings of the API, read from the environment. ``check`` reports all faults at once.

    The connection to Temporal is read by the SDK's own ``envconfig``; ``temporal_address`` and
    ``temporal_namespace`` take precedence over it.
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    waypost_local: bool = Field(
        default=False, description="this is a local stack: development keys, time travel"
    )
    waypost_write_keys: SecretStr = Field(
        default=SecretStr(""),
        description="keys that may send events: key, label:key or sha256:<hex>, comma-separated",
    )
    waypost_server_keys: SecretStr = Field(
        default=SecretStr(""),
        description="keys that may send verified events and issue identity tokens; for servers and tills, "
        "never in a page or an app; written as the write keys",
    )
    waypost_admin_keys: SecretStr = Field(
        default=SecretStr(""), description="keys that may do everything; written as the write keys"
    )
    waypost_secrets: SecretStr = Field(
        default=SecretStr(""),
        description="sign preference links and identity tokens, newest first, comma-separated",
    )
    waypost_journeys: str = Field(
        default="journeys", description="modules to load journeys from, comma-separated"
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="where links in messages reach this API; no slash at the end",
    )
    temporal_address: str = Field(default="", description="host:port of Temporal; empty: 127.0.0.1:7233")
    temporal_namespace: str = Field(
        default="", description="Temporal namespace; empty: the SDK's own setting"
    )
    temporal_ui_url: str = Field(default="", description="base URL of the Temporal web UI, for links")
    default_timezone: str = Field(default="UTC", description="IANA zone of profiles without a known one")
    default_region: str = Field(
        default="", description="ISO 3166 code of the country that phone numbers without one belong to"
    )

    @property
    def journey_modules(self) -> tuple[str, ...]:
        """The modules to load, in order."""
        return _split_list(self.waypost_journeys)

    @property
    def write_keys(self) -> tuple[str, ...]:
        """Write keys as configured; on a local stack ``dev-write`` when none is."""
        return self._split_secrets(self.waypost_write_keys, LOCAL_WRITE_KEY)

    @property
    def server_keys(self) -> tuple[str, ...]:
        """Server keys as configured, perhaps none; on a local stack ``dev-server`` when none is."""
        return self._split_secrets(self.waypost_server_keys, LOCAL_SERVER_KEY)

    @property
    def admin_keys(self) -> tuple[str, ...]:
        """Admin keys as configured; on a local stack ``dev-admin`` when none is."""
        return self._split_secrets(self.waypost_admin_keys, LOCAL_ADMIN_KEY)

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """Secrets of preference links and identity tokens; on a local stack a fixed one when none is set."""
        return self._split_secrets(self.waypost_secrets, LOCAL_SECRET)

    def _split_secrets(self, configured: SecretStr, local: str) -> tuple[str, ...]:
        return _split_list(configured.get_secret_value()) or ((local,) if self.waypost_local else ())

    @property
    def region(self) -> str | None:
        """The default country of phone numbers without a country code, or None."""
        return self.default_region.upper() or None

    def check(self) -> None:
        """Raise ``InvalidSettings`` that names every missing or unsafe setting, and contains no secret."""
        faults = [*self._missing_settings(), *self._invalid_settings()]
        if faults:
            raise InvalidSettings("the API cannot start:\n" + "\n".join(f"  * {fault}" for fault in faults))

    def _missing_settings(self) -> list[str]:
        faults = []
        if not self.database_url:
            faults.append(
                "DATABASE_URL is not set; set it to postgresql://user:password@host:port/name "
                "(`waypost dev` brings a database of its own)"
            )
        for name, keys in (("WAYPOST_WRITE_KEYS", self.write_keys), ("WAYPOST_ADMIN_KEYS", self.admin_keys)):
            if not keys:
                faults.append(
                    f"{name} is not set; make a key with `openssl rand -hex 32` (label:key, comma-separated)"
                )
        if not self.signing_secrets:
            faults.append(
                "WAYPOST_SECRETS is not set; make one with `openssl rand -hex 32`: it signs preference "
                "links and identity tokens"
            )
        return faults

    def _invalid_settings(self) -> list[str]:
        faults = []
        if self.database_url:
            try:
                async_url(self.database_url)
            except ValueError as error:
                faults.append(str(error))
        if any(len(secret.encode()) < MIN_SECRET_BYTES for secret in self.signing_secrets):
            faults.append(f"each of WAYPOST_SECRETS needs at least {MIN_SECRET_BYTES} bytes")
        faults += [*self._development_key_faults(), *self._shared_key_faults()]
        url = urlsplit(self.public_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            faults.append(f"PUBLIC_URL must look like https://waypost.example.com, got {self.public_url!r}")
        try:
            ZoneInfo(self.default_timezone)
        except (ValueError, OSError, LookupError):
            faults.append(
                f"DEFAULT_TIMEZONE must be an IANA zone such as Europe/Berlin, got {self.default_timezone!r}"
            )
        if self.default_region and not re.fullmatch(r"[A-Za-z]{2}", self.default_region):
            faults.append(f"DEFAULT_REGION must be two letters such as DE, got {self.default_region!r}")
        return faults

    def _development_key_faults(self) -> list[str]:
        development_values = {LOCAL_WRITE_KEY, LOCAL_SERVER_KEY, LOCAL_ADMIN_KEY, LOCAL_SECRET}
        configured = (*self.write_keys, *self.server_keys, *self.admin_keys, *self.signing_secrets)
        if self.waypost_local or not any(
            value.rpartition(":")[2] in development_values for value in configured
        ):
            return []
        return [
            "a key or secret of the local stack is set outside one: make your own, `openssl rand -hex 32`"
        ]

    def _shared_key_faults(self) -> list[str]:
        """Report a key that is both a write and a server key. Write keys may be public in a page's source."""
        try:
            write = {ApiKey.parse(text, Role.WRITE).digest for text in self.write_keys}
            server = {ApiKey.parse(text, Role.SERVER).digest for text in self.server_keys}
        except ValueError as error:
            return [f"WAYPOST_WRITE_KEYS or WAYPOST_SERVER_KEYS: {error}"]
        if write & server:
            return [
                "a key is in both WAYPOST_WRITE_KEYS and WAYPOST_SERVER_KEYS: write keys may be public, "
                "server keys vouch for people; make another for one of them, `openssl rand -hex 32`"
            ]
        return []


def _split_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
