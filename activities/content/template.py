"""One message template: what it is for, the channels it can go by, and its parsed Liquid."""

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from liquid import BoundTemplate

from activities.content.context import ContentError, RenderContext, plain_value
from activities.content.manifest import Manifest
from policy.verdict import Channel, MessageClass

CHANNEL_FILES = MappingProxyType({Channel.EMAIL: "email.mjml", Channel.SMS: "sms.txt"})
"""A template exists for a channel if its file exists."""


@dataclass(frozen=True, slots=True)
class Template:
    """A message as its author wrote it, parsed once."""

    name: str
    """The folder's name; what a story passes to ``send``."""
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
        """Whether the law's terms for commercial messages apply."""
        return self.message_class is MessageClass.MARKETING

    def values(self, context: RenderContext) -> dict[str, Any]:
        """The names this template may read; ``ContentError`` where the story left a required one out."""
        declared = self.manifest.extra
        absent = [n for n, value in declared.items() if value.required and context.extra.get(n) is None]
        if absent:
            raise ContentError(
                f"template {self.name!r} needs {', '.join(absent)}; pass it in context={{…}} of send()"
            )
        if self.manifest.items == "required" and not context.items:
            raise ContentError(f"template {self.name!r} shows items and none is left to show")
        return {
            **context.values(),
            "extra": {**dict.fromkeys(declared), **{n: plain_value(v) for n, v in context.extra.items()}},
            "language": self.manifest.language,
            "message_class": self.message_class.value,
        }
