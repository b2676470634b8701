"""Validates templates before use: Liquid names and filters, links, size, and legal requirements."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from liquid import BoundTemplate
from liquid.exceptions import LiquidError
from liquid.span import Span
from liquid.static_analysis import Variable

from activities.channels.adapter import RenderedMessage
from activities.content import samples
from activities.content.context import ContentError, RenderContext
from activities.content.plain_text import visible_links
from activities.content.render import render_message
from activities.content.sms_segments import count_segments
from activities.content.template import Template
from policy.verdict import Channel

PartFault = tuple[str, int, str]
"""Name of the partial or file, line (from 1; 0: unknown), message."""

MAX_SMS_SEGMENTS = 2
"""Maximum for the sample contexts."""

MAX_HTML_BYTES = 102 * 1024
"""Maximum size of the HTML. Gmail truncates a longer mail, and with it the unsubscribe link."""

_LIQUID_EXPRESSION = r"\{\{.*?\}\}|\{%.*?%\}"

_LINK_ATTRIBUTE = re.compile(
    rf"""\b(?P<name>href|src|srcset|background|background-url|action|thumbnails-src)\s*=\s*
    (?:"(?P<double>(?:{_LIQUID_EXPRESSION}|[^"])*)"|'(?P<single>(?:{_LIQUID_EXPRESSION}|[^'])*)'|(?P<bare>\{{\{{))""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_SAFE_URL_EXPRESSION = re.compile(r"\{\{-?(?:(?!\}\}).)*\|\s*safe_url\s*-?\}\}", re.DOTALL)

_LITERAL_LINK = re.compile(r"https://|mailto:|tel:|#", re.IGNORECASE)

_CSS_URL = re.compile(r"url\(\s*['\"]?\s*\{\{", re.IGNORECASE)

_MJ_INCLUDE = re.compile(r"<mj-include\b")

_UNRENDERED_MJML = re.compile(r"<(mj-[a-z-]+)")

_STOP_KEYWORD = re.compile(r"\bSTOP\b")


