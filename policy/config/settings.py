"""Environment settings of the shop's policy. Every process that uses the policy reads them once, at start."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from policy.config.policy_file import Policy, PolicyFaults, read_policy
from policy.config.toml_reader import ConfigError


class PolicySettings(BaseSettings):
    """Settings from the environment. The policy file is read at the first access to ``policy``."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    waypost_policy: str = Field(
        default="", description="TOML file of caps, quiet hours and windows; empty: the defaults"
    )
    holdout: float = Field(
        default=0.0,
        validation_alias="WAYPOST_HOLDOUT",
        description="percent of people, 0 to 100, who get no marketing at all, to be measured against",
    )

    @field_validator("holdout")
    @classmethod
    def _percent(cls, value: float) -> float:
        if not 0 <= value <= 100:
            raise ValueError(f"expected a percentage from 0 to 100, got {value:g}")
        return value

    @cached_property
    def policy(self) -> Policy:
        """The policy in force. Raises ``PolicyFaults`` with all faults of the file."""
        policy = load_policy_file(self.waypost_policy) if self.waypost_policy else Policy()
        if "holdout" not in self.model_fields_set:
            return policy
        if (line := policy.line_of(("holdout",))) is not None:
            words = "holdout: it is set here and by WAYPOST_HOLDOUT; take one of them out"
            fault = ConfigError(line, "holdout", "one place", "two", words)
            raise PolicyFaults(policy.name, (fault,))
        limits = replace(policy.limits, holdout=self.holdout)
        return replace(policy, limits=limits, variables={("holdout",): "WAYPOST_HOLDOUT"})


def load_policy_file(path: str) -> Policy:
    """Read the policy from a file. Raises ``PolicyFaults``, also for a file that cannot be read."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"
        words = f"expected a file of TOML, got none: {why}; name one that this process may read"
        raise PolicyFaults(path, (ConfigError(1, "", "a file of TOML", why, words),)) from error
    return read_policy(text, path)
