"""Parser of `_headers`: every line of SITE-FORMAT section 4 that is decided when the file is read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeward.core.headers import COMPUTED, parse_headers
from edgeward.core.rules import HeaderBlock, HeaderLine
from edgeward.errors import InputError


def parse(text):
    """The blocks of a text."""
    return parse_headers(text if isinstance(text, bytes) else text.encode())


def problems(text):
    """(line, message) of each problem of a text that is refused."""
    with pytest.raises(InputError) as caught:
        parse(text)
    assert all(problem.file == "_headers" for problem in caught.value.problems)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_blocks():
    """Blocks come in file order, each with its lines in order; a name may be set twice and taken away."""
    line = HeaderLine
    text = "# head\n/a/*\n  X-One: 1\n  X-One: 2\n\n  ! X-Frame-Options\n/:b/\n\tX-Two: :b\n"
    assert parse(text) == (
        HeaderBlock(2, "/a/*", (line("X-One", "1"), line("X-One", "2"), line("X-Frame-Options", None))),
        HeaderBlock(7, "/:b", (line("X-Two", ":b"),)),
    )


def test_example_of_the_contract():
    """The pattern of the contract's own example, `*` in the middle, is one."""
    blocks = parse("/path/with/*/or/:placeholder\n  Name: value\n  ! Name\n")
    assert blocks[0].pattern == "/path/with/*/or/:placeholder"
    assert blocks[0].lines == (HeaderLine("Name", "value"), HeaderLine("Name", None))


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("X-A: b", "X-A", "b"),
        ("X-A:b", "X-A", "b"),
        ("x-a:\tb \t", "x-a", "b"),
        ("X-A: $host {a} \"b\" 'c' \\d ; #e %f", "X-A", "$host {a} \"b\" 'c' \\d ; #e %f"),
        ("X-A: a\tb", "X-A", "a\tb"),
        ("X-A: é ü", "X-A", "é ü"),
        ("X-A: https://x.example/:splat:y", "X-A", "https://x.example/:splat:y"),
        ("X-A: !", "X-A", "!"),
        ("! X-A", "X-A", None),
        ("!X-A", "X-A", None),
        ("$%&'*+-.^_`|~: v", "$%&'*+-.^_`|~", "v"),
        ("Content-Type: text/plain", "Content-Type", "text/plain"),
        ("! X-Content-Type-Options", "X-Content-Type-Options", None),
        ("Set-Cookie: a=b; Path=/", "Set-Cookie", "a=b; Path=/"),
        ("X-Edgeward: none", "X-Edgeward", "none"),
    ],
)
def test_line(line, name, value):
    """A value is what stands between the colon and the end of the line, whatever a server would make of it."""
    assert parse(f"/\n {line}\n") == (HeaderBlock(1, "/", (HeaderLine(name, value),)),)


def test_comments():
    """`#` begins a comment at the start of a line, indented or not; behind a value it is part of the value."""
    blocks = parse("#/a\n/b\n # X: y\n  X-A: 1 # 2\n")
    assert blocks == (HeaderBlock(2, "/b", (HeaderLine("X-A", "1 # 2"),)),)


def test_bytes():
    """CRLF, tabs and a byte-order mark are white space."""
    assert parse(b"\xef\xbb\xbf/a\r\n\tX-A:\tb\r\n\r\n") == (HeaderBlock(1, "/a", (HeaderLine("X-A", "b"),)),)


def test_a_path_without_lines():
    """A path with nothing below it does nothing; that is no error."""
    assert parse("/a\n/b\n  X: y\n") == (HeaderBlock(2, "/b", (HeaderLine("X", "y"),)),)
    assert parse(b"") == ()


REFUSED = [
    ("  a b: c", "`a b` is not a header name (letters, digits and !#$%&'*+-.^_`|~)"),
    ("  X-A : c", "`X-A ` is not a header name (letters, digits and !#$%&'*+-.^_`|~)"),
    ("  : c", "`` is not a header name (letters, digits and !#$%&'*+-.^_`|~)"),
    ("  Ä: c", "`Ä` is not a header name (letters, digits and !#$%&'*+-.^_`|~)"),
    ("  !", "`` is not a header name (letters, digits and !#$%&'*+-.^_`|~)"),
    ("  ! X: y", "`X: y` is not a header name (letters, digits and !#$%&'*+-.^_`|~)"),
    ("  X-A:", "`X-A` has no value; to take a header away write `! X-A`"),
    ("  just words", "`just words` is neither `Name: value` nor `! Name` nor a path"),
    ("  X-Accel-Redirect: /x", "`X-Accel-Redirect` is an instruction between servers and cannot be set"),
    ("  ! x-pad", "`x-pad` is an instruction between servers and cannot be taken away"),
    ("/a b", "`/a b` holds white space; a path is one word (a space is written %20)"),
    ("/a//b", "'/a//b' has an empty segment (`//`), which the normalised path of a request never has"),
    ("/*/*", "'/*/*' has more than one `*`"),
    ("/a?b", "'/a?b': the path ends at `?`: match a query with name=value after it"),
    (
        "https://example.com/a",
        "`https://example.com/a`: a block begins with a path, not with a URL; it holds for every hostname",
    ),
    ("  X-A: a\rX-B: b", "control character U+000D at column 9"),
    ("  X-A: a\x00b", "control character U+0000 at column 9"),
    ("  X-A: a\x1bb", "control character U+001B at column 9"),
    ("  X-A: a\x7fb", "control character U+007F at column 9"),
    (b"  X-A: \xe9", "not UTF-8: byte 0xe9 at byte 8 of the line"),
    ("  X-A: " + "b" * 8000, "the line has 8,007 characters; at most 8,000 are allowed"),
]
REFUSED += [
    (line, f"`{proper}` is made by the server for each answer and cannot be {verb}")
    for name, proper in COMPUTED.items()
    for line, verb in ((f"  {name}: x", "set"), (f"  ! {name.upper()}", "taken away"))
]


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_refused(line, message):
    """What a push cannot honour is refused, with the line and exactly this reason."""
    raw = line if isinstance(line, bytes) else line.encode()
    assert problems(b"/first\n  X: y\n" + raw + b"\n  X-Fine: 1\n") == [(3, message)]


