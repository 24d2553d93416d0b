"""Nasty sites and nasty requests out of a seed: the same seed gives the same ones on every machine."""

import random
import re
from collections.abc import Callable

from conformance.sites import Built, Site, build
from conformance.wire import Ask
from edgeward.core.exchange import Request
from edgeward.core.headers import parse_headers
from edgeward.core.redirects import parse_redirects
from edgeward.core.resolve import View, resolve
from edgeward.core.site import SiteSettings
from edgeward.core.urls import url_path
from edgeward.errors import InputError

NAMES = (
    "a", "b", "A", "about", "About", "docs", "index", "ünï", "日本", "a b", "a%20b", "100%", "$uri", "$1", "${host}", "{x}",
    "semi;colon", "#h", "q?q", "it's", 'quo"te', "back`tick", "back\\slash", "~t", "[x]", "a.b", "v1.0", "-", "_", ":c", "*",
    "a+b", "x&y=z", "@", "(p)", "!", "<t>", "pi|pe", "ca^ret", "\u00a0", "e\u0301", "é", "🚀", "a..b", "x.", "404", "br", "gzip",
)  # fmt: skip
SUFFIXES = (
    "", "", ".html", ".html", ".html", ".txt", ".js", ".css", ".png", ".json", ".HTML", ".htm", ".js.map", ".html.html", ".unknown",
    ".3f2a9c1b.js", ".B3xK9dQz.css", "-0a1b2c3d4e.woff2", ".gz", ".br",
)  # fmt: skip
VALUES = (
    "plain", "DENY", "$uri $1 ${host} $$", '"double" and \'single\'', "{a; b} }", "back\\slash \\n \\\" \\", "a # b", "%20 %zz %",
    "grüße €", ":splat", "[:x] :y :xx :nobody", "a, b", "no-cache", "max-age=5", "; } server {", "`back`", "*", "a:b://c", "\\$",
    "/:splat/:x", "text/plain", "<>|^~", "x" * 200,
)  # fmt: skip
FIELDS = (
    "X-A", "x-a", "X-B", "X-C", "Cache-Control", "Set-Cookie", "Expires", "Referrer-Policy", "X-Content-Type-Options", "X-Edgeward",
    "Content-Type", "Strict-Transport-Security", "Access-Control-Allow-Origin", "Content-Security-Policy", "Link",
)  # fmt: skip
RUDE_QUERIES = ('id=a"b', "id=\xe9", "x=<y>&id=1", "id=a`b^c\\d", "\xff\xfe")
"""What no client should send (RFC 3986), and some do: an engine may refuse it."""
ENCODINGS = (
    "", "br", "gzip", "gzip, br", "br;q=0", "*", "*;q=0", "br;q=0.5, gzip;q=0", "identity", "GZIP", "gzip;q=0.0, *", "br ;q=1",
    "deflate", "br;x=1", ",,br", "br;q=0.0001", "x-gzip", "gzip;q=1.0,br;q=0.000",
)  # fmt: skip
LANGUAGES = ("de", "de-CH, en", "fr;q=0.5,de", "EN", "*", "", "d", "zh-Hans", "de_DE", " fr", "-", "deutsch1")
COOKIES = ("a=1", "b=2; a=", "A=1", "xa=1", "c", "b=a=1", "", 'a="1"; c=3', ";a=1", "c=1;a=2")
QUERIES = (
    "", "", "", "x=1", "id=7", "id=", "id=a/b", "id=%2e%2e", "id=..", "id=1&id=2", "x=1&id=7&y", "&id=7&", "ID=7",
    "kind=book&id=9", "kind=film", "a=//b", "q=%zz%00", "id=a'b;c", "id=$1", "id=a%20b&kind=book", "?",
    "é".encode().decode("latin-1"), "id=index", "id=about&&", "id=a+b&x=&", "id=x=y", "xid=7&id", "kind=book",
    "kind=book&kind=film", "#frag", "id=1#f", "id=a%22b", "x=2&x=1&kind=book", "id={x}|y", "id=[1]",
)  # fmt: skip


