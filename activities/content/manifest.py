"""message.toml: what a message is for, its subject, and the values its story must pass."""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from policy.verdict import MessageClass

FILE_NAME = "message.toml"


class ExtraValue(BaseModel):
    """A value the story passes in ``context=``; templates read it as ``extra.<name>``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample: str | int | float | bool | list[Any] | dict[str, Any]
    """Stands in when the template is checked."""
    required: bool = False
    """False: None where the story passes nothing."""


class Manifest(BaseModel):
    """The declared part of a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    message_class: MessageClass = Field(alias="class")
    topic: str = Field(default="", pattern=r"^[a-z0-9_]*$")
    """What people opt in and out of; default "marketing", or "transactional" for that class."""
    subject: str = ""
    """Liquid, one line; an email needs it."""
    preheader: str = ""
    """Liquid, one line; what an inbox shows after the subject."""
    language: str = Field(default="en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    """Of the words in the templates, for screen readers and translation; not the person's locale."""
    items: Literal["required", "optional"] = "optional"
    """"required": without an item left there is nothing to say, and rendering fails."""
    extra: dict[str, ExtraValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _topic_fits_class(self) -> Self:
        if self.message_class is MessageClass.TRANSACTIONAL and self.topic not in ("", "transactional"):
            raise ValueError(
                f"topic: a transactional message has no topic to opt out of, got {self.topic!r}; drop it"
            )
        if self.message_class is MessageClass.MARKETING and self.topic == "transactional":
            raise ValueError('topic: "transactional" is for that class only; drop it or name a topic')
        return self

    @property
    def consent_topic(self) -> str:
        """The topic, with its default."""
        return self.topic or self.message_class.value


def read_manifest(file: Path) -> tuple[Manifest | None, list[str]]:
    """The manifest in ``file``, or None and every fault found in it, in words."""
    try:
        data = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [f"not valid TOML: {error}"]
    try:
        return Manifest.model_validate(data), []
    except ValidationError as error:
        return None, [_in_words(fault) for fault in error.errors()]


def _in_words(fault: Any) -> str:
    """A pydantic fault as: key, what was expected, what came."""
    key = ".".join(str(part) for part in fault["loc"])
    match fault["type"]:
        case "missing":
            hint = ' = "marketing" or "transactional"' if key == "class" else ""
            return f"{key}: missing; add {key}{hint}"
        case "extra_forbidden":
            known = ["class", *(name for name in Manifest.model_fields if name != "message_class")]
            close = difflib.get_close_matches(key, known, 1)
            guess = f"; did you mean {close[0]!r}?" if close else ""
            return f"{key}: unknown key{guess} (known: {', '.join(known)})"
        case "value_error":
            return str(fault["ctx"]["error"])
        case _:
            message = fault["msg"][0].lower() + fault["msg"][1:]
            return f"{key}: {message}, got {fault['input']!r}"
