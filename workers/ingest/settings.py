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
    database_url: str = Field(default="", description="where the runs that started can be counted")

    @property
    def url(self) -> str:
        """Base URL of the API."""
        return self.api_url or f"http://127.0.0.1:{self.api_port}"

    @property
    def write_key(self) -> str:
        """The first key that is written out. Raises ``Fault`` where only digests are."""
        keys = [key.strip() for key in self.waypost_write_keys.get_secret_value().split(",")]
        for key in keys:
            if key and not key.startswith("sha256:"):
                return key.rpartition(":")[2]
        raise Fault("WAYPOST_WRITE_KEYS holds digests only: set it to a write key as it is sent")
