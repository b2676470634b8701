"""Where a file's events are sent."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.faults import Fault


class IngestSettings(BaseSettings):
    """Where the API is; a local stack that runs on the data directory sets these by itself."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    api_url: str = Field(default="", description="base URL of the API; empty: this machine's, on API_PORT")
    api_port: int = Field(default=8000, ge=1, le=65535, description="port of the API on this machine")
    waypost_write_keys: SecretStr = Field(
        default=SecretStr("dev-write"), description="keys that may send events; the first one is used"
    )
    waypost_server_keys: SecretStr = Field(
        default=SecretStr(""),
        description="keys that vouch for people; the first one comes before any write key",
    )
    database_url: str = Field(default="", description="where the runs that started can be counted")

    @property
    def url(self) -> str:
        """Base URL of the API."""
        return self.api_url or f"http://127.0.0.1:{self.api_port}"

    @property
    def key(self) -> str:
        """The first key that is written out, a server key before a write key: who has the file has the shop's
        word. Raises ``Fault`` where only digests are."""
        for held in (self.waypost_server_keys, self.waypost_write_keys):
            for key in (part.strip() for part in held.get_secret_value().split(",")):
                if key and "sha256:" not in key:
                    return key.rpartition(":")[2]
        raise Fault(
            "WAYPOST_SERVER_KEYS and WAYPOST_WRITE_KEYS hold digests only: set one to a key as it is sent"
        )
