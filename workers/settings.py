"""Settings read from the environment: worker, relay, local stack, API server, ingest client."""

from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from profiles.db.settings import DatabaseSettings
from workers.errors import UserError


class WorkerSettings(DatabaseSettings):
    """Settings of the journey worker and the relay.

    The connection to Temporal is read by the SDK's own ``envconfig`` (``TEMPORAL_ADDRESS``,
    ``TEMPORAL_NAMESPACE``, ``TEMPORAL_TLS…``, ``TEMPORAL_API_KEY``).
    """

    temporal_address: str = Field(default="", description="host:port of Temporal; empty: 127.0.0.1:7233")
    temporal_namespace: str = Field(default="default", description="Temporal namespace")
    waypost_local: bool = Field(
        default=False, description="this is a local stack: development keys, sandbox channels, time travel"
    )
    waypost_data_dir: Path = Field(
        default=Path(".waypost"), description="where a local stack keeps its data and sandbox copies"
    )
    waypost_journeys: str = Field(
        default="journeys", description="modules to load journeys from, comma-separated"
    )
    waypost_versioning: bool = Field(
        default=False, description="register as a versioned Temporal worker deployment"
    )
    waypost_build_id: str = Field(default="", description="build id of a versioned worker")
    waypost_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="least level of Waypost's own log lines; libraries log from INFO at most"
    )
    worker_grace_s: float = Field(
        default=40.0, ge=0, description="seconds running activities may finish in when the worker is stopped"
    )

    waypost_heartbeat_file: Path | None = Field(
        default=None,
        description="file in which relay or worker writes its progress, for `waypost alive`; empty: none",
    )

    database_app_password: SecretStr | None = Field(
        default=None, description="given to the role of `waypost migrate --app-role`; none: left as it is"
    )

    @model_validator(mode="after")
    def _require_build_id(self) -> Self:
        if self.waypost_versioning and not self.waypost_build_id:
            raise ValueError("WAYPOST_VERSIONING is set but WAYPOST_BUILD_ID is not: name this build")
        return self

    @field_validator("waypost_log_level", mode="before")
    @classmethod
    def _upper_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @property
    def journey_modules(self) -> tuple[str, ...]:
        """The modules to load, in order."""
        return tuple(name.strip() for name in self.waypost_journeys.split(",") if name.strip())


class StackSettings(BaseSettings):
    """Ports of the local stack. Unset: the default, else a free one. 0: any free one."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    database_url: str = Field(default="", description="a Postgres of your own instead of the embedded one")
    waypost_data_dir: Path = Field(
        default=Path(".waypost"), description="where the local stack keeps its data"
    )
    api_port: int | None = Field(default=None, ge=0, le=65535, description="API, default 8000")
    temporal_port: int | None = Field(default=None, ge=0, le=65535, description="Temporal, default 7233")
    temporal_ui_port: int | None = Field(
        default=None, ge=0, le=65535, description="Temporal UI, default 8233"
    )
    postgres_port: int | None = Field(default=None, ge=0, le=65535, description="Postgres, default 5433")


class ServerSettings(BaseSettings):
    """Where ``waypost api`` listens."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    api_host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    api_port: int = Field(default=8000, ge=0, le=65535, description="port to listen on")
    waypost_trusted_proxies: str = Field(
        default="127.0.0.1,::1",
        description="addresses and networks of the reverse proxies from which X-Forwarded-For and "
        "X-Forwarded-Proto are believed, comma-separated",
    )

    @property
    def trusted_proxies(self) -> list[str]:
        """The proxies. Raises ``UserError`` for what is neither an address nor a network."""
        found = [part.strip() for part in self.waypost_trusted_proxies.split(",") if part.strip()]
        for proxy in found:
            try:
                network = ip_network(proxy)
            except ValueError as error:
                raise UserError(
                    "WAYPOST_TRUSTED_PROXIES must hold addresses such as 10.0.0.5 or networks such as "
                    f"10.0.0.0/8, comma-separated; got {proxy[:60]!r}: {error}"
                ) from None
            if network.prefixlen == 0:
                raise UserError(
                    "WAYPOST_TRUSTED_PROXIES must not hold every address: a client could state any address "
                    "as its own; name the proxies alone"
                )
        return found


class IngestSettings(BaseSettings):
    """Settings of the ingest client. A local stack that runs on the data directory sets them itself."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    api_url: str = Field(default="", description="base URL of the API; empty: this machine's, on API_PORT")
    api_port: int = Field(default=8000, ge=1, le=65535, description="port of the API on this machine")
    waypost_write_keys: SecretStr = Field(
        default=SecretStr("dev-write"), description="keys that may send events; the first one is used"
    )
    waypost_server_keys: SecretStr = Field(
        default=SecretStr(""),
        description="keys of trusted senders; the first one is preferred to any write key",
    )
    database_url: str = Field(default="", description="where the runs that started can be counted")

    @property
    def base_url(self) -> str:
        """Base URL of the API."""
        return self.api_url or f"http://127.0.0.1:{self.api_port}"

    @property
    def api_key(self) -> str:
        """The first key given in plain text, a server key before a write key.

        A holder of the environment file is trusted, so the server key is preferred.
        Raises ``UserError`` if only digests are set.
        """
        for held in (self.waypost_server_keys, self.waypost_write_keys):
            for key in (part.strip() for part in held.get_secret_value().split(",")):
                if key and "sha256:" not in key:
                    return key.rpartition(":")[2]
        raise UserError(
            "WAYPOST_SERVER_KEYS and WAYPOST_WRITE_KEYS hold digests only: set one to a key as it is sent"
        )
