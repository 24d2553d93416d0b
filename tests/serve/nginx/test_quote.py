"""Every value arrives: whatever a user writes is bytes for the wire or a name to compare, and never configuration."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from conformance.engines import EDGE, Running, running
from conformance.sites import Shelf, Site, build, variation
from conformance.wire import Ask, Wire
from edgeward.core.paths import encode_path
from edgeward.serve.nginx.book import Book, when
from edgeward.serve.nginx.quote import literal, map_key, token, value

SYNTAX = "${}; \"'\\#~*^|()[]?+.,:=@&%<>`!/-_0aAüé€🚀\u00a0\u2028"
TEXT = st.text(
    st.one_of(st.sampled_from(SYNTAX), st.characters(exclude_categories=["Cc", "Cs"])), min_size=1, max_size=60
)
NASTY = [
    "$uri", "${host}", "$1", "$$", "$", "a$", "\\", "\\\\", 'say "so"', "it's", "a;b", "} server { listen 1;", "{a}",
    "#c", "~^/(.*)$", "default", "\\default", "hostnames", "include x;", "volatile", "\\n\\t", "\\$", "%{x}", "ünï",
    "x" * 4000, "$" * 1500, '"' * 2000, "\\" * 2000, "🚀" * 900, "a, b", ",", "=", "!x", "(?<n>x)", "*", "[x", "x]",
    "|",
]  # fmt: skip
"""Each is the name of something in nginx's language, or ends a token in it."""
ONCE = (Phase.explicit, Phase.generate)
"""No shrinking: each example is a switch of a real nginx."""
CONTROLS = "".join(map(chr, range(1, 32))) + "\x7f"


@pytest.fixture(scope="module")
def engine() -> Iterator[Running]:
    with running("nginx") as found:
        yield found


def wire_bytes(text: str) -> str:
    """A text as the latin-1 image of its UTF-8 bytes."""
    return text.encode().decode("latin-1")


def check_values(engine: Running, texts: list[str]) -> None:
    """Serve a site with each text as a header's value, a redirect's target and a file's name; ask for each."""
    values = [stripped for text in texts if (stripped := text.strip(" \t\ufeff"))]
    names = sorted({text.replace("/", "_")[:50].strip(". \ufeff") for text in texts} - {""})
    blocks = "".join(f"/v{number}\n  X-Value: {text}\n" for number, text in enumerate(values))
    targets = [encode_path("/to/x" + text.replace(":", "_").replace("/", "_")[:150]) for text in values]
    rules = "".join(f"/t{number} {target} 302\n" for number, target in enumerate(targets))
    files = {f"/n/{name}/{name}.txt": name.encode() * 3 for name in names}
    site = build(variation(Site("quoted", {}, blocks and rules, blocks), files={"/index.html": b"x", **files}))
    engine.activate(Shelf(engine.folder).serve(EDGE, [site]))
    with Wire(engine.address) as wire:
        for number, text in enumerate(values):
            got = wire.ask(Ask(f"/v{number}", "quoted.test"))
            assert got.values("x-value") == [wire_bytes(text)]
        for number, target in enumerate(targets):
            assert wire.ask(Ask(f"/t{number}", "quoted.test")).values("location") == [target]
        for path, data in files.items():
            assert wire.ask(Ask(encode_path(path), "quoted.test")).body == data


def test_what_has_a_meaning_to_nginx_arrives_as_written(engine: Running):
    """Variables, quotes, braces, comments, regex syntax, names of map parameters, very long texts."""
    check_values(engine, NASTY)


@settings(max_examples=4, phases=ONCE)
@given(texts=st.lists(TEXT, min_size=60, max_size=80, unique=True))
def test_any_text_arrives_as_written(engine: Running, texts: list[str]):
    """Some hundred generated values, targets and file names."""
    check_values(engine, texts)


@pytest.mark.long
@settings(max_examples=150, phases=ONCE)
@given(texts=st.lists(TEXT, min_size=60, max_size=80, unique=True))
def test_any_of_many_texts_arrives_as_written(engine: Running, texts: list[str]):
    """Ten thousand generated values, targets and file names."""
    check_values(engine, texts)


def test_control_characters_stay_inside_their_token():
    """CR, LF and tab have escapes; nothing that is quoted can end a line of configuration; NUL is refused."""
    for make in (token, lambda text: value(literal(text)), map_key):
        made = make(CONTROLS)
        assert "\n" not in made
        assert "\r" not in made
        with pytest.raises(ValueError, match="NUL"):
            make("a\0b")


def test_long_texts_become_short_tokens():
    """No token is longer than nginx can read, and nothing of the text is lost."""
    book = Book()
    made = book.map(
        "ew_x",
        literal("k"),
        [when("a", book.literal("".join(f"é${number}\\" for number in range(20_000))))],
        literal(""),
    )
    assert made == "${ew_x}"
    written = book.write()
    assert max(len(line.encode()) for line in written.splitlines()) < 4096
    assert written.count("é") == 20_000


def test_equal_maps_are_one():
    """A thousand sites with the same rules cost one map; other maps of the same stem have names of their own."""
    book = Book()
    first = book.map("ew_m", literal("$x"), [when("a", literal("1"))], literal(""))
    assert book.map("ew_m", literal("$x"), [when("a", literal("1"))], literal("")) == first
    assert book.map("ew_m", literal("$x"), [when("a", literal("2"))], literal("")) != first
    assert book.map("ew_m", literal("$x"), [], literal("only")) == "only"


def test_no_two_maps_have_one_name():
    """The second map called `x` and the first called `x_2` are two, in whichever order they come."""
    for stems in (("ew_x", "ew_x", "ew_x_2"), ("ew_x_2", "ew_x", "ew_x"), ("ew_x", "ew_x_2", "ew_x")):
        book = Book()
        made = [
            book.map(stem, literal("k"), [when("a", literal(str(number)))], literal(""))
            for number, stem in enumerate(stems)
        ]
        assert len(set(made)) == 3
        found = re.findall(r'map "k" \$(\w+) {[^}]*"(\d)";\n}', book.write())
        assert found == [(name[2:-1], str(number)) for number, name in enumerate(made)]
