"""A message template: its Liquid environment, its manifest (message.toml), and its parsed parts."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from liquid import BoundTemplate, CachingDictLoader, Environment, StrictUndefined
from liquid import RenderContext as LiquidContext
from liquid.exceptions import LiquidTypeError
from liquid.extra import BlockTag, Currency, ExtendsTag
from liquid.filter import with_context
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from activities.content.context import (
    DEFAULT_UNNAMED_ITEM,
    UNNAMED_ITEM,
    ContentError,
    RenderContext,
    to_amount,
    to_plain_value,
)
from activities.content.sanitize import safe_url
from policy.verdict import Channel, MessageClass

MAX_LOOP_ITERATIONS = 10_000
"""Maximum number of loop iterations per rendering; those of nested loops are multiplied."""

MAX_OUTPUT_BYTES = 512 * 1024
"""Maximum number of bytes per rendering."""

MANIFEST_FILE_NAME = "message.toml"

CHANNEL_FILES = MappingProxyType({Channel.EMAIL: "email.mjml", Channel.SMS: "sms.txt"})
"""Channel → file of a message folder. A template has a channel if the file exists."""


class LiquidEnvironment(Environment):
    """Liquid with limits, so that one template cannot stop the worker."""

    loop_iteration_limit: ClassVar[int | None] = MAX_LOOP_ITERATIONS
    output_stream_limit: ClassVar[int | None] = MAX_OUTPUT_BYTES
    local_namespace_limit: ClassVar[int | None] = MAX_OUTPUT_BYTES
    context_depth_limit: ClassVar[int] = 12


@with_context
class MoneyFilter:
    """The filter ``{{ item.price | money }}``: formats an amount in the message's currency and locale."""

    def __init__(self) -> None:
        self._currency = Currency(currency_code_var="currency", locale_var="locale", default_locale="en")

    def __call__(self, left: object, *, context: LiquidContext) -> str:
        """Format an amount. Raises ``LiquidTypeError`` for a missing one, which must not be shown as zero."""
        value = to_amount(left)
        if value is None:
            raise LiquidTypeError(
                f"money expects a number, got a {type(left).__name__}; guard it with an if", token=None
            )
        return self._currency(value, context=context)


def build_environment(partials: Mapping[str, str], *, escape: bool) -> LiquidEnvironment:
    """Build an environment that reads only ``partials``; ``escape`` is True for HTML."""
    environment = LiquidEnvironment(
        autoescape=escape,
        undefined=StrictUndefined,
        strict_filters=True,
        loader=CachingDictLoader(dict(partials), auto_reload=False),
        globals={"input_locale": "en"},  # read by the currency filter, and undefined names raise
    )
    environment.add_tag(ExtendsTag)
    environment.add_tag(BlockTag)
    del environment.tags["include"]  # it shares its scope with the caller; render does not
    environment.add_filter("money", MoneyFilter())
    environment.add_filter("safe_url", safe_url)
    return environment


class ExtraValue(BaseModel):
    """A value that the story passes as ``context=``; templates read it as ``extra.<name>``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample: str | int | float | bool | list[Any] | dict[str, Any]
    """The value with which the template is validated."""
    required: bool = False
    """False: the value is None where the story passes none."""


class Manifest(BaseModel):
    """The manifest of a message: the content of its message.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    message_class: MessageClass = Field(alias="class")
    topic: str = Field(default="", pattern=r"^[a-z0-9_]*$")
    """Consent topic; default "marketing", or "transactional" for that class."""
    subject: str = ""
    """Liquid, one line; an email needs it."""
    preheader: str = ""
    """Liquid, one line; shown by mail programs after the subject."""
    language: str = Field(default="en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    """Language of the templates' text, for screen readers and translation; not the profile's locale."""
    unnamed_item: str = Field(default="", max_length=80)
    """The words for an item of which neither a verified event nor the shop's feed has a name; default by
    ``language``."""
    delivery: Literal["at_most_once", "at_least_once"] = "at_most_once"
    """Where the provider's answer was lost: "at_most_once" never sends the message again, "at_least_once"
    repeats it, and some recipients get it twice. Transactional messages only may choose the latter."""
    items: Literal["required", "optional"] = "optional"
    """"required": rendering fails where no item is left."""
    extra: dict[str, ExtraValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _topic_fits_class(self) -> Self:
        if self.message_class is MessageClass.TRANSACTIONAL and self.topic not in ("", "transactional"):
            raise ValueError(
                f"topic: a transactional message has no topic to opt out of, got {self.topic!r}; drop it"
            )
        if self.message_class is MessageClass.MARKETING and self.topic == "transactional":
            raise ValueError('topic: "transactional" is for that class only; drop it or name a topic')
        if self.message_class is MessageClass.MARKETING and self.delivery == "at_least_once":
            raise ValueError('delivery: marketing is sent at most once; drop "at_least_once"')
        return self

    @property
    def consent_topic(self) -> str:
        """The topic or its default."""
        return self.topic or self.message_class.value

    @property
    def words_for_unnamed_item(self) -> str:
        """The words for an item without a name."""
        return self.unnamed_item or UNNAMED_ITEM.get(self.language.split("-")[0], DEFAULT_UNNAMED_ITEM)


def load_manifest(file: Path) -> tuple[Manifest | None, list[str]]:
    """Read a manifest. Returns it, or None and all its faults, in words."""
    try:
        data = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [f"not valid TOML: {error}"]
    try:
        return Manifest.model_validate(data), []
    except ValidationError as error:
        return None, [_describe_error(fault) for fault in error.errors()]


def _describe_error(fault: Any) -> str:
    """Describe a pydantic error: key, expected and actual value."""
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


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed message template."""

    name: str
    """Name of the folder, which a story passes to ``send``."""
    message_class: MessageClass
    topic: str
    channels: frozenset[Channel]
    folder: Path
    manifest: Manifest = field(repr=False, compare=False)
    bodies: MappingProxyType[Channel, BoundTemplate] = field(repr=False, compare=False)
    subject: BoundTemplate = field(repr=False, compare=False)
    preheader: BoundTemplate = field(repr=False, compare=False)

    @property
    def is_marketing(self) -> bool:
        """Whether the legal requirements of commercial messages apply."""
        return self.message_class is MessageClass.MARKETING

    @property
    def may_repeat(self) -> bool:
        """Whether the message is sent again where the provider's answer was lost."""
        return self.manifest.delivery == "at_least_once"

    def to_template_values(self, context: RenderContext) -> dict[str, Any]:
        """Return the values for this template. Raises ``ContentError`` where a required value is missing."""
        declared = self.manifest.extra
        absent = [n for n, value in declared.items() if value.required and context.extra.get(n) is None]
        if absent:
            raise ContentError(
                f"template {self.name!r} needs {', '.join(absent)}; pass it in context={{…}} of send()"
            )
        if self.manifest.items == "required" and not context.items:
            raise ContentError(f"template {self.name!r} shows items and none is left to show")
        return {
            **context.to_template_values(self.manifest.words_for_unnamed_item),
            "extra": {**dict.fromkeys(declared), **{n: to_plain_value(v) for n, v in context.extra.items()}},
            "language": self.manifest.language,
            "message_class": self.message_class.value,
        }
