"""SITE-FORMAT section 7: hostnames; and what every edge answers for any of them."""

import re

from conformance.case import Case, case
from conformance.sites import Site, named

MAIN = Site(
    "main",
    {
        **named("/index.html", "/about.html", "/404.html", "/sp ace.html"),
        "/.well-known/edgeward/health": b"not the site's",
    },
    redirects="/old /new\n/about /forced 302!\n",
    headers="/*\n  X-Main: yes\n",
    settings={"hostnames": ("main.test", "www.main.test", "xn--mnchen-3ya.test")},
)
SERVING = Site(
    "serving", named("/index.html", "/about.html"),
    settings={"hostnames": ("serving.test", "also.serving.test"), "alias_mode": "serve"},
)  # fmt: skip
OTHER = Site("other", {"/index.html": b"the other site"})

NO_SITE = re.compile("^fra -$")

CASES: list[Case] = [
    case("the canonical host", MAIN, "/", serves="/index.html", x_main="yes"),
    case("a host in capitals", MAIN, "/", serves="/index.html", host="MAIN.Test"),
    case("a host with a port", MAIN, "/", serves="/index.html", host="main.test:8080"),
    case("a host with another port", MAIN, "/", serves="/index.html", host="main.test:9999"),
    case("a host with a final dot", MAIN, "/", serves="/index.html", host="main.test."),
    case("a host with a final dot and a port", MAIN, "/", serves="/index.html", host="main.test.:80"),
    case("another site is another host", OTHER, "/", serves="/index.html", x_main=None),
    case("an alias goes to the canonical host", MAIN, "/", 308, to="http://main.test/", host="www.main.test"),
    case("path and query are kept", MAIN, "/a/b?c=d&e", 308, to="http://main.test/a/b?c=d&e", host="www.main.test"),
    case("a port that is not the default is kept", MAIN, "/a", 308, to="http://main.test:8080/a", host="www.main.test:8080"),
    case("the default port is not", MAIN, "/a", 308, to="http://main.test/a", host="www.main.test:80"),
    case("no port behind the colon", MAIN, "/a", 308, to="http://main.test/a", host="www.main.test:"),
    case("a port that is none", MAIN, "/a", 308, to="http://main.test/a", host="www.main.test:x"),
    case("the path is encoded", MAIN, "/sp%20ace%C3%A9?q=%zz", 308, to="http://main.test/sp%20ace%C3%A9?q=%zz", host="www.main.test"),
    case("and normalised", MAIN, "//a/./b/../c", 308, to="http://main.test/a/c", host="www.main.test"),
    case("an alias in capitals", MAIN, "/a", 308, to="http://main.test/a", host="WWW.main.test"),
    case("an alias beyond ASCII, as it is sent", MAIN, "/", 308, to="http://main.test/", host="xn--mnchen-3ya.test"),
    case("the canonical host goes before rules", MAIN, "/old", 308, to="http://main.test/old", host="www.main.test"),
    case("and before forced rules", MAIN, "/about", 308, to="http://main.test/about", host="www.main.test"),
    case("and before clean URLs", MAIN, "/index.html", 308, to="http://main.test/index.html", host="www.main.test"),
    case("the fields of that redirect", MAIN, "/", 308, to="http://main.test/", host="www.main.test", cache_control="public, max-age=0, must-revalidate", x_main=None, content_type="text/html; charset=utf-8"),
    case("a method that is not allowed on an alias", MAIN, "/", 405, host="www.main.test", method="POST", builtin=True, send={"Content-Length": "0"}),
    case("OPTIONS on an alias", MAIN, "/", 204, host="www.main.test", method="OPTIONS"),
    case("a path that is not valid on an alias", MAIN, "/%FF", 400, host="www.main.test", builtin=True),
    case("alias_mode serve", SERVING, "/about", serves="/about.html", host="also.serving.test"),
    case("alias_mode serve redirects stay on the host", SERVING, "/about.html", 308, to="/about", host="also.serving.test"),
    case("a host that no site has", MAIN, "/", 421, host="nobody.test", builtin=True, x_main=None, x_edgeward=NO_SITE, cache_control="no-store", content_type="text/html; charset=utf-8"),
    case("a host below a site's", MAIN, "/", 421, host="a.main.test", builtin=True),
    case("a host above a site's", MAIN, "/", 421, host="test", builtin=True),
    case("a host that begins like a site's", MAIN, "/", 421, host="main.test.evil", builtin=True),
    case("a host that ends like a site's", MAIN, "/", 421, host="xmain.test", builtin=True),
    case("an IPv4 address", MAIN, "/", 421, host="127.0.0.1", builtin=True),
    case("an IPv4 address with a port", MAIN, "/", 421, host="127.0.0.1:8080", builtin=True),
    case("an IPv6 address", MAIN, "/", 421, host="[::1]", builtin=True),
    case("an IPv6 address with a port", MAIN, "/", 421, host="[::1]:8080", builtin=True),
    case("localhost", MAIN, "/", 421, host="localhost", builtin=True),
    case("a regex of a host", MAIN, "/", 421, host="mainxtest", builtin=True),
    case("two final dots", MAIN, "/", 400, host="main.test..", builtin=True, x_edgeward=NO_SITE),
    case("an empty Host", MAIN, "/", 400, host=" ", builtin=True, x_edgeward=NO_SITE),
    case("a slash in Host", MAIN, "/", 400, host="main.test/x", builtin=True, x_edgeward=NO_SITE),
    case("no Host with HTTP/1.0", MAIN, "/", 421, host=None, version="1.0", builtin=True),
    case("no Host with HTTP/1.1", MAIN, "/", 400, host=None, builtin=True, x_edgeward=NO_SITE),
    case("a Host with HTTP/1.0", MAIN, "/", serves="/index.html", version="1.0"),
    case("HEAD of a host that no site has", MAIN, "/", 421, host="nobody.test", method="HEAD", builtin=True),
    case("POST to a host that no site has", MAIN, "/", 421, host="nobody.test", method="POST", builtin=True, send={"Content-Length": "0"}),
    case("OPTIONS to a host that no site has", MAIN, "/", 421, host="nobody.test", method="OPTIONS", builtin=True),
    case("TRACE to a host that no site has", MAIN, "/", 421, host="nobody.test", method="TRACE", builtin=True),
    case("a malformed path for a host that no site has", MAIN, "/%zz", 400, host="nobody.test", builtin=True),
    case("a path that is not UTF-8 for a host that no site has", MAIN, "/%ff", 421, host="nobody.test", builtin=True),
    case("a range from a host that no site has", MAIN, "/", 421, host="nobody.test", builtin=True, send={"Range": "bytes=0-1", "If-None-Match": "*"}),
]  # fmt: skip

