"""Plain text out of HTML, segments of a text message, and what counts as a safe link."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.content.display_text import to_single_line
from activities.content.plain_text import html_to_text, visible_links
from activities.content.sanitize import safe_url
from activities.content.sms_segments import count_segments, to_cheapest_encoding


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param('<a href="https://a.example">Go</a>', "Go <https://a.example>", id="link"),
        pytest.param(
            '<a href="mailto:a@b.example">a@b.example</a>', "a@b.example", id="address that is its label"
        ),
        pytest.param('<a href="https://a.example"></a>', "https://a.example", id="link without words"),
        pytest.param(
            '<a href="https://a.example"><img alt="Sale"></a>', "Sale <https://a.example>", id="image link"
        ),
        pytest.param('<div style="display:none">pre</div>seen', "seen", id="hidden"),
        pytest.param('<p aria-hidden="true">L</p>seen', "seen", id="decoration"),
        pytest.param("<!-- <p>Outlook</p> -->seen", "seen", id="comment"),
        pytest.param("<p>a\n  b</p><p>c</p>", "a b\n\nc", id="paragraphs"),
        pytest.param("<table><tr><td>Total</td><td>9</td></tr></table>", "Total  9", id="row"),
        pytest.param("a<br>b", "a\nb", id="line break"),
        pytest.param("&lt;b&gt; &amp; c", "<b> & c", id="characters"),
        pytest.param("<p>unclosed <b>bold", "unclosed bold", id="unclosed"),
        pytest.param("</p></div>stray", "stray", id="stray ends"),
    ],
)
def test_plain_text_says_what_a_reader_sees(html: str, expected: str) -> None:
    assert expected == html_to_text(html)


def test_hidden_links_are_not_visible() -> None:
    html = '<a href="https://a.example">a</a><div hidden><a href="https://b.example">b</a></div>'

    assert visible_links(html) == ("https://a.example",)


@given(st.text(alphabet="<>/ab=\"'!- \n&;tdr", max_size=200))
def test_plain_text_never_fails_and_never_leaves_three_line_breaks(html: str) -> None:
    assert "\n\n\n" not in html_to_text(html)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x" * 160, 1, id="full GSM segment"),
        pytest.param("x" * 161, 2, id="one more"),
        pytest.param("x" * 306, 2, id="two full"),
        pytest.param("x" * 307, 3, id="two and one"),
        pytest.param("€" * 80, 1, id="extension characters count twice"),
        pytest.param("€" * 81, 2, id="and fill twice as fast"),
        pytest.param("ж" * 70, 1, id="full UCS-2 segment"),
        pytest.param("ж" * 71, 2, id="UCS-2, one more"),
        pytest.param("😀" * 35, 1, id="surrogate pairs count twice"),
        pytest.param("😀" * 36, 2, id="surrogate pairs, one more"),
    ],
)
def test_segments_are_counted_as_they_are_billed(text: str, expected: int) -> None:
    assert expected == count_segments(text)


def test_typographic_marks_are_spelt_so_that_a_text_message_stays_cheap() -> None:
    assert to_cheapest_encoding("It’s “here” – 9,99\xa0€ …") == 'It\'s "here" - 9,99 € ...'
    assert count_segments(to_cheapest_encoding("’" * 160)) == 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x?y=1&z=2#f", "https://a.example/x?y=1&z=2#f"),
        ("http://a.example", "http://a.example"),
        ("mailto:a@b.example", "mailto:a@b.example"),
        ("tel:+49301234", "tel:+49301234"),
        ("//cdn.example/a b.jpg", "https://cdn.example/a%20b.jpg"),
        ("  https://a.example ", "https://a.example"),
        ("javascript:alert(1)", ""),
        ("java\nscript:alert(1)", ""),
        ("\x01javascript:alert(1)", ""),
        ("data:text/html;base64,AAAA", ""),
        ("file:///etc/passwd", ""),
        ("/relative", ""),
        ("https://", ""),
        ("https://[bad", ""),
        ("https:\\\\a.example", ""),
        ('https://a.example/"onclick=x', ""),
        (None, ""),
        (7, ""),
    ],
)
def test_only_links_a_mail_program_may_follow_pass(url: object, expected: str) -> None:
    assert expected == safe_url(url)


@given(st.text(max_size=60))
def test_whatever_passes_starts_with_an_allowed_scheme(url: str) -> None:
    passed = safe_url(url)

    assert passed == "" or passed.lower().startswith(
        ("http://", "https://", "mailto:", "tel:", "http:", "https:")
    )


@given(st.text(max_size=200))
def test_one_line_is_one_line_and_no_longer_than_asked(text: str) -> None:
    line = to_single_line(text, 40)

    assert len(line) <= 40
    assert len(line.splitlines()) <= 1