@dataclass(frozen=True, slots=True, order=True)
class TemplateFault:
    """A fault in a file of a template."""

    file: str
    """Relative to the folder that holds the journeys."""
    line: int
    """From 1; 0 where the fault has no line."""
    message: str
    """Expected and actual value, and how to fix it."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class TemplateError(Exception):
    """Message templates are invalid; the process does not start."""

    def __init__(self, faults: Iterable[TemplateFault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        count = len(self.faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"{count} fault{'s' if count > 1 else ''} in message templates:\n{lines}")


def source_faults(name: str, source: str) -> Iterator[PartFault]:
    """Find faults in the source of an MJML file: links that bypass the filter, and included files."""
    for match in _LINK_ATTRIBUTE.finditer(source):
        if message := _link_fault(match):
            yield name, line_number(source, match.start()), message
    for pattern, message in (
        (_CSS_URL, "url({{ … }}) in a style cannot be made safe; use an image"),
        (_MJ_INCLUDE, 'mj-include is refused; use {% render "name.mjml" %}'),
    ):
        for match in pattern.finditer(source):
            yield name, line_number(source, match.start()), message


def _link_fault(match: re.Match[str]) -> str | None:
    attribute = match["name"]
    value = match["double"] if match["double"] is not None else match["single"]
    if value is None:
        return f'{attribute} without quotes; write {attribute}="{{{{ … | safe_url }}}}"'
    link = value.strip()
    if "{{" in link or "{%" in link:
        if _SAFE_URL_EXPRESSION.fullmatch(link):
            return None
        return (
            f"{attribute}={link!r} does not go through safe_url; make all of it one "
            '{{ … | safe_url }}, as escaping does not stop "javascript:"'
        )
    if link and not _LITERAL_LINK.match(link):
        return f"{attribute}={value!r}: expected https:, mailto:, tel: or #"
    return None


def liquid_faults(
    part: BoundTemplate, known: Mapping[str, object], sources: Mapping[str, str], *, line: int = 0
) -> Iterator[PartFault]:
    """Find names and filters that do not exist, in any branch.

    ``known`` has the values that a template may read, and ``sources`` the text of each file by its name.
    ``line`` is the line of a part that is not among them (a subject in message.toml).
    """
    try:
        analysis = part.analyze()
    except LiquidError as error:
        yield to_part_fault(part.full_name(), error)
        return

    def place(span: Span) -> tuple[str, int]:
        source = sources.get(span.template_name)
        return span.template_name, line if source is None else line_number(source, span.index)

    for variables in analysis.globals.values():
        for variable in variables:
            if message := _unknown_variable(variable, known):
                yield *place(variable.span), message
    for filter_name, spans in analysis.filters.items():
        if filter_name not in part.env.filters:
            close = difflib.get_close_matches(filter_name, part.env.filters, 1)
            guess = f"; did you mean {close[0]!r}?" if close else ""
            yield from ((*place(span), f"no filter {filter_name!r}{guess}") for span in spans)


def to_part_fault(name: str, error: LiquidError, *, line: int = 0) -> PartFault:
    """Convert a Liquid error to a fault with its place."""
    where = error.context()
    return str(error.template_name or name), line or (where[0] if where else 0), str(error.message)


def sample_render_faults(template: Template) -> Iterator[PartFault]:
    """Find faults by rendering the template on each channel with sample values; yields each fault once."""
    seen: set[PartFault] = set()
    for channel in sorted(template.channels):
        file = str(template.bodies[channel].path)
        for sample in samples.sample_contexts(template.manifest):
            for part, line, message in _render_faults(template, channel, sample.context):
                if (part, line, message) not in seen:
                    seen.add((part, line, message))
                    yield part or file, line, f"with {sample.name}: {message}"


def _render_faults(template: Template, channel: Channel, context: RenderContext) -> list[PartFault]:
    try:
        content = render_message(template, channel, context)
    except ContentError as error:
        return [(error.part, error.line, error.reason)]
    check = _mail_faults if channel is Channel.EMAIL else _sms_faults
    return [("", 0, message) for message in check(template, content)]


def _mail_faults(template: Template, content: RenderedMessage) -> Iterator[str]:
    html = content.html
    for tag in sorted({match[1] for match in _UNRENDERED_MJML.finditer(html)}):
        yield f"<{tag}> is no MJML element, or stands where MJML does not take it"
    if len(html.encode()) > MAX_HTML_BYTES:
        size, limit = len(html.encode()) // 1024, MAX_HTML_BYTES // 1024
        yield f"{size} KiB of HTML; Gmail cuts a mail off at {limit} KiB"
    if not template.is_marketing:
        return
    if samples.SAMPLE_SHOP.postal_address not in " ".join(content.text.split()):
        yield "marketing mail without the postal address; put {{ shop.postal_address }} into its footer"
    if samples.SAMPLE_LINKS.unsubscribe_url not in visible_links(html):
        yield (
            "marketing mail without an unsubscribe link; put "
            '<a href="{{ links.unsubscribe_url | safe_url }}">Unsubscribe</a> into its footer'
        )


def _sms_faults(template: Template, content: RenderedMessage) -> Iterator[str]:
    count = count_segments(content.text)
    if count > MAX_SMS_SEGMENTS:
        yield f"{count} SMS segments, at most {MAX_SMS_SEGMENTS}; say it shorter, or use truncate on names"
    if template.is_marketing and not _STOP_KEYWORD.search(content.text):
        yield 'marketing SMS without a way out; end with "Reply STOP to opt out"'


def _unknown_variable(variable: Variable, known: Mapping[str, object]) -> str | None:
    root, *rest = variable.segments
    if root not in known:
        return f"no value {str(root)!r}; there is: {', '.join(sorted(known))}"
    inner = known[str(root)]
    if not rest or not isinstance(inner, Mapping) or not isinstance(rest[0], str) or rest[0] in inner:
        return None
    if root == "extra":
        return f"extra.{rest[0]} is not declared; add [extra.{rest[0]}] with a sample to message.toml"
    return f"no value {root}.{rest[0]}; there is: {', '.join(sorted(map(str, inner)))}"


def display_path(file: Path, journeys: Path) -> str:
    """Return the path for messages: relative to the folder that contains ``journeys``, else unchanged."""
    return str(file.relative_to(journeys.parent)) if file.is_relative_to(journeys.parent) else str(file)


def line_number(source: str, index: int) -> int:
    """Return the line (from 1) of a position in a text."""
    return source.count("\n", 0, max(index, 0)) + 1
