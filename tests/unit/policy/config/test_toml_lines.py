"""Each key of a TOML text is found on its line."""

import pytest

from policy.config.toml_reader import Place, lines_of

TEXT = '''# a comment

title = "x"
[quiet."odd key"]   # a header
opens = "08:00"
note = """
[not.a.header]
closes = 1
"""
dotted.key.one = 1

[[caps]]
limit = 1
inline = { window = "1d", deep = { er = 2 } }

[[caps]]
limit = 2
[caps.more]
x = 3
[after]
list = [
  1,  # one
  2, 3,

  { four = 4 },
]
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        pytest.param(("title",), 3, id="a key"),
        pytest.param(("quiet",), 4, id="a header opens its outer table"),
        pytest.param(("quiet", "odd key", "opens"), 5, id="a key under a quoted header"),
        pytest.param(("quiet", "odd key", "note"), 6, id="a text of several lines begins"),
        pytest.param(("quiet", "odd key", "dotted", "key", "one"), 10, id="a dotted key"),
        pytest.param(("caps", 0), 12, id="the first of a list of tables"),
        pytest.param(("caps", 0, "inline", "deep", "er"), 14, id="inside an inline table"),
        pytest.param(("caps", 1, "limit"), 17, id="a key of the second"),
        pytest.param(("caps", 1, "more", "x"), 19, id="a table of the second"),
        pytest.param(("after", "list"), 21, id="a list of several lines"),
        pytest.param(("after", "list", 0), 22, id="its first element"),
        pytest.param(("after", "list", 2), 23, id="two elements on one line"),
        pytest.param(("after", "list", 3, "four"), 25, id="a table in a list"),
    ],
)
def test_a_key_is_found_on_its_line(place: Place, line: int) -> None:
    assert line == lines_of(TEXT)[place]


def test_what_a_text_only_looks_like_is_not_found() -> None:
    found = lines_of(TEXT)

    assert ("not",) not in found
    assert ("quiet", "odd key", "closes") not in found
