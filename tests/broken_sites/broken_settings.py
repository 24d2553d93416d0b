"""The broken `edgeward.toml` of the table, beside other things that are wrong: what the program says of all of it.

Each case is (name, edgeward.toml, other files of the folder, lines after the sentence about the folder). The folder
holds a good `index.html` and `about.html` as well. `{file}` in a message is edgeward.toml.
"""

from typing import NamedTuple

SITE = '[site]\nname = "blog"\nhostnames = ["example.test"]\n'
STATUSES = "there are 200, 301, 302, 303, 307, 308, 404, 410, 451, each with an optional `!`"
NO_LABEL = "is not 1 to 63 letters, digits and inner hyphens"
LOOP = "_redirects:1: a loop: redirects to itself for ever"


class BrokenSettings(NamedTuple):
    name: str
    toml: str | bytes
    files: dict[str, str]
    says: tuple[str, ...]


SETTINGS = [
    BrokenSettings(
        "settings, rules, headers and files at once",
        SITE + "keep_assets_days = 400\n",
        {
            "_redirects": "/a /a\n/b /:c\nhttps://other.test/x /about\n",
            "_headers": "/*\n  just words\n",
            "about": "x",
            "a\nb.html": "x",
        },
        (
            "_headers:2: `just words` is neither `Name: value` nor `! Name` nor a path",
            LOOP,
            "_redirects:2: `:c` in `/:c` is bound by nothing (a literal colon is written %3A)",
            "_redirects:3: 'other.test' is not one of the site's hostnames (example.test)",
            "a\\nb.html: the path holds a control character (U+000A)",
            "about.html: claims the URL /about, which `about` has already",
            "{file}:4: `keep_assets_days` is a number of days from 0 to 365, not 400",
        ),
    ),
    BrokenSettings(
        "what follows from a hostname that could not be read is no problem",
        '[site]\nname = "blog"\nhostnames = ["example.test", "not a host"]\n',
        {"_redirects": "https://www.test/x /about\n/api https://www.test/about 200\n/b /about 299\n"},
        (
            f"_redirects:3: unknown status `299`; {STATUSES}",
            f"{{file}}:3: `hostnames`: 'not a host' is not a hostname: 'not a host' {NO_LABEL}",
        ),
    ),
    BrokenSettings(
        "what follows from a misspelt setting is no problem",
        SITE + "clean_url = false\n",
        {"about": "x", "_redirects": "/a /b\n/f/* /f/:splat\n"},
        (
            "_redirects:2: a loop: redirects to itself for ever",
            "{file}:4: unknown key `clean_url` in [site]; did you mean `clean_urls`?",
        ),
    ),
    BrokenSettings(
        "no hostnames",
        '[site]\nname = "Blog!"\n',
        {"_redirects": "/a 301\n"},
        (
            "_redirects:1: status 301 needs a target",
            "{file}:1: `hostnames` is missing in [site]",
            "{file}:2: `name` is 1 to 63 lower-case letters, digits and inner hyphens, not 'Blog!'",
        ),
    ),
    BrokenSettings(
        "no site",
        'name = "blog"\nhostnames = ["example.test"]\n',
        {"_headers": "/*\n  X A: b\n"},
        (
            "_headers:2: `X A` is not a header name (letters, digits and !#$%&'*+-.^_`|~)",
            "{file}: there is no [site]",
            "{file}:1: unknown key `name`; it belongs under [site]",
            "{file}:2: unknown key `hostnames`; it belongs under [site]",
        ),
    ),
    BrokenSettings(
        "not TOML",
        '[site]\nname = "blog\nhostnames = ["example.test"]\n',
        {"_redirects": "https://example.test/a /about\n/b 301\n"},
        ("_redirects:2: status 301 needs a target", "{file}:2: not TOML: Illegal character '\\n'"),
    ),
    BrokenSettings(
        "not UTF-8",
        SITE.encode() + b"# caf\xe9\n",
        {"_redirects": "/b 301\n"},
        ("_redirects:1: status 301 needs a target", "{file}:4: not UTF-8: byte 0xe9"),
    ),
    BrokenSettings(
        "a build folder that does not exist",
        SITE + 'build = "dist"\nspa = 1\n',
        {"_redirects": "/b 301\n"},
        ("the folder to publish, {folder}/dist, does not exist", "{file}:5: `spa` is true or false, not 1"),
    ),
    BrokenSettings(
        "nobody knows what is published",
        '[site]\nname = "blog\nbuild = "dist"\n',
        {"_redirects": "/b 301\n"},
        ("{file}:2: not TOML: Illegal character '\\n'",),
    ),
]
