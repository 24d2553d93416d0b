"""Path patterns: the one language of `_redirects`, `_headers` and `immutable` (SITE-FORMAT sections 3 and 4)."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeward.core.paths import encode_path
from edgeward.core.patterns import compile_pattern, fill, fill_target, mentions
from edgeward.errors import InputError

MATCHES = [
    ("/", "/", {}),
    ("/", "/a", None),
    ("/x", "/x", {}),
    ("/x", "/x/", {}),
    ("/x/", "/x", {}),
    ("/x", "/X", None),
    ("/x", "/xy", None),
    ("/x", "/x/y", None),
    ("/x/*", "/x", {"splat": ""}),
    ("/x/*", "/x/", {"splat": ""}),
    ("/x/*", "/x/a/b/", {"splat": "a/b/"}),
    ("/x/*", "/xy", None),
    ("/*", "/", {"splat": ""}),
    ("/*", "/a/b", {"splat": "a/b"}),
    ("/a/:b", "/a/c", {"b": "c"}),
    ("/a/:b", "/a/c/", {"b": "c"}),
    ("/a/:b", "/a", None),
    ("/a/:b", "/a/", None),
    ("/a/:b", "/a/c/d", None),
    ("/:a/:b_2/*", "/x/y/z", {"a": "x", "b_2": "y", "splat": "z"}),
    ("/:1", "/one", {"1": "one"}),
    ("/a.b", "/a.b", {}),
    ("/a.b", "/axb", None),
    ("/a+(b)[c]{1}|^$", "/a+(b)[c]{1}|^$", {}),
    ("/%C3%A9", "/é", {}),
    ("/é", "/é", {}),
    ("/a%2Fb", "/a/b", {}),
    ("/%3Aa", "/:a", {}),
    ("/%2A", "/*", {}),
    ("/%2A", "/x", None),
    ("/100%25", "/100%", {}),
    ("/a%3Fb%23c", "/a?b#c", {}),
    ("/a:b", "/a:b", {}),
    # `*` elsewhere than at the end: headers and immutable
    ("/*.js", "/a.js", {"splat": "a"}),
    ("/*.js", "/a/b.js", {"splat": "a/b"}),
    ("/*.js", "/a.jsx", None),
    ("/path/with/*/or/:placeholder", "/path/with/a/b/or/c", {"splat": "a/b", "placeholder": "c"}),
    ("/path/with/*/or/:placeholder", "/path/with/or/c", None),
    ("/a*b", "/ab", {"splat": ""}),
]


@pytest.mark.parametrize(("pattern", "path", "bound"), MATCHES)
def test_match(pattern, path, bound):
    """A pattern matches the normalised path, case-sensitively, with or without a final slash, and binds its parts."""
    assert compile_pattern(pattern).match(path) == bound


@pytest.mark.parametrize(("pattern", "path", "bound"), MATCHES)
def test_encoded_matches_alike(pattern, path, bound):
    """Over the canonically encoded path a pattern matches the same paths, and binds the encoded parts."""
    expected = None if bound is None else {name: encode_path(value) for name, value in bound.items()}
    assert compile_pattern(pattern).match(encode_path(path), encoded=True) == expected


NO_PLACEHOLDER = (
    "is not a placeholder; one is a whole segment of letters, digits and `_` after `:` "
    "(a literal colon there is written %3A)"
)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "the path is empty"),
        ("a/b", "a path pattern begins with a slash, not 'a'"),
        ("//a", "'//a' begins with `//`"),
        ("/a//b", "'/a//b' has an empty segment (`//`), which the normalised path of a request never has"),
        ("/a/./b", "'/a/./b' has the segment `.`, which the normalised path of a request never has"),
        ("/a/%2e%2E", "'/a/%2e%2E' has the segment `..`, which the normalised path of a request never has"),
        ("/a?b", "'/a?b': the path ends at `?`: match a query with name=value after it"),
        ("/a#b", "'/a#b': a fragment (`#`) is never sent to a server"),
        ("/50%", "'/50%' has a `%` that is not followed by two hex digits; a percent sign is written %25"),
        ("/a%ff", "'/a%ff' decodes to something that is not UTF-8, or to a control character"),
        ("/a%00", "'/a%00' decodes to something that is not UTF-8, or to a control character"),
        ("/a%0a", "'/a%0a' decodes to something that is not UTF-8, or to a control character"),
        ("/*/a/*", "'/*/a/*' has more than one `*`"),
        ("/**", "'/**' has more than one `*`"),
        ("/:a/:a", "'/:a/:a' has `:a` more than once"),
        (
            "/:a.html",
            f"'/:a.html': `:a.html` {NO_PLACEHOLDER}",
        ),
        (
            "/:",
            f"'/:': `:` {NO_PLACEHOLDER}",
        ),
        ("/:splat", "'/:splat': `:splat` is the name of what `*` matches; choose another"),
    ],
)
def test_refused(pattern, message):
    """What is no pattern is refused with what is wrong with it."""
    with pytest.raises(InputError) as caught:
        compile_pattern(pattern)
    assert caught.value.message == message


SEGMENT = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\x7f"), min_size=1, max_size=6
)
PLAIN = SEGMENT.filter(lambda text: text not in {".", ".."})
PATH = st.lists(PLAIN, max_size=4).map(lambda parts: "/" + "/".join(parts))


@st.composite
def patterns(draw, *, globs=True):
    """Pattern text, as a user writes it, made of encoded literals, placeholders, and at most one `*`."""
    parts = draw(st.lists(PLAIN.map(_written), max_size=4))
    names = iter(["a", "b2", "c_", "9"])
    parts = [f":{next(names)}" if draw(st.integers(0, 3)) == 0 else part for part in parts]
    star = draw(st.integers(0, 3))
    if star == 0:
        parts.append("*")
    elif star == 1 and globs and parts:
        at = draw(st.integers(0, len(parts) - 1))
        if not parts[at].startswith(":"):
            parts[at] = parts[at][:1].replace("%", "") + "*" + draw(st.sampled_from(["", "0", "A", ".js", "2Fx"]))
    return "/" + "/".join(parts)


def _written(text):
    return "".join(f"%{byte:02X}" if chr(byte) in "%*:?#" or byte > 0x7E else chr(byte) for byte in text.encode())


@given(patterns())
def test_canonical_text_is_stable(text):
    """Compiling a canonical text gives the pattern back: texts compare as patterns do."""
    pattern = compile_pattern(text)
    assert compile_pattern(pattern.text) == pattern


@given(patterns(), PATH, st.booleans())
def test_encoded_and_decoded_agree(text, path, slash):
    """Over any normalised path, the decoded and the encoded form of a pattern match alike and bind the same."""
    check_agreement(text, path + "/" if slash and path != "/" else path)


@pytest.mark.long
@settings(max_examples=20_000)
@given(patterns(), PATH, st.booleans())
def test_encoded_and_decoded_agree_at_length(text, path, slash):
    """The same for many more patterns and paths."""
    check_agreement(text, path + "/" if slash and path != "/" else path)


def check_agreement(text, path):
    """Both forms of the regex match, or neither."""
    pattern = compile_pattern(text)
    plain, encoded = pattern.match(path), pattern.match(encode_path(path), encoded=True)
    assert (encoded is None) == (plain is None)
    if plain is not None:
        assert encoded == {name: encode_path(value) for name, value in plain.items()}


@given(patterns(), st.lists(PLAIN, min_size=8, max_size=8), st.booleans())
def test_a_filled_pattern_matches(text, values, slash):
    """A path made by putting segments in the place of placeholders is matched, and they are what is bound."""
    pattern = compile_pattern(text)
    given_values = iter(values)
    bound, parts = {}, []
    for segment in pattern.segments:
        value = next(given_values)
        name = segment.text if segment.kind == "name" else "splat"
        if segment.kind == "literal":
            parts.append(segment.text)
            continue
        bound[name] = value
        parts.append(segment.text + value + segment.after if segment.kind == "glob" else value)
    path = "/" + "/".join(parts)
    found = pattern.match(path + "/" if slash and path != "/" else path)
    assert found is not None
    if all(segment.kind != "glob" for segment in pattern.segments):
        splat_slash = "/" if slash and pattern.text.endswith("*") else ""
        assert found == {name: value + (splat_slash if name == "splat" else "") for name, value in bound.items()}


@given(patterns(), PATH)
def test_regex_reads_bytes_alike(text, path):
    """The regex text means the same byte by byte (PCRE without UTF mode) as over characters."""
    pattern = compile_pattern(text)
    over_bytes = re.compile(pattern.regex(encoded=False).encode()).fullmatch(path.encode())
    over_text = re.compile(pattern.regex(encoded=False)).fullmatch(path)
    assert (over_bytes is None) == (over_text is None)
    if over_bytes is not None and over_text is not None:
        assert [group or b"" for group in over_bytes.groups()] == [
            (group or "").encode() for group in over_text.groups()
        ]
    assert pattern.regex(encoded=True).isascii()
    assert len(over_text.groups() if over_text else pattern.names) == len(pattern.names)


def test_bytes_of_a_character_are_not_taken_apart():
    """Over encoded paths `*` never ends inside %XX, where a hex digit would pass for the text that follows."""
    assert compile_pattern("/*0").match("/%20", encoded=True) is None
    assert compile_pattern("/*0").match("/%200", encoded=True) == {"splat": "%20"}


def test_long_paths_are_matched_in_bounded_time():
    """No path makes matching slow: a kilobyte of slashes and letters against many placeholders and a `*`."""
    pattern = compile_pattern("/" + "/".join(f":a{number}" for number in range(60)) + "/*")
    assert pattern.match("/" + "/".join("b" for _ in range(59))) is None
    glob = compile_pattern("/*a/:b/c")
    assert glob.match("/" + "a" * 1000) is None
    assert glob.match("/" + "a/" * 500) is None


def test_fill():
    """Bound names are replaced wherever they stand, the longest word counts, other words stay as written."""
    assert fill("/n/:a-:b/:ab?x=:a", {"a": "1", "b": "2"}) == "/n/1-2/:ab?x=1"
    assert mentions("https://x/:a?b=:c_1&d=e:f") == ("a", "c_1", "f")


def test_fill_target_leaves_the_host():
    """Values go into path, query and fragment, never into scheme, host or port."""
    assert fill_target("https://a.example:8080/:x#:x", {"x": "1", "8080": "no"}) == "https://a.example:8080/1#1"
    assert fill_target("HTTPS://a.example?q=:x", {"x": "1"}) == "HTTPS://a.example?q=1"


def test_fill_target_never_leads_to_another_host():
    """An empty `:splat` does not turn a path of the site into `//host`."""
    assert fill_target("/:splat/evil.example", {"splat": ""}) == "/evil.example"
