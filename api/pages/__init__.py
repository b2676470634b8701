"""Renders the few HTML pages: templates beside this file, every value escaped, nothing from elsewhere."""

import base64
import hashlib
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template

from fastapi import Response
from fastapi.responses import HTMLResponse

_FOLDER = Path(__file__).parent


class Markup(str):
    """HTML that was made here and is not escaped again."""

    __slots__ = ()


@lru_cache
def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def fill(template: str, /, **values: str) -> Markup:
    """A template with its values put in, all but ``Markup`` escaped. Raises KeyError for a missing one."""
    safe = {key: value if isinstance(value, Markup) else escape(value) for key, value in values.items()}
    return Markup(Template(_text(template)).substitute(safe))


def page(
    title: str, body: Markup, *, style: str = "page.css", status: int = 200, frames: bool = False
) -> Response:
    """A whole page. ``frames``: it shows messages in frames of its own, which inherit its policy."""
    css = _text(style)
    html = fill("layout.html", title=title, style=Markup(css), body=body)
    return HTMLResponse(html, status, headers=_headers(css, frames=frames))


def _headers(css: str, *, frames: bool) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    # A message brings its own styles and the shop's pictures; pages of ours need neither.
    shown = (
        "style-src 'unsafe-inline'; img-src https: http: data:" if frames else f"style-src 'sha256-{digest}'"
    )
    return {
        "Content-Security-Policy": f"default-src 'none'; {shown}; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
        "Cache-Control": "no-store",
    }
