"""The plain-text alternative of a mail, made from its HTML: with links, without hidden parts."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID_TAGS = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_HIDDEN_TAGS = frozenset({"head", "style", "script", "title", "noscript", "template"})
_PARAGRAPH_TAGS = frozenset({"p", "h1", "h2", "h3", "h4", "ul", "ol", "table", "blockquote"})
_LINE_TAGS = frozenset({"div", "li", "article", "section", "header", "footer", "main"})
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HTML_WHITESPACE = re.compile(r"[ \t\r\n\f]+")
_SPACES = re.compile(r"[ \xa0\u202f]+")
_CELL_SEPARATOR = "\x1f"
"""Separates the cells of a row until the lines are normalized; sanitized text never contains it."""


@dataclass(slots=True)
class _OpenElement:
    """An open element, with the text collected in it."""

    tag: str
    hidden: bool
    href: str = ""
    parts: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    """Cells of a table row."""


class _TextExtractor(HTMLParser):
    """Extracts the text and the visible links of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open_elements = [_OpenElement("", hidden=False)]
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        parent = self.open_elements[-1]
        hidden = (
            parent.hidden
            or tag in _HIDDEN_TAGS
            or "hidden" in attributes
            or attributes.get("aria-hidden") == "true"
            or bool(_HIDDEN_STYLE.search(attributes.get("style", "")))
        )
        if tag not in _VOID_TAGS:
            self.open_elements.append(
                _OpenElement(tag, hidden, href=attributes.get("href", "") if tag == "a" else "")
            )
        elif hidden:
            return
        elif tag in ("br", "hr"):
            parent.parts.append("\n")
        elif tag == "img" and attributes.get("alt"):
            parent.parts.append(attributes["alt"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID_TAGS:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not any(element.tag == tag for element in self.open_elements[1:]):
            return
        while self.open_elements[-1].tag != tag:
            self._close()
        self._close()

    def handle_data(self, data: str) -> None:
        if not self.open_elements[-1].hidden:
            self.open_elements[-1].parts.append(_HTML_WHITESPACE.sub(" ", data))

    def text(self) -> str:
        """Close all open elements and return the text."""
        while len(self.open_elements) > 1:
            self._close()
        return _normalize_lines("".join(self.open_elements[0].parts)).replace(_CELL_SEPARATOR, "  ")

    def _close(self) -> None:
        element = self.open_elements.pop()
        if element.hidden:
            return
        parent = self.open_elements[-1]
        inner = "".join(element.parts)
        if element.tag == "a":
            parent.parts.append(self._link(inner, element.href))
        elif element.tag in ("td", "th"):
            (parent.cells if parent.tag == "tr" else parent.parts).append(inner.strip(" \n"))
        elif element.tag == "tr":
            cells = [cell for cell in element.cells if cell]
            joint = "\n" if any("\n" in cell for cell in cells) else _CELL_SEPARATOR
            parent.parts.append(f"\n\n{joint.join(cells)}\n\n")
        elif element.tag in _PARAGRAPH_TAGS:
            parent.parts.append(f"\n\n{inner}\n\n")
        elif element.tag in _LINE_TAGS:
            parent.parts.append(f"\n{inner}\n")
        else:
            parent.parts.append(inner)

    def _link(self, inner: str, href: str) -> str:
        label = " ".join(inner.split())
        if not href:
            return inner
        self.links.append(href)
        if not label or label in (href, href.removeprefix("mailto:"), href.removeprefix("tel:")):
            return label or href
        return f"{label} <{href}>"


def _normalize_lines(text: str) -> str:
    """Reduce gaps between paragraphs to one blank line, and strip the lines."""
    lines = [_SPACES.sub(" ", line).strip(" ") for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def html_to_text(html: str) -> str:
    """Return the visible text of ``html``, with links as ``label <address>``."""
    return _parse_html(html).text()


def visible_links(html: str) -> tuple[str, ...]:
    """Return the addresses of the visible links in ``html``, in order."""
    reader = _parse_html(html)
    reader.text()
    return tuple(reader.links)


def _parse_html(html: str) -> _TextExtractor:
    """Parse the body without comments: a third of a mail is repeated in comments for Outlook."""
    reader = _TextExtractor()
    reader.feed(_COMMENT.sub("", html[max(html.find("<body"), 0) :]))
    reader.close()
    return reader
