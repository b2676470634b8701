"""The HTML pages: every value is shown as text, and none is missing."""

import base64
import hashlib
from html.parser import HTMLParser
from typing import Any

import pytest
from liquid.exceptions import UndefinedError

from api.pages import page

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><b onclick=x>",
    "&lt;b&gt; &amp;amp;",
    "{{ style }}",
    "{% raw %}{{ token }}{% endraw %}{% if",
    "</title></style></textarea><!-- -->",
)


def values(value: str) -> dict[str, dict[str, Any]]:
    """Values of every page, all of them ``value`` where they are texts."""
    row = dict.fromkeys(("message_id", "channel", "to", "instant", "when", "subject", "preview"), value)
    facts = [{"name": value, "value": value, "kind": value, "text": value}]
    message = {"subject": value, "to": value, "when": value, "facts": facts, "html": value, "text": value}
    parts = [{"text": value, "is_link": False}, {"text": value, "is_link": True}]
    check = {"name": value, "detail": value}
    entry = dict.fromkeys(
        ("kind", "verdict", "label", "instant", "clock", "text", "problems", "link"), value
    ) | {
        "checks": [check | {"passed": True}, check | {"passed": False}],
        "checks_summary": value,
        "checks_subject": value,
    }
    why = dict.fromkeys(
        (
            "person",
            "sentence",
            "verdict",
            "verdict_label",
            "journey",
            "item",
            "at",
            "zone",
            "zone_source",
        ),
        value,
    )
    channel = {"title": value, "description": value, "name": value, "granted": True}
    mailbox = {"count": value, "rows": [row | {"current": True}, row | {"current": False}]}
    return {
        "notice.html": {"title": value, "headline": value, "explanation": value},
        "unsubscribe.html": {"channel": value, "token": value},
        "unsubscribed.html": {"channel": value, "token": value},
        "preferences.html": {"token": value, "saved": True, "channels": [channel]},
        "mailbox.html": mailbox | {"message": message | {"parts": []}},
        "mailbox.html text": mailbox | {"message": message | {"html": None, "parts": parts}},
        "why.html": why
        | {
            "facts": facts,
            "journeys": [value, "other"],
            "days": [{"title": value, "entries": [entry]}],
            "is_cut": True,
        },
    }


class Parsed(HTMLParser):
    """What a page holds: its elements with their attributes, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def html_of(case: str, value: str) -> str:
    return bytes(page(case.split()[0], **values(value)[case]).body).decode()


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("case", values(""))
def test_a_value_is_shown_as_text_whatever_it_holds(case: str, hostile: str) -> None:
    plain = Parsed(html_of(case, "plain value")).found
    shown = Parsed(html_of(case, hostile)).found

    assert "plain value" in repr(plain)
    assert shown == [_with(each, hostile) for each in plain]


def _with(found: object, value: str) -> object:
    if isinstance(found, str):
        return found.replace("plain value", value)
    tag, attrs = found  # type: ignore[misc]
    return tag, tuple((name, text and text.replace("plain value", value)) for name, text in attrs)


@pytest.mark.parametrize(
    ("case", "name"), [(case, name) for case, given in values("").items() for name in given]
)
def test_a_value_that_is_left_out_is_an_error(case: str, name: str) -> None:
    given = {key: each for key, each in values("x")[case].items() if key != name}

    with pytest.raises(UndefinedError, match=name):
        page(case.split()[0], **given)


def test_the_policy_of_a_page_allows_its_own_style_and_no_other() -> None:
    answer = page("notice.html", status=404, title="a", headline="b", explanation="c")
    style = bytes(answer.body).decode().split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{digest}';" in answer.headers["content-security-policy"]
    assert answer.status_code == 404
