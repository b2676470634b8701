"""Renders one message: Liquid, then MJML, then the plain-text alternative."""

import ipaddress
from urllib.parse import urlsplit

import mjml
from liquid import BoundTemplate
from liquid.exceptions import LiquidError

from activities.channels.adapter import RenderedMessage
from activities.content.context import ContentError, RenderContext
from activities.content.plain_text import html_to_text
from activities.content.sms_segments import count_segments, to_cheapest_encoding
from activities.content.template import Template
from policy.verdict import Channel

MAX_SUBJECT_LENGTH = 250
MAX_HEADER_LINE_BYTES = 998
"""Octets without the line end (RFC 5322 section 2.1.1)."""
MAX_SEGMENTS = 6
"""Maximum when a text message is sent. Templates are validated with a maximum of 2."""


def render_message(template: Template, channel: Channel, context: RenderContext) -> RenderedMessage:
    """Render the message for one profile on one channel, ready for a provider.

    Pure except for the clock of the template language. Takes about 3 ms of CPU for a mail. Raises
    ``ContentError``, and no other error, for any data of a customer or of the shop.
    """
    if channel not in template.channels:
        offered = ", ".join(sorted(template.channels)) or "none"
        raise ContentError(f"template {template.name!r} has no {channel.value} part (it has: {offered})")
    try:
        values = template.to_template_values(context)
        if channel is Channel.EMAIL:
            return _render_email(template, context, values)
        return _render_sms(template, values)
    except ContentError:
        raise
    except Exception as error:
        # Its text may repeat a value of the customer, and reasons are stored in histories.
        raise ContentError(f"template {template.name!r}: {type(error).__name__} while rendering") from error


def _render_email(template: Template, context: RenderContext, values: dict[str, object]) -> RenderedMessage:
    subject = _render_single_line(template.subject, values, "subject")
    preheader = _render_single_line(template.preheader, values, "preheader")
    if not subject:
        raise ContentError(f"template {template.name!r}: the subject came out empty")
    headers = one_click_headers(context.links.one_click_url) if template.is_marketing else {}
    if template.is_marketing and not values["links"]["unsubscribe_url"]:  # type: ignore[index]
        raise ContentError(f"template {template.name!r} is marketing and was given no unsubscribe_url")
    body = render_liquid(
        template.bodies[Channel.EMAIL], {**values, "subject": subject, "preheader": preheader}
    )
    html = compile_mjml(body)
    return RenderedMessage(text=html_to_text(html), subject=subject, html=html, headers=headers)


def _render_sms(template: Template, values: dict[str, object]) -> RenderedMessage:
    lines = to_cheapest_encoding(render_liquid(template.bodies[Channel.SMS], values)).splitlines()
    text = "\n".join(" ".join(line.split()) for line in lines if line.strip())
    if not text:
        raise ContentError(f"template {template.name!r}: the text message came out empty")
    count = count_segments(text)
    if count > MAX_SEGMENTS:
        raise ContentError(
            f"template {template.name!r}: {count} SMS segments, at most {MAX_SEGMENTS}; truncate its values"
        )
    return RenderedMessage(text=text)


def render_liquid(part: BoundTemplate, values: dict[str, object]) -> str:
    """Render a Liquid template. Raises ``ContentError`` with the line."""
    try:
        return part.render(values)
    except LiquidError as error:
        where = error.context()
        place = str(error.template_name or part.full_name())
        raise ContentError(str(error.message), part=place, line=where[0] if where else 0) from error


def compile_mjml(source: str) -> str:
    """Compile MJML to HTML without fonts and included files. Raises ``ContentError`` for invalid MJML."""
    try:
        return mjml.mjml2html(source, fonts={}, include_loader=None)
    except (ValueError, OSError) as error:
        raise ContentError(f"MJML: {error}") from error
    except BaseException as error:
        # A panic of the compiler is no Exception, and would end the worker's task.
        if type(error).__name__ != "PanicException":
            raise
        raise ContentError("MJML: the compiler panicked") from error


def one_click_headers(url: str | None) -> dict[str, str]:
    """Return the two headers of RFC 8058, one line each. Raises ``ContentError`` for an invalid URL."""
    if not url:
        raise ContentError(
            "marketing mail was given no one_click_url, which RFC 8058 and mailbox providers ask for"
        )
    header = {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    if not url.isascii() or any(c.isspace() or not c.isprintable() or c in "<>" for c in url):
        raise ContentError("one_click_url must be printable ASCII without blanks or angle brackets")
    parts = urlsplit(url)
    if not (parts.scheme == "https" or (parts.scheme == "http" and _is_private_host(parts.hostname or ""))):
        raise ContentError("one_click_url must be https (RFC 8058); set PUBLIC_URL to an https address")
    if any(len(f"{name}: {value}") > MAX_HEADER_LINE_BYTES for name, value in header.items()):
        raise ContentError(f"one_click_url is too long: a header line holds {MAX_HEADER_LINE_BYTES} octets")
    return header


def _is_private_host(host: str) -> bool:
    """Return whether a host is not publicly reachable: a local stack, which has only plain http."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return bool(host) and ("." not in host or host.endswith(".localhost"))


def _render_single_line(part: BoundTemplate, values: dict[str, object], name: str) -> str:
    text = render_liquid(part, values).strip()
    if "\r" in text or "\n" in text:
        raise ContentError(
            f"the {name} holds a line break, which would start another mail header; take it out"
        )
    if len(text) > MAX_SUBJECT_LENGTH:
        raise ContentError(
            f"the {name} is {len(text)} characters long, at most {MAX_SUBJECT_LENGTH}; use truncate"
        )
    return text
