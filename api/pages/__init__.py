"""HTML pages: Liquid templates beside this file, one for each page, with every value escaped."""

import base64
import hashlib
from pathlib import Path

from fastapi import Response
from fastapi.responses import HTMLResponse
from liquid import CachingFileSystemLoader, Environment, StrictUndefined
from liquid.extra import BlockTag, ExtendsTag

_FOLDER = Path(__file__).parent

_LIQUID = Environment(
    autoescape=True,
    undefined=StrictUndefined,
    loader=CachingFileSystemLoader(_FOLDER, auto_reload=False),
)
_LIQUID.add_tag(ExtendsTag)
_LIQUID.add_tag(BlockTag)

# Read at import: a faulty template stops the process at its start, and no request reads a file.
_TEMPLATES = {path.name: _LIQUID.get_template(path.name) for path in _FOLDER.glob("*.html")}
_STYLES = {path.name: path.read_text(encoding="utf-8") for path in _FOLDER.glob("*.css")}


def page(
    template: str, /, *, style: str = "page.css", status: int = 200, frames: bool = False, **values: object
) -> Response:
    """Render a page. The work is bounded by the lists in ``values``, which callers limit.

    ``frames``: the page shows messages in frames, which inherit its content security policy. Raises
    ``liquid.exceptions.UndefinedError`` if the template uses a value that is not given.
    """
    css = _STYLES[style]
    html = _TEMPLATES[template].render(values, style=css)
    return HTMLResponse(html, status, headers=_headers(css, frames=frames))


def _headers(css: str, *, frames: bool) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    # A message has its own styles and the shop's pictures; Waypost's pages need neither.
    sources = (
        "style-src 'unsafe-inline'; img-src https: http: data:" if frames else f"style-src 'sha256-{digest}'"
    )
    return {
        "Content-Security-Policy": f"default-src 'none'; {sources}; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
        "Cache-Control": "no-store",
    }
