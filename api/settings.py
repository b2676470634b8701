"""Settings of the API from the environment, and the check that refuses missing or unsafe ones."""

import hashlib
import itertools
import re
from ipaddress import ip_address
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


_LOCAL_DIGESTS = {
    hashlib.sha256(value.encode()).digest()
    for value in (LOCAL_WRITE_KEY, LOCAL_SERVER_KEY, LOCAL_ADMIN_KEY, LOCAL_SECRET)
}
"""Of keys as they are set, or as their hash is."""

MIN_SECRET_KEY_LENGTH = 16
"""Characters of a server or an admin key outside of a local stack."""


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
    api_host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    waypost_address_events_per_s: float = Field(
        default=100.0,
        ge=0,
        description="events a second that one client address may send with one write key; 0: any number",
    )
    waypost_key_events_per_s: float = Field(
        default=500.0,
        ge=0,
        description="events a second that a process takes in under one write key; 0: any number",
    )
    waypost_max_unstarted_runs: int = Field(
        default=50_000,
        ge=0,
        description="runs begun by unverified events that may wait for their start; beyond it such events "
        "start none; 0: any number",
    )
    waypost_accept_page_devices: bool = Field(
        default=False,
        description="whether a page may link a browser or device to a customer, for carts, views and "
        "purchases only",
    )
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
        faults += self._key_faults()
        if self.waypost_local and not _is_loopback(self.api_host):
            faults.append(
                f"WAYPOST_LOCAL is set and API_HOST is {self.api_host!r}: the keys of a local stack are "
                "known to everybody; listen on 127.0.0.1, or set keys of your own without WAYPOST_LOCAL"
            )
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

    def _key_faults(self) -> list[str]:
        """Report keys that are of two kinds, too short, or those of a local stack. Shows no key."""
        faults: list[str] = []
        kinds: dict[str, set[bytes]] = {}
        for name, role, texts in (
            ("WAYPOST_WRITE_KEYS", Role.WRITE, self.write_keys),
            ("WAYPOST_SERVER_KEYS", Role.SERVER, self.server_keys),
            ("WAYPOST_ADMIN_KEYS", Role.ADMIN, self.admin_keys),
        ):
            try:
                keys = [ApiKey.parse(text, role) for text in texts]
            except ValueError as error:
                faults.append(f"{name}: {error}")
                continue
            kinds[name] = {key.digest for key in keys}
            if role > Role.WRITE and not self.waypost_local:
                faults += [
                    f"{name}: a key has {key.length} characters and needs {MIN_SECRET_KEY_LENGTH}, so that "
                    "it cannot be guessed; make one with `openssl rand -hex 32`"
                    for key in keys
                    if key.length is not None and key.length < MIN_SECRET_KEY_LENGTH
                ]
        secrets = {hashlib.sha256(secret.encode()).digest() for secret in self.signing_secrets}
        kinds["WAYPOST_SECRETS"] = secrets
        faults += [
            f"a key is in both {first} and {second}: write keys may be public, server keys vouch for people, "
            "admin keys do everything, and secrets sign; make another for one of them, "
            "`openssl rand -hex 32`"
            for first, second in itertools.combinations(kinds, 2)
            if kinds[first] & kinds[second]
        ]
        if not self.waypost_local and _LOCAL_DIGESTS & set().union(*kinds.values()):
            faults.append(
                "a key or secret of the local stack is set outside one: make your own, `openssl rand -hex 32`"
            )
        return faults


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