class Maker:
    """Makes sites and requests from one seed."""

    def __init__(self, seed: int, *, rude: bool) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self._queries = QUERIES + RUDE_QUERIES if rude else QUERIES
        self._must_escape = "%?#" if rude else '%?#"<>\\^`{|}'

    def site(self, number: int) -> Site:
        """A site with files, rules, headers and settings that the parsers accept."""
        pick = self.random
        names = tuple(pick.sample(NAMES, 12))
        hosts = tuple(f"{word}{number}-{self.seed}.test" for word in ("s", "www", "x")[: pick.randint(1, 3)])
        settings = {
            "hostnames": hosts,
            "clean_urls": pick.random() < 0.8,
            "trailing_slash": pick.choice(("auto", "auto", "always", "never")),
            "spa": pick.random() < 0.25,
            "immutable": pick.choice((None, None, (), ("/docs/*", "/a/:x"), ("/*.js",))),
            "alias_mode": pick.choice(("redirect", "serve")),
        }
        name = f"s{number}-{self.seed}"
        files = self._files(names, SiteSettings(**{"name": name, **settings}))
        sources = [path for path in files if pick.random() < 0.5]
        return Site(
            name,
            files,
            redirects=self._rules(names, sources, hosts),
            headers=self._headers(names, sources),
            settings=settings,
            kept=self._kept(names, files),
        )

    def _folder(self, names: tuple[str, ...]) -> str:
        return "/" + "".join(f"{self.random.choice(names)}/" for _ in range(self.random.choice((0, 0, 1, 1, 2))))

    def _files(self, names: tuple[str, ...], settings: SiteSettings) -> dict[str, bytes]:
        pick = self.random
        files: dict[str, bytes] = {}
        taken: set[str] = set()
        for _ in range(pick.randint(3, 25)):
            folder = self._folder(names)
            stem = pick.choice((*names, "index", "index", "404"))
            path = folder + stem + (".html" if stem in {"index", "404"} else pick.choice(SUFFIXES))
            url = url_path(settings, path)
            parents = {path[:at] for at in range(1, len(path)) if path[at] == "/"}
            if path in files or url in taken or parents & files.keys() or any(f.startswith(path + "/") for f in files):
                continue
            taken.add(url)
            files[path] = self._data(path)
        return files

    def _data(self, path: str) -> bytes:
        kind = self.random.random()
        if kind < 0.05:
            return b""
        return f"the file {path}\n".encode() * (1 if kind < 0.3 else 30)

    def _kept(self, names: tuple[str, ...], files: dict[str, bytes]) -> dict[str, bytes]:
        pick = self.random
        kept: dict[str, bytes] = {}
        for _ in range(pick.randint(0, 4)):
            path = (
                self._folder(names)
                + pick.choice(names)
                + pick.choice((".0a1b2c3d.js", "-9f8e7d6c5b.css", ".abcdef12.woff2"))
            )
            path = pick.choice((path, path, path, pick.choice(list(files))))
            if not any(path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in kept):
                kept[path] = f"kept {path}\n".encode() * 30
        return kept

    def _pattern(self, names: tuple[str, ...], sources: list[str], *, glob: bool = False) -> tuple[str, list[str]]:
        """A pattern and the names that it binds."""
        pick = self.random
        if sources and pick.random() < 0.35:
            path = pick.choice(sources).replace("%", "%25").replace(" ", "%20").replace("#", "%23").replace("?", "%3F")
            path = path.replace("*", "%2A").replace("/:", "/%3A").replace("\u00a0", "%C2%A0")
            return pick.choice((path, path.removesuffix(".html"), path.removesuffix("index.html"))) or "/", []
        parts: list[str] = []
        bound: list[str] = []
        for name in ("x", "y", "z")[: pick.randint(0, 3)]:
            if pick.random() < 0.4:
                parts.append(f":{name}")
                bound.append(name)
            else:
                text = (
                    pick.choice(names).replace("%", "%25").replace(" ", "%20").replace("#", "%23").replace("?", "%3F")
                )
                parts.append(text.replace("*", "%2A").replace(":", "%3A").replace("\u00a0", "%C2%A0"))
        if pick.random() < 0.35:
            parts.append("*")
            bound.append("splat")
        elif glob and pick.random() < 0.2:
            parts.append(pick.choice(("*.js", "a*", "*.html", "x*y")))
            bound.append("splat")
        return "/" + "/".join(parts) + pick.choice(("", "", "/")), bound

    def _rules(self, names: tuple[str, ...], sources: list[str], hosts: tuple[str, ...]) -> str:
        pick = self.random
        lines = [self._rule(names, sources, hosts) for _ in range(pick.choice((0, 2, 5, 12, 30)))]
        if pick.random() < 0.3:
            # So many that an engine looks them up by path, some that differ in nothing but case.
            for _ in range(pick.randint(9, 40)):
                source, _ = self._pattern(names, sources)
                source = re.sub(r"/:\w+|/\*", f"/{pick.choice(('p', 'P', 'about', 'ABOUT'))}", source)
                target = self._target(names, sources, [], page=False)
                lines.append(
                    f"{source} {target} {pick.choice((301, 302, 410, 200, 404))}{pick.choice(('', '', '', '!'))}"
                )
            pick.shuffle(lines)
        return _accepted(lines, lambda text: parse_redirects(text, hostnames=hosts))

    def _rule(self, names: tuple[str, ...], sources: list[str], hosts: tuple[str, ...]) -> str:
        pick = self.random
        source, bound = self._pattern(names, sources)
        params = []
        if pick.random() < 0.25:
            for name, wanted in pick.sample((("id", ":id"), ("kind", "book"), ("x", ":px")), pick.randint(1, 2)):
                params.append(f"{name}={wanted}")
                if wanted.startswith(":"):
                    bound.append(wanted[1:])
        status = pick.choice((301, 302, 303, 307, 308, 200, 200, 200, 404, 410, 451))
        target = self._target(names, sources, bound, page=status in {200, 404, 410, 451})
        if status in {404, 410, 451} and pick.random() < 0.4:
            target = ""
        conditions = [f"Language={pick.choice(('de', 'fr,en', 'zh'))}"] if pick.random() < 0.15 else []
        conditions += [f"Cookie={pick.choice(('a', 'b,c'))}"] if pick.random() < 0.15 else []
        if pick.random() < 0.1:
            source = f"https://{pick.choice(hosts)}{source}"
        force = "!" if pick.random() < 0.2 else ""
        return " ".join((source, *params, target, f"{status}{force}", *conditions))

    def _target(self, names: tuple[str, ...], sources: list[str], bound: list[str], *, page: bool) -> str:
        pick = self.random
        if page and sources and pick.random() < 0.6:
            return (
                pick.choice(sources)
                .replace("%", "%25")
                .replace(" ", "%20")
                .replace("#", "%23")
                .replace("?", "%3F")
                .replace("/:", "/%3A")
            )
        parts = []
        for _ in range(pick.randint(1, 3)):
            if bound and pick.random() < 0.6:
                parts.append(
                    f"{pick.choice(('', '', 'p-'))}:{pick.choice(bound)}{pick.choice(('', '', '.html', '-s'))}"
                )
            else:
                text = (
                    pick.choice(names).replace("%", "%25").replace(" ", "%20").replace("#", "%23").replace("?", "%3F")
                )
                parts.append(text.replace(":", "%3A").replace("\u00a0", "%C2%A0"))
        path = "/" + "/".join(parts) + pick.choice(("", "", "/"))
        if page:
            return path
        query = pick.choice(("", "", "", "?own=1", f"?v=:{bound[0]}" if bound else "?", "?"))
        return (
            pick.choice(("", "", "https://other.test", "http://o.test:81"))
            + path
            + query
            + pick.choice(("", "", "", "#f"))
        )

    def _headers(self, names: tuple[str, ...], sources: list[str]) -> str:
        pick = self.random
        lines: list[str] = []
        for _ in range(pick.choice((0, 1, 3, 8))):
            lines.append(pick.choice(("/*", self._pattern(names, sources, glob=True)[0])))
            for _ in range(pick.randint(1, 4)):
                name = pick.choice(FIELDS)
                lines.append(f"  ! {name}" if pick.random() < 0.2 else f"  {name}: {pick.choice(VALUES)}")
        return _accepted(lines, parse_headers)

    # ------------------------------------------------------------------------------------------------------ requests

    def ask(self, built: Built, view: View) -> Ask:
        """A request to a site."""
        pick = self.random
        path = self._wanted(built)
        target = self._spelled(path)
        query = pick.choice(self._queries)
        target += f"?{query}" if query else pick.choice(("", "", "", "?"))
        host = pick.choice(built.site.hostnames) if pick.random() < 0.3 else built.site.hostnames[0]
        host += pick.choice(("",) * 12 + (":8080", ":80", ".", ":"))
        if pick.random() < 0.02:
            host = pick.choice(("nobody.test", "127.0.0.1", "[::1]"))
        if pick.random() < 0.02:
            target = "http://" + host + target
        method = pick.choice(("GET",) * 30 + ("HEAD", "HEAD", "HEAD", "OPTIONS", "POST", "DELETE"))
        headers = self._fields(built, view, Request("GET", built.site.hostnames[0], target))
        if method in {"POST", "DELETE"}:
            headers.append(("Content-Length", "0"))
        return Ask(target, host, method, tuple(headers), pick.choice(("1.1",) * 9 + ("1.0",)))

    def _wanted(self, built: Built) -> str:
        """A decoded path that something in the site may have to do with."""
        pick = self.random
        paths = [*built.site.files, *built.site.kept, "/", "/nothing"]
        path = pick.choice(paths)
        if built.manifest.redirects and pick.random() < 0.45:
            path = self._instance(pick.choice(built.manifest.redirects).source)
        elif built.manifest.headers and pick.random() < 0.2:
            path = self._instance(pick.choice(built.manifest.headers).pattern)
        changes: tuple[Callable[[str], str], ...] = (
            lambda text: text,
            lambda text: text,
            lambda text: text.removesuffix(".html"),
            lambda text: text.removesuffix("index.html"),
            lambda text: text.removesuffix("/index.html"),
            lambda text: text + "/",
            lambda text: text.removesuffix(".html") + "/",
            lambda text: text + ".html",
            lambda text: text.rstrip("/") + "/index",
            lambda text: text.rstrip("/") + "/index.html",
            lambda text: text.rpartition("/")[0] + "/",
            lambda text: text.rpartition("/")[0] + "/missing" + pick.choice(SUFFIXES),
            lambda text: text + "/" + pick.choice(NAMES),
            str.swapcase,
        )
        return pick.choice(changes)(path) or "/"

    def _instance(self, pattern: str) -> str:
        pick = self.random
        parts = []
        for part in pattern.split("/")[1:]:
            if part.startswith(":"):
                parts.append(pick.choice((*NAMES, "index.html", "about")))
            elif part == "*":
                parts.append("/".join(pick.choice(NAMES) for _ in range(pick.randint(0, 2))))
            elif "*" in part:
                parts.append(part.replace("*", pick.choice(("", "a", "a/b"))))
            else:
                parts.append(part.replace("%2A", "*").replace("%3A", ":").replace("%25", "%"))
        return "/" + "/".join(parts)

    def _spelled(self, path: str) -> str:
        """One of the many ways to write a path."""
        pick = self.random
        style = pick.random()
        made = ""
        for byte in path.encode():
            char = chr(byte)
            if byte <= 0x20 or byte == 0x7F or char in self._must_escape:
                made += f"%{byte:02x}" if style < 0.5 else f"%{byte:02X}"
            elif char == "/" and style < 0.12 and made:
                made += pick.choice(("/", "%2F", "%2f", "//", "/./", "/x/../", "/%2e/"))
            elif byte >= 0x80:
                made += char if style > 0.8 else f"%{byte:02X}"
            else:
                made += f"%{byte:02X}" if style < 0.3 and char != "/" and pick.random() < 0.3 else char
        if style > 0.985:
            made += pick.choice(("%", "%f", "%00", "%ff", "%0a", "/../../../../..", "%C3%28", "/..", "/."))
        return made

    def _fields(self, built: Built, view: View, request: Request) -> list[tuple[str, str]]:
        pick = self.random
        fields: list[tuple[str, str]] = []
        if pick.random() < 0.6:
            fields.append(("Accept-Encoding", pick.choice(ENCODINGS)))
        if pick.random() < 0.3:
            fields.append(("Accept-Language", pick.choice(LANGUAGES)))
        if pick.random() < 0.3:
            fields.append(("Cookie", pick.choice(COOKIES)))
            if pick.random() < 0.2:
                fields.append(("Cookie", pick.choice(COOKIES)))
        if pick.random() < 0.5:
            answer = resolve(view, Request("GET", request.host, request.target, tuple(fields)))
            fields += self._conditions(answer.field("etag") or '"0-0"', answer.field("last-modified") or "never")
        if pick.random() < 0.05:
            fields.append(("Via", "1.1 proxy"))
        return fields

    def _conditions(self, etag: str, modified: str) -> list[tuple[str, str]]:
        pick = self.random
        fields: list[tuple[str, str]] = []
        if pick.random() < 0.4:
            fields.append(
                ("If-None-Match", pick.choice((etag, f"W/{etag}", f'"x", {etag}', "*", '"x"', etag.strip('"'), "W/*")))
            )
        if pick.random() < 0.3:
            fields.append(("If-Modified-Since", pick.choice((modified, "Tue, 14 Nov 2023 22:13:20 GMT", "no date"))))
        if pick.random() < 0.1:
            fields.append(("If-Match", pick.choice((etag, f"W/{etag}", "*", '"x"'))))
        if pick.random() < 0.1:
            fields.append(("If-Unmodified-Since", pick.choice((modified, "Tue, 14 Nov 2023 22:13:20 GMT"))))
        if pick.random() < 0.4:
            forms = (
                "0-3",
                "5-",
                "-4",
                "-0",
                "0-",
                "999999-",
                "3-1",
                "0-0,2-3",
                "0-0,99999-",
                "x",
                "-",
                "7-7",
                "1-99999999999999999999",
            )
            fields.append(("Range", "bytes=" + pick.choice(forms)))
            if pick.random() < 0.4:
                fields.append(("If-Range", pick.choice((etag, f"W/{etag}", modified, '"x"', "no date"))))
        return fields


def _accepted(lines: list[str], parse: Callable[[bytes], object]) -> str:
    """The lines without those that the parser refuses."""
    while True:
        text = "".join(f"{line}\n" for line in lines)
        try:
            parse(text.encode())
        except InputError as error:
            bad = {problem.line for problem in error.problems}
            if not bad or 0 in bad:
                raise
            lines = [line for number, line in enumerate(lines, 1) if number not in bad]
        else:
            return text


def make_sites(seed: int, count: int, *, rude: bool) -> tuple[Maker, list[Built]]:
    """`count` sites from a seed, and the maker that goes on from there."""
    maker = Maker(seed, rude=rude)
    return maker, [build(maker.site(number)) for number in range(count)]
