"""SITE-FORMAT section 2: from URL to entry, in every mode, and what is done with paths before that."""

from conformance.case import Case, case
from conformance.sites import Site, named

_PAGES = named(
    "/index.html", "/about.html", "/plain", "/team/index.html", "/docs/index.html", "/docs/guide.html",
    "/docs/deep/page.html", "/x.html.html", "/a.b/index.html", "/data.txt", "/UPPER.HTML", "/old.htm", "/docs/index.txt",
    "/404.html", "/docs/404.html", "/.well-known/security.txt",
)  # fmt: skip

AUTO = Site("auto", _PAGES)
ALWAYS = Site("always", _PAGES, settings={"trailing_slash": "always"})
NEVER = Site("never", _PAGES, settings={"trailing_slash": "never"})
EXACT = Site("exact", _PAGES, settings={"clean_urls": False})
NESTED = Site("nested", named("/index.html", "/index/index.html", "/a/index.html", "/a/index/index.html"))
ERRORS = Site("errors", named("/index.html", "/404.html", "/a/404.html", "/a/b/404.html", "/a/b/c/d/404.html"))
BARE = Site("bare", named("/index.html"))
ODD_NAMES = (
    "/space name.html", "/ünï/cödé.txt", "/100%.txt", "/question?.txt", "/hash#.txt", '/quote".txt', "/back\\slash.txt",
    "/brace{x}.txt", "/$uri.txt", "/~tilde.txt", "/[b].txt", "/a+b&c=d;e,f.txt", "/apo'strophe.txt", "/(p)!*@:.txt",
    "/less<more>.txt", "/back`tick^bar|.txt", "/%20.txt", "/日本語.html", "/🚀.txt", "/e\u0301.txt", "/\u00e9.txt", "/nbsp\u00a0.txt",
    "/a..txt", "/a .txt", "/$1.txt", "/${host}.txt", "/semi;colon.txt", "/index.html.txt", "/-", "/_", "/x.",
)  # fmt: skip
ODD = Site("odd", named("/index.html", *ODD_NAMES))


def _hex(path: str) -> str:
    return "".join(f"%{byte:02x}" if byte not in b"/" else "/" for byte in path.encode())


def _raw(path: str) -> str:
    """As a careless client sends it: only what would end or break the path is encoded."""
    return "".join(f"%{byte:02X}" if byte in b' %?#"<>\\^`{|}' else chr(byte) for byte in path.encode())


