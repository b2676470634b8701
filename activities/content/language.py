"""The template language: Liquid, strict and bounded, with HTML escaping (mail) or without (SMS)."""

from collections.abc import Mapping
from typing import ClassVar

from liquid import CachingDictLoader, Environment, StrictUndefined
from liquid import RenderContext as LiquidContext
from liquid.exceptions import LiquidTypeError
from liquid.extra import BlockTag, Currency, ExtendsTag
from liquid.filter import with_context

from activities.content.context import amount
from activities.content.safe_text import safe_url

LOOP_LIMIT = 10_000
"""Iterations a render, nested loops multiplied."""
OUTPUT_LIMIT = 512 * 1024
"""Bytes a render."""


class Language(Environment):
    """Liquid with limits, so that one template cannot stop the worker."""

    loop_iteration_limit: ClassVar[int | None] = LOOP_LIMIT
    output_stream_limit: ClassVar[int | None] = OUTPUT_LIMIT
    local_namespace_limit: ClassVar[int | None] = OUTPUT_LIMIT
    context_depth_limit: ClassVar[int] = 12


@with_context
class Money:
    """``{{ item.price | money }}``: an amount in the message's currency, as the person's locale writes it."""

    def __init__(self) -> None:
        self._currency = Currency(currency_code_var="currency", locale_var="locale", default_locale="en")

    def __call__(self, left: object, *, context: LiquidContext) -> str:
        """Raises where there is no amount: a missing price must never read as zero."""
        value = amount(left)
        if value is None:
            raise LiquidTypeError(
                f"money expects a number, got a {type(left).__name__}; guard it with an if", token=None
            )
        return self._currency(value, context=context)


def language(partials: Mapping[str, str], *, escape: bool) -> Language:
    """An environment whose ``extends`` and ``render`` see only ``partials``; ``escape`` for HTML."""
    environment = Language(
        autoescape=escape,
        undefined=StrictUndefined,
        strict_filters=True,
        loader=CachingDictLoader(dict(partials), auto_reload=False),
        globals={"input_locale": "en"},  # asked for by the currency filter, and strict about being undefined
    )
    environment.add_tag(ExtendsTag)
    environment.add_tag(BlockTag)
    del environment.tags["include"]  # shares its scope both ways; render does the same job in the open
    environment.add_filter("money", Money())
    environment.add_filter("safe_url", safe_url)
    return environment
