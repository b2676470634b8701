"""The plain-text side of a mail, made from its HTML: links kept, what is hidden from the eye left out."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_NEVER_SHOWN = frozenset({"head", "style", "script", "title", "noscript", "template"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "ul", "ol", "table", "blockquote"})
_LINES = frozenset({"div", "li", "article", "section", "header", "footer", "main"})
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_WHITE = re.compile(r"[ \t\r\n\f]+")
_BLANKS = re.compile(r"[ \xa0\u202f]+")
_GAP = "\x1f"
"""Between the cells of a row until the end, so that tidying leaves it alone; never in a cleaned text."""


@dataclass(slots=True)
class _Open:
    """An element that is still open, with the text gathered in it so far."""

    tag: str
    hidden: bool
    href: str = ""
    parts: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    """Of a table row."""


class _Reader(HTMLParser):
    """Reads HTML into text and the links a reader can see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [_Open("", hidden=False)]
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        parent = self.open[-1]
        hidden = (
            parent.hidden
            or tag in _NEVER_SHOWN
            or "hidden" in attributes
            or attributes.get("aria-hidden") == "true"
            or bool(_HIDDEN_STYLE.search(attributes.get("style", "")))
        )
        if tag not in _VOID:
            self.open.append(_Open(tag, hidden, href=attributes.get("href", "") if tag == "a" else ""))
        elif hidden:
            return
        elif tag in ("br", "hr"):
            parent.parts.append("\n")
        elif tag == "img" and attributes.get("alt"):
            parent.parts.append(attributes["alt"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not any(element.tag == tag for element in self.open[1:]):
            return
        while self.open[-1].tag != tag:
            self._close()
        self._close()

    def handle_data(self, data: str) -> None:
        if not self.open[-1].hidden:
            self.open[-1].parts.append(_WHITE.sub(" ", data))

    def text(self) -> str:
        """All of it, after the last element is closed."""
        while len(self.open) > 1:
            self._close()
        return _tidy("".join(self.open[0].parts)).replace(_GAP, "  ")

    def _close(self) -> None:
        element = self.open.pop()
        if element.hidden:
            return
        parent = self.open[-1]
        inner = "".join(element.parts)
        if element.tag == "a":
            parent.parts.append(self._link(inner, element.href))
        elif element.tag in ("td", "th"):
            (parent.cells if parent.tag == "tr" else parent.parts).append(inner.strip(" \n"))
        elif element.tag == "tr":
            cells = [cell for cell in element.cells if cell]
            joint = "\n" if any("\n" in cell for cell in cells) else _GAP
            parent.parts.append(f"\n\n{joint.join(cells)}\n\n")
        elif element.tag in _PARAGRAPHS:
            parent.parts.append(f"\n\n{inner}\n\n")
        elif element.tag in _LINES:
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


def _tidy(text: str) -> str:
    """One blank line at most between paragraphs, no blanks at the ends of lines."""
    lines = [_BLANKS.sub(" ", line).strip(" ") for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def plain_text(html: str) -> str:
    """What a person reads in ``html``, links as ``label <address>``, hidden parts left out."""
    return _read(html).text()


def visible_links(html: str) -> tuple[str, ...]:
    """Addresses of the links a person can see in ``html``, in order."""
    reader = _read(html)
    reader.text()
    return tuple(reader.links)


def _read(html: str) -> _Reader:
    """The body only, without comments: a third of a mail is said again in comments for Outlook."""
    reader = _Reader()
    reader.feed(_COMMENT.sub("", html[max(html.find("<body"), 0) :]))
    reader.close()
    return reader