RESERVED: list[Case] = [
    case(
        "the edge's health",
        MAIN,
        "/.well-known/edgeward/health",
        content_type="application/json",
        cache_control="no-store",
    ),
    case(
        "the edge's health, for a host that no site has",
        MAIN,
        "/.well-known/edgeward/health",
        host="nobody.test",
        content_type="application/json",
    ),
    case(
        "the edge's health, for an address",
        MAIN,
        "/.well-known/edgeward/health",
        host="127.0.0.1",
        content_type="application/json",
    ),
    case(
        "the edge's health, for an alias",
        MAIN,
        "/.well-known/edgeward/health",
        host="www.main.test",
        content_type="application/json",
    ),
    case(
        "the edge's health, HTTP/1.0 without Host",
        MAIN,
        "/.well-known/edgeward/health",
        host=None,
        version="1.0",
        content_type="application/json",
    ),
    case(
        "the edge's health, in other letters",
        MAIN,
        "/.well-known/%65dgeward/health",
        host="nobody.test",
        content_type="application/json",
    ),
]
OWN_NOTHING: list[Case] = [
    case("nothing else is there", MAIN, "/.well-known/edgeward/else", 404, builtin=True, x_edgeward=NO_SITE),
    case("nor in the folder", MAIN, "/.well-known/edgeward/", 404, builtin=True, x_edgeward=NO_SITE),
    case("an unknown proof", MAIN, "/.well-known/acme-challenge/unknown", 404, builtin=True, host="nobody.test"),
    case("an unknown proof with a dot", MAIN, "/.well-known/acme-challenge/a.b", 404, builtin=True),
    case("the folder without a slash is the site's", MAIN, "/.well-known/edgeward", 404, serves="/404.html"),
]
CASES += OWN_NOTHING