CASES: list[Case] = [
    case("the root is index.html", AUTO, "/", serves="/index.html"),
    case(
        "a file without extension answers itself",
        AUTO,
        "/plain",
        serves="/plain",
        content_type="application/octet-stream",
    ),
    case("/about is about.html", AUTO, "/about", serves="/about.html", content_type="text/html; charset=utf-8"),
    case("/team with only team/index.html goes to /team/", AUTO, "/team", 308, to="/team/"),
    case("/team/ is team/index.html", AUTO, "/team/", serves="/team/index.html"),
    case("/about/ with only about.html goes to /about", AUTO, "/about/", 308, to="/about"),
    case("/about.html goes to /about", AUTO, "/about.html", 308, to="/about"),
    case("/team/index.html goes to /team/", AUTO, "/team/index.html", 308, to="/team/"),
    case("/team/index goes to /team/", AUTO, "/team/index", 308, to="/team/"),
    case("/index.html goes to /", AUTO, "/index.html", 308, to="/"),
    case("/index goes to /", AUTO, "/index", 308, to="/"),
    case("/index/ goes to / in one step", AUTO, "/index/", 308, to="/"),
    case("/docs/index/ goes to /docs/ in one step", AUTO, "/docs/index/", 308, to="/docs/"),
    case("a page in a folder", AUTO, "/docs/guide", serves="/docs/guide.html"),
    case("a page in a folder by its file name", AUTO, "/docs/guide.html", 308, to="/docs/guide"),
    case("a page two folders down", AUTO, "/docs/deep/page", serves="/docs/deep/page.html"),
    case("a folder without an index is not found", AUTO, "/docs/deep/", 404, serves="/docs/404.html"),
    case("a folder without an index, without slash", AUTO, "/docs/deep", 404, serves="/docs/404.html"),
    case("a folder with a dot in its name", AUTO, "/a.b", 308, to="/a.b/"),
    case("a folder with a dot in its name, with slash", AUTO, "/a.b/", serves="/a.b/index.html"),
    case("a page whose name ends in .html.html", AUTO, "/x.html", serves="/x.html.html"),
    case("a page whose name ends in .html.html, in full", AUTO, "/x.html.html", 308, to="/x.html"),
    case("a file is not a folder", AUTO, "/plain/", 404, serves="/404.html"),
    case("a text file with a slash behind is not found", AUTO, "/data.txt/", 404, serves="/404.html"),
    case("a text file answers itself", AUTO, "/data.txt", serves="/data.txt", content_type="text/plain; charset=utf-8"),
    case("the extension .HTML is no page's", AUTO, "/UPPER.HTML", serves="/UPPER.HTML"),
    case("so /UPPER is not found", AUTO, "/UPPER", 404, serves="/404.html"),
    case("case matters in paths", AUTO, "/About", 404, serves="/404.html"),
    case(".htm is a file like any other", AUTO, "/old.htm", serves="/old.htm"),
    case("index.txt is a file like any other", AUTO, "/docs/index.txt", serves="/docs/index.txt"),
    case("well-known files are published", AUTO, "/.well-known/security.txt", serves="/.well-known/security.txt"),
    case("the 404 page has a URL like any page", AUTO, "/404", serves="/404.html"),
    case("and its file name leads there", AUTO, "/404.html", 308, to="/404"),
    case("index.html under index.html", AUTO, "/index.html/", 404, serves="/404.html"),
    # Query strings survive every redirect.
    case("a query survives the page redirect", AUTO, "/about.html?a=1&b=%20x", 308, to="/about?a=1&b=%20x"),
    case("a query survives the folder redirect", AUTO, "/team?x", 308, to="/team/?x"),
    case("an empty query leaves nothing", AUTO, "/about.html?", 308, to="/about"),
    case(
        "a query of signs is kept as sent",
        AUTO,
        "/about.html?q=a/b?c=d&&=&$1;'%zz",
        308,
        to="/about?q=a/b?c=d&&=&$1;'%zz",
    ),
    case("a query does not change which entry answers", AUTO, "/about?x=/docs", serves="/about.html"),
    case("a fragment is cut off", AUTO, "/about#x", serves="/about.html"),
    # Nearest 404.html.
    case("nearest 404.html: the folder's own", AUTO, "/docs/nothing", 404, serves="/docs/404.html"),
    case(
        "nearest 404.html: the folder's own, further down", AUTO, "/docs/no/thing/at/all", 404, serves="/docs/404.html"
    ),
    case("nearest 404.html: the deepest of several", ERRORS, "/a/b/c/d/x", 404, serves="/a/b/c/d/404.html"),
    case("nearest 404.html: one in the middle", ERRORS, "/a/b/c/x", 404, serves="/a/b/404.html"),
    case("nearest 404.html: one further up", ERRORS, "/a/x/b/", 404, serves="/a/404.html"),
    case("nearest 404.html: a name that only begins alike", ERRORS, "/a/bc/x", 404, serves="/a/404.html"),
    case("nearest 404.html: in the folder itself", AUTO, "/docs/nothing/", 404, serves="/docs/404.html"),
    case("nearest 404.html: the root's", AUTO, "/team/nothing", 404, serves="/404.html"),
    case(
        "a 404 page keeps no validators' promises",
        AUTO,
        "/nothing",
        404,
        serves="/404.html",
        cache_control="no-store",
        accept_ranges=None,
    ),
    case("no 404.html: the built-in page", BARE, "/nothing", 404, builtin=True, cache_control="no-store"),
    case("no 404.html, deep", BARE, "/a/b/c/d", 404, builtin=True),
    # always
    case("always: / is /", ALWAYS, "/", serves="/index.html"),
    case("always: /about/ is about.html", ALWAYS, "/about/", serves="/about.html"),
    case("always: /about goes to /about/", ALWAYS, "/about", 308, to="/about/"),
    case("always: /about.html goes to /about/", ALWAYS, "/about.html", 308, to="/about/"),
    case("always: /team/ is team/index.html", ALWAYS, "/team/", serves="/team/index.html"),
    case("always: /team goes to /team/", ALWAYS, "/team", 308, to="/team/"),
    case("always: /team/index.html goes to /team/", ALWAYS, "/team/index.html", 308, to="/team/"),
    case("always: /team/index goes to /team/", ALWAYS, "/team/index", 308, to="/team/"),
    case("always: /index.html goes to /", ALWAYS, "/index.html", 308, to="/"),
    case("always: /index/ goes to /", ALWAYS, "/index/", 308, to="/"),
    case("always: files have no slash", ALWAYS, "/data.txt", serves="/data.txt"),
    case("always: a file without extension has no slash", ALWAYS, "/plain", serves="/plain"),
    case("always: nor is one taken away", ALWAYS, "/plain/", 404, serves="/404.html"),
    case("always: query", ALWAYS, "/docs/guide?x=1", 308, to="/docs/guide/?x=1"),
    # never
    case("never: / is /", NEVER, "/", serves="/index.html"),
    case("never: /about is about.html", NEVER, "/about", serves="/about.html"),
    case("never: /about/ goes to /about", NEVER, "/about/", 308, to="/about"),
    case("never: /about.html goes to /about", NEVER, "/about.html", 308, to="/about"),
    case("never: /team is team/index.html", NEVER, "/team", serves="/team/index.html"),
    case("never: /team/ goes to /team", NEVER, "/team/", 308, to="/team"),
    case("never: /team/index.html goes to /team", NEVER, "/team/index.html", 308, to="/team"),
    case("never: /team/index goes to /team", NEVER, "/team/index", 308, to="/team"),
    case("never: /index.html goes to /", NEVER, "/index.html", 308, to="/"),
    case("never: /index goes to /", NEVER, "/index", 308, to="/"),
    case("never: query", NEVER, "/team/?x=1", 308, to="/team?x=1"),
    case("never: a folder without an index", NEVER, "/docs/deep/", 404, serves="/docs/404.html"),
    # clean_urls = false
    case("exact: / is index.html", EXACT, "/", serves="/index.html"),
    case("exact: /index.html too", EXACT, "/index.html", serves="/index.html"),
    case("exact: /about.html is itself", EXACT, "/about.html", serves="/about.html"),
    case("exact: /about is nothing", EXACT, "/about", 404, serves="/404.html"),
    case("exact: /about/ is nothing", EXACT, "/about/", 404, serves="/404.html"),
    case("exact: /team goes to /team/", EXACT, "/team", 308, to="/team/"),
    case("exact: /team/ is team/index.html", EXACT, "/team/", serves="/team/index.html"),
    case("exact: /team/index.html is itself", EXACT, "/team/index.html", serves="/team/index.html"),
    case("exact: /team/index is nothing", EXACT, "/team/index", 404, serves="/404.html"),
    case("exact: /plain is itself", EXACT, "/plain", serves="/plain"),
    # index folders
    case("a folder that is called index", NESTED, "/index/", serves="/index/index.html"),
    case("/index is the root page's other name before a folder's", NESTED, "/index", 308, to="/"),
    case("a folder index under a/index/", NESTED, "/a/index/", serves="/a/index/index.html"),
    # Normalisation: empty and dot segments by a 308 of their own, percent-encoding without.
    case("empty segments are taken out", AUTO, "/docs//guide", 308, to="/docs/guide"),
    case("at the beginning", AUTO, "//docs/guide", 308, to="/docs/guide"),
    case("many of them", AUTO, "////", 308, to="/"),
    case("at the end", AUTO, "/team//", 308, to="/team/"),
    case("a leading // never makes another host", AUTO, "//evil.test/..//%2f/x", 308, to="/x"),
    case("encoded slashes are slashes", AUTO, "/docs%2Fguide", serves="/docs/guide.html"),
    case("two encoded slashes are an empty segment", AUTO, "/docs%2f%2Fguide", 308, to="/docs/guide"),
    case("dot segments are taken out", AUTO, "/docs/./guide", 308, to="/docs/guide"),
    case("dot-dot segments that do not climb", AUTO, "/team/../about", 308, to="/about"),
    case("encoded dots are dots", AUTO, "/team/%2e%2E/about", 308, to="/about"),
    case("a final dot", AUTO, "/team/.", 308, to="/team/"),
    case("a final dot-dot", AUTO, "/team/x/..", 308, to="/team/"),
    case("a query survives that too", AUTO, "/docs//guide?a=//b/../c", 308, to="/docs/guide?a=//b/../c"),
    case("dots in the query alone mean nothing", AUTO, "/about?/../..//", serves="/about.html"),
    case("paths that are altered to nothing known", AUTO, "/no//thing", 308, to="/no/thing"),
    case("climbing is refused", AUTO, "/..", 400, builtin=True),
    case("climbing is refused, deeper", AUTO, "/team/../../x", 400, builtin=True),
    case("climbing is refused, encoded", AUTO, "/%2e%2e/etc/passwd", 400, builtin=True),
    case("climbing with an encoded slash", AUTO, "/..%2f..%2fetc/passwd", 400, builtin=True),
    case("climbing and coming back", AUTO, "/../about", 400, builtin=True),
    case("a letter may be encoded", AUTO, "/%61bout", serves="/about.html"),
    case("encoded letters in what redirects", AUTO, "/%61bout.htm%6C", 308, to="/about"),
    case("a malformed percent sign", AUTO, "/100%", 400, builtin=True),
    case("a malformed escape", AUTO, "/%zz", 400, builtin=True),
    case("half an escape", AUTO, "/%4", 400, builtin=True),
    case("a NUL", AUTO, "/a%00b", 400, builtin=True),
    case("a line feed", AUTO, "/a%0Ab", 400, builtin=True),
    case("a carriage return and line feed", AUTO, "/about%0d%0aX-Injected:%20yes", 400, builtin=True, x_injected=None),
    case("a DEL", AUTO, "/%7f", 400, builtin=True),
    case("a tab", AUTO, "/%09", 400, builtin=True),
    case("not UTF-8", AUTO, "/%FF", 400, builtin=True),
    case("cut off UTF-8", AUTO, "/%C3", 400, builtin=True),
    case("overlong UTF-8", AUTO, "/%C0%AE%C0%AE/", 400, builtin=True),
    case("a surrogate", AUTO, "/%ED%A0%80", 400, builtin=True),
    case("beyond Unicode", AUTO, "/%F4%90%80%80", 400, builtin=True),
    case("a malformed escape in the query means nothing", AUTO, "/about?%zz%00", serves="/about.html"),
    case("a missing path with odd signs is encoded in no header", AUTO, "/%E2%82%AC%22", 404, serves="/404.html"),
    case("a folder with odd signs redirects encoded", ODD, "/%C3%BCn%C3%AF//", 308, to="/%C3%BCn%C3%AF/"),
    case("a page with a space redirects encoded", ODD, "/space%20name.html", 308, to="/space%20name"),
    case("a page with a space answers", ODD, "/space%20name", serves="/space name.html"),
    case(
        "a page in Japanese redirects encoded",
        ODD,
        "/日本語.html".encode().decode("latin-1"),
        308,
        to="/%E6%97%A5%E6%9C%AC%E8%AA%9E",
    ),
    case("absolute form", AUTO, "http://auto.test/about", serves="/about.html"),
    case("absolute form with port and query", AUTO, "http://AUTO.test:8080/about.html?x", 308, to="/about?x"),
    case("absolute form without path", AUTO, "http://auto.test", serves="/index.html"),
    case("absolute form with dot segments", AUTO, "http://auto.test/a/../about", 308, to="/about"),
]

for _name in ODD_NAMES:
    if not _name.endswith(".html"):
        CASES.append(case(f"the odd name {_name}, each byte encoded", ODD, _hex(_name), serves=_name))
        CASES.append(case(f"the odd name {_name}, encoded where needed", ODD, _raw(_name), serves=_name))
        CASES.append(case(f"the odd name {_name} is not a folder", ODD, _hex(_name) + "/", 404, builtin=True))
