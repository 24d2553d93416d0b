"""Parser of `edgeward.toml`: every line of SITE-FORMAT section 8."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeward.core.site import ProjectFile, SiteSettings
from edgeward.core.site_file import check_hsts, parse_project_file, read_project
from edgeward.errors import InputError

EXAMPLE = """
fleet = "home"                    # which fleet; see `edgeward fleets`

[site]
name = "blog"                     # a slug
hostnames = ["example.com", "www.example.com"]
build = "public"                  # what `edgeward push` pushes when no folder is named
clean_urls = true
trailing_slash = "auto"
spa = false
immutable = "auto"
keep_assets_days = 7
alias_mode = "redirect"           # or "serve"
hsts = "max-age=31536000; includeSubDomains"    # sent over HTTPS only; off when absent
"""
PLAIN = '[site]\nname = "blog"\nhostnames = ["example.com"]\n'


def problems(text):
    """(line, message) of each problem of a text that is refused."""
    with pytest.raises(InputError) as caught:
        parse_project_file(text)
    assert all(problem.file == "edgeward.toml" for problem in caught.value.problems)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_example_of_the_contract():
    """The contract's own example means what its comments say."""
    settings = SiteSettings("blog", ("example.com", "www.example.com"), hsts="max-age=31536000; includeSubDomains")
    assert parse_project_file(EXAMPLE) == ProjectFile(settings, fleet="home", build="public")


def test_defaults():
    """A name and one hostname are enough; all else has the defaults of the contract."""
    expected = ProjectFile(SiteSettings("blog", ("example.com",)))
    assert parse_project_file(PLAIN) == expected
    assert expected.site == SiteSettings(
        name="blog",
        hostnames=("example.com",),
        clean_urls=True,
        trailing_slash="auto",
        spa=False,
        immutable=None,
        keep_assets_days=7,
        alias_mode="redirect",
        hsts=None,
    )


def test_every_setting():
    """Every key is taken over."""
    text = PLAIN + (
        'clean_urls = false\ntrailing_slash = "never"\nspa = true\nimmutable = ["/assets/*", "/*.woff2"]\n'
        'keep_assets_days = 0\nalias_mode = "serve"\nhsts = "max-age=1"\nbuild = "../dist"\n'
    )
    assert parse_project_file(text) == ProjectFile(
        SiteSettings(
            "blog",
            ("example.com",),
            clean_urls=False,
            trailing_slash="never",
            spa=True,
            immutable=("/assets/*", "/*.woff2"),
            keep_assets_days=0,
            alias_mode="serve",
            hsts="max-age=1",
        ),
        build="../dist",
    )


def test_forms_of_the_file():
    """Bytes, a byte-order mark, CRLF, dotted keys and inline tables are all TOML to us."""
    expected = parse_project_file(PLAIN)
    assert parse_project_file(b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode()) == expected
    assert parse_project_file('site.name = "blog"\nsite.hostnames = ["example.com"]') == expected
    assert parse_project_file('site = {name = "blog", hostnames = ["EXAMPLE.com."]}') == expected