def test_names_of_the_contract_are_refused():
    """Every header that the contract lists as hop-by-hop, framing or computed is among those refused."""
    listed = (
        "Connection Transfer-Encoding Content-Length Content-Encoding Date ETag Last-Modified Vary Accept-Ranges "
        "Location Content-Range Keep-Alive Upgrade TE Trailer Proxy-Authenticate"
    )
    assert set(listed.lower().split()) <= set(COMPUTED)


def test_before_the_first_path():
    """A header before the first path is refused, with each such line."""
    assert problems("X-A: b\n  ! X-B\n/a\n  X-C: d\n") == [
        (1, "`X-A: b` stands before the first path"),
        (2, "`! X-B` stands before the first path"),
    ]


def test_all_problems_at_once():
    """Every problem of the file is reported, each with its line."""
    raw = [b"/"] + [line if isinstance(line, bytes) else line.encode() for line, _ in REFUSED]
    assert problems(b"\n".join(raw)) == [(number, message) for number, (_, message) in enumerate(REFUSED, start=2)]


def test_number_of_blocks():
    """2,000 blocks are allowed; the 2,001st is refused."""
    text = "".join(f"/a{number}\n  X: y\n" for number in range(2_000))
    assert len(parse(text)) == 2_000
    assert problems(text + "/more\n  X: y\n/and\n") == [(4_001, "more than 2,000 blocks")]


VALUE = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\x7f\ufeff"), min_size=1)
BLOCKS = st.lists(
    st.tuples(
        st.sampled_from(["/", "/*", "/a/:b", "/x/*.js"]),
        st.lists(
            st.tuples(st.sampled_from(["X-A", "link", "Set-Cookie"]), VALUE.map(str.strip).filter(bool) | st.none()),
            min_size=1,
            max_size=4,
        ),
    ),
    max_size=4,
)


@given(BLOCKS)
def test_round_trip(found):
    """Blocks written out and read again are the same blocks, whatever a value holds."""
    text, expected, number = "", [], 0
    for pattern, lines in found:
        number += 1
        expected.append(HeaderBlock(number, pattern, tuple(HeaderLine(name, value) for name, value in lines)))
        text += f"{pattern}\n"
        for name, value in lines:
            number += 1
            text += f"  ! {name}\n" if value is None else f"  {name}: {value}\n"
    assert parse(text) == tuple(expected)


WORDS = st.sampled_from(["/a", "/*", ":x", "X-A:", "!", "Date:", "#", "https://x/", "\t", "\r"])
FILES = st.lists(st.lists(WORDS.map(str.encode) | st.binary(max_size=6), max_size=5).map(b" ".join), max_size=8)


@given(st.binary(max_size=200) | FILES.map(b"\n".join))
def test_any_bytes(data):
    """Whatever the bytes, the result is blocks or InputError, never another exception, and lines are in the file."""
    refuse_or_parse(data)


@pytest.mark.long
@settings(max_examples=20_000)
@given(st.binary(max_size=400) | FILES.map(b"\n".join))
def test_any_bytes_at_length(data):
    """The same for many more files."""
    refuse_or_parse(data)


def refuse_or_parse(data):
    """Blocks or InputError, nothing else; lines are within the file."""
    try:
        lines = [block.line for block in parse_headers(data)]
    except InputError as error:
        lines = [problem.line for problem in error.problems] or [-1]
    assert all(0 <= line <= data.count(b"\n") + 1 for line in lines)


def test_a_name_has_a_longest_length():
    """256 characters; a longer one is refused with its line."""
    assert parse_headers(b"/a\n  " + b"X" * 256 + b": v\n")[0].lines[0].value == "v"
    with pytest.raises(InputError) as caught:
        parse_headers(b"/a\n  " + b"X" * 257 + b": v\n")
    assert caught.value.problems[0].line == 2
    assert caught.value.problems[0].message.endswith("has 257 characters; a header name has at most 256")
