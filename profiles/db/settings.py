"""Settings of the database connection."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """URL and pool size, read from the environment."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    database_url: str = Field(
        default="", description="postgresql://user:password@host:port/name of the profile database"
    )
    database_pool_size: int = Field(default=10, ge=1, description="connections kept per process")