def test_hostnames_are_made_plain():
    """Hostnames become lower-case ASCII; the first stays the canonical one."""
    text = '[site]\nname = "b"\nhostnames = ["WWW.Example.COM", "bücher.example"]'
    assert parse_project_file(text).site.hostnames == ("www.example.com", "xn--bcher-kva.example")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("clean_url = true", "unknown key `clean_url` in [site]; did you mean `clean_urls`?"),
        ("Spa = true", "unknown key `Spa` in [site]; did you mean `spa`?"),
        ('host = ["a.example"]', "unknown key `host` in [site]; did you mean `hostnames`?"),
        ("spar = 1", "unknown key `spar` in [site]; did you mean `spa`?"),
        ("zzz = 1", "unknown key `zzz` in [site]; the nearest known one is `trailing_slash`"),
        ('fleet = "x"', "unknown key `fleet` in [site]; it belongs at the top, before [site]"),
        ('clean_urls = "true"', "`clean_urls` is true or false, not 'true'"),
        ("spa = 1", "`spa` is true or false, not 1"),
        ('trailing_slash = "sometimes"', "`trailing_slash` is 'auto' or 'always' or 'never', not 'sometimes'"),
        ("trailing_slash = true", "`trailing_slash` is 'auto' or 'always' or 'never', not True"),
        ('alias_mode = "Serve"', "`alias_mode` is 'redirect' or 'serve', not 'Serve'"),
        ("keep_assets_days = -1", "`keep_assets_days` is a number of days from 0 to 365, not -1"),
        ("keep_assets_days = 366", "`keep_assets_days` is a number of days from 0 to 365, not 366"),
        ("keep_assets_days = 7.0", "`keep_assets_days` is a number of days from 0 to 365, not 7.0"),
        ("keep_assets_days = true", "`keep_assets_days` is a number of days from 0 to 365, not True"),
        ('build = ""', "`build` is a folder, relative to this file, not ''"),
        ("build = 5", "`build` is a string, not 5"),
        (
            'immutable = "yes"',
            '`immutable` is "auto" or a list of path patterns, as in ["/assets/*"], not \'yes\'',
        ),
        ("immutable = [1]", '`immutable` is "auto" or a list of path patterns, as in ["/assets/*"], not [1]'),
        ('immutable = ["assets/*"]', "`immutable`: a path pattern begins with a slash, not 'a'"),
        ('immutable = ["/a", "/a/"]', "`immutable` names '/a' twice"),
        (
            'hsts = "includeSubDomains"',
            '`hsts` is a value of Strict-Transport-Security such as "max-age=31536000", but `max-age` is missing',
        ),
        ("hsts = 31536000", "`hsts` is a string, not 31536000"),
    ],
)
def test_refused(line, message):
    """What the file cannot say is refused, with the line of the key and exactly this reason."""
    assert problems(f"{PLAIN}\n# comment\n{line}\n") == [(6, message)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('""', "''"),
        ('"Blog"', "'Blog'"),
        ('"a.b"', "'a.b'"),
        ('"-a"', "'-a'"),
        ("3", None),
        ('"' + "a" * 64 + '"', "a"),
    ],
)
def test_site_names(name, shown):
    """The name of a site is a slug that fits a DNS label."""
    ((line, message),) = problems(f'[site]\nname = {name}\nhostnames = ["example.com"]\n')
    assert line == 2
    if shown is None:
        assert message == "`name` is a string, not 3"
    else:
        assert message.startswith("`name` is 1 to 63 lower-case letters, digits and inner hyphens, not ")
        assert shown in message


@pytest.mark.parametrize(
    ("hostnames", "message"),
    [
        ("[]", "`hostnames` is empty; a site has at least one"),
        ('"example.com"', "`hostnames` is a list of names, as in [\"example.com\"], not 'example.com'"),
        ("[1]", '`hostnames` is a list of names, as in ["example.com"], not [1]'),
        ('["a.example", "A.EXAMPLE."]', "`hostnames` names 'a.example' twice"),
        ('["192.0.2.1"]', "`hostnames`: '192.0.2.1' is an IP address, not a hostname"),
        ('["https://a.example"]', "`hostnames`: 'https://a.example' is a URL or path; a hostname is only its host"),
        ('["a.example:80"]', "`hostnames`: 'a.example:80' has a port; a site is served on the ports of its edges"),
        ('["*.example"]', "`hostnames`: '*.example' is a wildcard; name each hostname"),
        ('[""]', "`hostnames`: a hostname is empty"),
        (
            '["a_b.example"]',
            "`hostnames`: 'a_b.example' is not a hostname: 'a_b' is not 1 to 63 letters, digits and inner hyphens",
        ),
        (
            '["straße.example"]',
            "`hostnames`: 'straße.example' cannot be turned into an ASCII hostname without doubt; write its xn-- form",
        ),
    ],
)
def test_hostnames_refused(hostnames, message):
    """A site has at least one hostname, each once, each a hostname."""
    assert problems(f'[site]\nname = "blog"\nhostnames = {hostnames}\n') == [(3, message)]


def test_missing():
    """The table, the name and the hostnames must be there."""
    assert problems("") == [(0, "there is no [site]")]
    assert problems("site = 3") == [(1, "`site` is a table: write [site]")]
    assert problems('fleet = "x"\n[site]\n') == [
        (2, "`hostnames` is missing in [site]"),
        (2, "`name` is missing in [site]"),
    ]


def test_all_problems_at_once():
    """Every problem of the file is reported with the line of its key, also within a list over several lines."""
    text = (
        'flet = "x"\nname = "y"\n\n[site]\nname = "Blog!"\nhostnames = [\n  "a.example",\n  "b_.example",\n'
        '  "A.example",\n]\nspa = "no"\nhsts = "x"\n[sites]\na = 1\n'
    )
    assert problems(text) == [
        (1, "unknown key `flet`; did you mean `fleet`?"),
        (2, "unknown key `name`; it belongs under [site]"),
        (5, "`name` is 1 to 63 lower-case letters, digits and inner hyphens, not 'Blog!'"),
        (8, "`hostnames`: 'b_.example' is not a hostname: 'b_' is not 1 to 63 letters, digits and inner hyphens"),
        (9, "`hostnames` names 'a.example' twice"),
        (11, "`spa` is true or false, not 'no'"),
        (12, '`hsts` is a value of Strict-Transport-Security such as "max-age=31536000", but `max-age` is missing'),
        (13, "unknown key `sites`; did you mean `site`?"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[site\n", 1, "not TOML: Expected ']' at the end of a table declaration"),
        ("[site]\nname = \n", 2, "not TOML: Invalid value"),
        ('[site]\nname = "a"\nname = "b"\n', 3, "not TOML: Cannot overwrite a value"),
        (b"[site]\nname = '\xff'\n", 2, "not UTF-8: byte 0xff"),
    ],
)
def test_not_toml(text, line, message):
    """What is no TOML is refused with the line at which it stops being it."""
    assert problems(text) == [(line, message)]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("max-age=31536000", None),
        ("max-age=0; includeSubDomains; preload", None),
        ('MAX-AGE="5" ;', None),
        ("max-age=1; x=y", None),
        ("", "`max-age` is missing"),
        ("max-age", "`max-age` is a number of seconds"),
        ("max-age=-1", "`max-age` is a number of seconds"),
        ("max-age=1; max-age=2", "`max-age` is given twice"),
        ("max-age=1, includeSubDomains", "'max-age=1, includeSubDomains' is not a directive"),
        ("max-age=1\r\nX: y", "'max-age=1\\r\\nX: y' is not a directive"),
        ('max-age=1; a="\n"', "'a=\"\\n\"' is not a directive"),
    ],
)
def test_hsts(value, wrong):
    """The syntax of RFC 6797 section 6.1; nothing that could end a header line."""
    assert check_hsts(value) == wrong


PIECES = st.sampled_from(
    ["[site]", "name", "=", '"a"', "hostnames", "[", "]", '"x.example"', ",", "\n", "{", "}", "hsts"]
)


TEXTS = st.text(max_size=60) | st.lists(PIECES, max_size=20).map("".join) | st.binary(max_size=60)


@given(TEXTS)
def test_any_text(text):
    """Whatever the text, the result is a project file or InputError with lines that exist, never another exception."""
    refuse_or_parse(text)


@pytest.mark.long
@settings(max_examples=20_000)
@given(TEXTS)
def test_any_text_at_length(text):
    """The same for many more texts."""
    refuse_or_parse(text)


def refuse_or_parse(text):
    """A project file or InputError, nothing else; lines are within the file."""
    lines = [0]
    try:
        parse_project_file(text)
    except InputError as error:
        lines = [problem.line for problem in error.problems] or [-1]
    newline = b"\n" if isinstance(text, bytes) else "\n"
    assert all(0 <= line <= text.count(newline) + 1 for line in lines)


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        (PLAIN, set()),
        (PLAIN + "spa = 1\nclean_urls = false\n", {"spa"}),
        (PLAIN + "clean_url = false\n", {"clean_url", "clean_urls"}),
        ('[site]\nname = "blog"\n', {"hostnames", "site"}),
        ('fleet = "home"\n[site]\n# build = "public"\nspa = yes\n', {"name", "hostnames", "fleet", "site", "spa"}),
        ('build = "public"\n', {"build", "name", "hostnames"}),
    ],
    ids=["nothing", "a wrong value", "a misspelt key", "a missing key", "not TOML", "no table"],
)
def test_what_could_not_be_read_is_named(text, unread):
    """The other settings are what the file says, or the default where it says nothing."""
    read = read_project(text)
    assert read.unread == unread
    assert bool(read.problems) == bool(unread)
    assert read.project.site.clean_urls == ("clean_urls = false" not in text)
