"""SITE-FORMAT section 3: redirect rules; and the order of section 2 in which a request meets them."""

from conformance.case import Case, case
from conformance.sites import Site, named

RULES = Site(
    "rules",
    named(
        "/index.html",
        "/about.html",
        "/new.html",
        "/app/shell.html",
        "/gone.html",
        "/law.html",
        "/404.html",
        "/there.html",
        "/docs/index.html",
        "/docs/404.html",
        "/de/index.html",
        "/pages/a b.html",
        "/pages/x.html",
        "/raw/data.json",
        "/forced.html",
        "/masked/inner.html",
        "/gift.html",
        "/-/odd:name.txt",
    ),
    redirects="""\
# comments and blanks\t

/old /new                              # the default is 301
/s301 /new 301
/s302\t/new\t302
/s303 /new 303
/s307 /new 307
/s308 /new 308
/out https://other.test/landing?from=us#top
/out-bare https://other.test
/own-query /new?keep=1
/own-fragment /new?keep=1#part
/blog/:year/:slug /posts/:slug?year=:year 302
/blog/:year /archive/:year
/wild/* /there/:splat
/wild-front/* /:splat/there
/deep/:a/b/* https://other.test/:a/:splat
/first /one
/first /two
/about /shadowed
/about.html /shadowed-too
/forced /elsewhere 302!
/masked/* /new 200!
/rewrite /new 200
/rewrite-page /about.html 200
/rewrite-folder /docs 200
/rewrite-splat/* /pages/:splat 200
/rewrite-missing /nothing/here 200
/rewrite-asset /raw/data.json 200
/rewrite-colon/* /-/:splat 200
/not-found /gone 404
/not-found-plain 404
/not-found-missing /nothing 404
/docs/not-found 404
/gone-page /gone.html 410
/gone-plain 410
/gone-missing /nothing 410
/law-page /law 451
/law-plain 451
/forced-gone /new 410!
/new-gone/* 410
/param id=:id /items/:id

/param kind=book /books
/param2 a=:a b=:b /p/:b/:a?own=1 302
/paramrw file=:file /pages/:file 200
/paramcase /x 302
/sp%20ace /new
/ünï/:x /neu/:x
/percent/%25/:x /p/:x
/slash/ /new
/lang /de/ 302 Language=de,at
/lang /fr/ 302 Language=fr
/lang /new 302
/cookie /beta 302 Cookie=beta,preview
/both /secret 302 Language=de Cookie=a
/both-rw /de/index.html 200 Language=de
/there /shadowed 302 Language=de
/gift /for-you 302! Cookie=gift
/moved-vary/* /x/:splat 302 Language=nl

/dollar/:x /$uri/$1/:x
/quote/* /q"'{};/:splat
/final/:a/ /f/:a
/under_score/:a_b/:c1 /u/:a_b/:c1
/catch/* /caught/:splat 302
/catch/special /unreachable
""",
    kept={
        "/catch2/kept.3f2a9c1b.js": b"kept()" * 60,
        "/moved/kept.3f2a9c1b.js": b"moved()" * 60,
        "/soft/kept.3f2a9c1b.js": b"s()" * 99,
    },
)
ORDER = Site(
    "order",
    named("/index.html", "/page.html", "/folder/index.html", "/file.txt", "/404.html"),
    redirects="""\
/soft/* /page 200
/soft-missing/* /no/such/page 200
/moved/* /page 302
/page /x 301
/page/* /below/:splat
/folder /x
/file.txt /x
/forced-soft/* /page 200!
/f404/* 404!
/late/* /page 200
/late/* /later 302
/* /index.html 200
""",
    kept={
        "/moved/kept.3f2a9c1b.js": b"moved()" * 60,
        "/soft/kept.3f2a9c1b.js": b"soft()" * 60,
        "/forced-soft/kept.3f2a9c1b.js": b"f()" * 99,
    },
)
SPA = Site("spa", named("/index.html", "/about.html", "/app.js", "/404.html", "/in/404.html"), settings={"spa": True})
SPA_RULES = Site(
    "spa-rules", named("/index.html", "/404.html"), redirects="/gone/* 404\n/r /x 302\n", settings={"spa": True}
)
HOSTED = Site(
    "hosted",
    named("/index.html", "/blog.html"),
    redirects="""\
https://blog.hosted.test/* https://www.hosted.test/blog/:splat 302
http://www.hosted.test/only /on-www 302
/everywhere /x 302
https://blog.hosted.test/ https://www.hosted.test/blog 302!
""",
    settings={"hostnames": ("www.hosted.test", "blog.hosted.test"), "alias_mode": "serve"},
)

_DE = {"Accept-Language": "de-CH, fr;q=0.8"}

CASES: list[Case] = [
    case("the default status is 301", RULES, "/old", 301, to="/new"),
    *(case(f"status {status}", RULES, f"/s{status}", status, to="/new") for status in (301, 302, 303, 307, 308)),
    case("a rule matches with a slash behind", RULES, "/old/", 301, to="/new"),
    case("a rule for /x/ matches /x", RULES, "/slash", 301, to="/new"),
    case("a rule for /x/ matches /x/", RULES, "/slash/", 301, to="/new"),
    case("a rule matches the whole path", RULES, "/old/more", 404, serves="/404.html"),
    case("a rule matches with regard to case", RULES, "/OLD", 404, serves="/404.html"),
    case("a rule matches the decoded path", RULES, "/%6fld", 301, to="/new"),
    case("a redirect's fields", RULES, "/old", 301, to="/new", content_type="text/html; charset=utf-8", etag=None, last_modified=None, accept_ranges=None, cache_control="public, max-age=0, must-revalidate", vary=None),
    case("HEAD of a redirect", RULES, "/old", 301, to="/new", method="HEAD"),
    case("to another host", RULES, "/out", 301, to="https://other.test/landing?from=us#top"),
    case("to another host, with a query: before the fragment", RULES, "/out?a=1", 301, to="https://other.test/landing?from=us&a=1#top"),
    case("to a bare host", RULES, "/out-bare", 301, to="https://other.test"),
    case("to a bare host with a query", RULES, "/out-bare?x=1", 301, to="https://other.test?x=1"),
    case("the query is passed on", RULES, "/old?a=1&b=%20", 301, to="/new?a=1&b=%20"),
    case("the query follows the target's own", RULES, "/own-query?a=1", 301, to="/new?keep=1&a=1"),
    case("the target's own query alone", RULES, "/own-query", 301, to="/new?keep=1"),
    case("query and fragment of the target", RULES, "/own-fragment?a=1", 301, to="/new?keep=1&a=1#part"),
    case("placeholders", RULES, "/blog/2024/hello", 302, to="/posts/hello?year=2024"),
    case("placeholders with a slash behind", RULES, "/blog/2024/hello/", 302, to="/posts/hello?year=2024"),
    case("a placeholder is one segment", RULES, "/blog/2024/hello/world", 404, serves="/404.html"),
    case("a shorter pattern below", RULES, "/blog/2024", 301, to="/archive/2024"),
    case("a placeholder is never empty", RULES, "/blog/", 404, serves="/404.html"),
    case("placeholders are encoded again", RULES, "/blog/20%2024/h%C3%A9%22llo", 302, to="/posts/h%C3%A9%22llo?year=20%2024"),
    case("an encoded slash in a placeholder is a slash", RULES, "/blog/2024%2Fhello", 302, to="/posts/hello?year=2024"),
    case("a placeholder with signs", RULES, "/blog/1$&(2)/a+b;c=d,e'@:!*~", 302, to="/posts/a+b;c=d,e'@:!*~?year=1$&(2)"),
    case("names with underscore and digits", RULES, "/under_score/1/2", 301, to="/u/1/2"),
    case("splat", RULES, "/wild/a/b", 301, to="/there/a/b"),
    case("splat with a slash behind", RULES, "/wild/a/", 301, to="/there/a/"),
    case("an empty splat", RULES, "/wild/", 301, to="/there/"),
    case("/x/* matches /x", RULES, "/wild", 301, to="/there/"),
    case("splat is encoded again", RULES, "/wild/a%20b/%25/%E2%82%AC?q", 301, to="/there/a%20b/%25/%E2%82%AC?q"),
    case("an empty splat in front never makes //", RULES, "/wild-front/", 301, to="/there"),
    case("nor a missing one", RULES, "/wild-front", 301, to="/there"),
    case("a splat in front", RULES, "/wild-front/a/b", 301, to="/a/b/there"),
    case("a splat cannot carry a host", RULES, "/wild-front//evil.test", 308, to="/wild-front/evil.test"),
    case("an encoded splat cannot either", RULES, "/wild-front/%2Fevil.test", 308, to="/wild-front/evil.test"),
    case("a backslash is encoded", RULES, "/wild-front/%5Cevil.test", 301, to="/%5Cevil.test/there"),
    case("CR LF never reaches a Location", RULES, "/wild/%0d%0aX-Injected:%201", 400, builtin=True, x_injected=None),
    case("placeholder and splat", RULES, "/deep/1/b/2/3", 301, to="https://other.test/1/2/3"),
    case("placeholder and empty splat", RULES, "/deep/1/b", 301, to="https://other.test/1/"),
    case("the first match wins", RULES, "/first", 301, to="/one"),
    case("the first match wins over a later exact one", RULES, "/catch/special", 302, to="/caught/special"),
    case("an entry shadows a rule", RULES, "/about", serves="/about.html"),
    case("a clean-URL redirect shadows a rule", RULES, "/about.html", 308, to="/about"),
    case("unless it is forced", RULES, "/forced", 302, to="/elsewhere"),
    case("a forced rule is for its path alone", RULES, "/forced.html", 308, to="/forced"),
    case("a forced 200 hides entries", RULES, "/masked/inner", serves="/new.html"),
    case("a forced 200 goes before clean-URL redirects", RULES, "/masked/inner.html", serves="/new.html"),
    case("a forced 410", RULES, "/forced-gone", 410, serves="/new.html"),
    case("200 serves another page", RULES, "/rewrite", serves="/new.html", cache_control="public, max-age=0, must-revalidate"),
    case("200 to a page by its file name", RULES, "/rewrite-page", serves="/about.html"),
    case("200 to a folder", RULES, "/rewrite-folder", serves="/docs/index.html"),
    case("200 with a query", RULES, "/rewrite?a=1", serves="/new.html"),
    case("200 with a splat", RULES, "/rewrite-splat/x", serves="/pages/x.html"),
    case("200 with a splat that is decoded", RULES, "/rewrite-splat/a%20b", serves="/pages/a b.html"),
    case("200 with a splat to nothing", RULES, "/rewrite-splat/y", 404, serves="/404.html"),
    case("200 with a splat with a colon", RULES, "/rewrite-colon/odd:name.txt", serves="/-/odd:name.txt"),
    case("200 to a missing page is 404", RULES, "/rewrite-missing", 404, serves="/404.html"),
    case("200 to a file has its type", RULES, "/rewrite-asset", serves="/raw/data.json", content_type="application/json"),
    case("200 has the entry's ETag, conditions count", RULES, "/rewrite", 304, send={"If-None-Match": "*"}),
    case("200 has ranges", RULES, "/rewrite", 206, send={"Range": "bytes=0-4"}, content_length="5"),
    case("404 with a page", RULES, "/not-found", 404, serves="/gone.html", cache_control="no-store"),
    case("404 without a page: the nearest", RULES, "/not-found-plain", 404, serves="/404.html"),
    case("404 without a page: the nearest, in a folder", RULES, "/docs/not-found", 404, serves="/docs/404.html"),
    case("404 with a missing page", RULES, "/not-found-missing", 404, serves="/404.html"),
    case("410 with a page", RULES, "/gone-page", 410, serves="/gone.html", cache_control="no-store"),
    case("410 without a page", RULES, "/gone-plain", 410, builtin=True),
    case("410 with a missing page is 404", RULES, "/gone-missing", 404, serves="/404.html"),
    case("410 for everything below", RULES, "/new-gone/x/y", 410, builtin=True),
    case("451 with a page", RULES, "/law-page", 451, serves="/law.html", cache_control="no-store"),
    case("451 without a page", RULES, "/law-plain", 451, builtin=True),
    case("pages of errors have no ranges", RULES, "/gone-page", 410, send={"Range": "bytes=0-1"}, serves="/gone.html"),
    case("pages of errors have no conditions", RULES, "/gone-page", 410, send={"If-None-Match": "*"}, serves="/gone.html"),
    case("a parameter is bound and consumed", RULES, "/param?id=7", 301, to="/items/7"),
    case("the others are kept", RULES, "/param?x=1&id=7&y=2", 301, to="/items/7?x=1&y=2"),
    case("only the first of a name is consumed", RULES, "/param?id=7&id=8", 301, to="/items/7?id=8"),
    case("a parameter that ends alike is another", RULES, "/param?xid=7", 404, serves="/404.html"),
    case("a parameter without = is not there", RULES, "/param?id", 404, serves="/404.html"),
    case("an empty value does not bind", RULES, "/param?id=", 404, serves="/404.html"),
    case("a missing parameter", RULES, "/param", 404, serves="/404.html"),
    case("an encoded value stays as sent", RULES, "/param?id=a%2Fb%20c", 301, to="/items/a%2Fb%20c"),
    case("a value with a slash does not bind", RULES, "/param?id=/evil.test", 404, serves="/404.html"),
    case("a value with a question mark does not bind", RULES, "/param?id=a?b", 404, serves="/404.html"),
    case("a literal value", RULES, "/param?kind=book", 301, to="/books"),
    case("another value of it", RULES, "/param?kind=film", 404, serves="/404.html"),
    case("a literal value and others", RULES, "/param?kind=book&p=1", 301, to="/books?p=1"),
    case("two parameters in any order", RULES, "/param2?b=2&a=1&c=3", 302, to="/p/2/1?own=1&c=3"),
    case("two parameters, one missing", RULES, "/param2?b=2", 404, serves="/404.html"),
    case("parameters are told with regard to case", RULES, "/param?ID=7", 404, serves="/404.html"),
    case("a parameter names a page", RULES, "/paramrw?file=x", serves="/pages/x.html"),
    case("dot segments out of a parameter are no path", RULES, "/paramrw?file=..", 404, serves="/404.html"),
    case("encoded ones neither", RULES, "/paramrw?file=%2e%2e", 404, serves="/404.html"),
    case("an encoded traversal neither", RULES, "/paramrw?file=..%2f..%2fetc%2fpasswd", 404, serves="/404.html"),
    case("a source with a space", RULES, "/sp%20ace", 301, to="/new"),
    case("a source beyond ASCII", RULES, "/%C3%BCn%C3%AF/1", 301, to="/neu/1"),
    case("a source with a percent sign", RULES, "/percent/%25/1", 301, to="/p/1"),
    case("dollars in a target are dollars", RULES, "/dollar/1", 301, to="/$uri/$1/1"),
    case("signs in a target arrive", RULES, "/quote/x", 301, to="/q%22'%7B%7D;/x"),
    case("a placeholder before a final slash", RULES, "/final/1", 301, to="/f/1"),
    case("a rule without target path part", RULES, "/paramcase", 302, to="/x"),
    # Conditions
    case("the first language decides", RULES, "/lang", 302, to="/de/", send=_DE, vary="Accept-Language"),
    case("an alternative", RULES, "/lang", 302, to="/de/", send={"Accept-Language": "AT"}),
    case("not the second", RULES, "/lang", 302, to="/fr/", send={"Accept-Language": "fr,de"}, vary="Accept-Language"),
    case("the weight does not matter", RULES, "/lang", 302, to="/de/", send={"Accept-Language": "de;q=0.1,fr"}),
    case("no language", RULES, "/lang", 302, to="/new", vary="Accept-Language"),
    case("another language", RULES, "/lang", 302, to="/new", send={"Accept-Language": "en"}, vary="Accept-Language"),
    case("a longer subtag is another", RULES, "/lang", 302, to="/new", send={"Accept-Language": "deu"}),
    case("any language", RULES, "/lang", 302, to="/new", send={"Accept-Language": "*, de"}),
    case("a cookie that is there", RULES, "/cookie", 302, to="/beta", send={"Cookie": "a=1; beta=0"}, vary="Cookie"),
    case("an alternative cookie", RULES, "/cookie", 302, to="/beta", send={"Cookie": "preview="}),
    case("a cookie that is not there", RULES, "/cookie", 404, serves="/404.html", vary="Accept-Encoding, Cookie"),
    case("a cookie that ends alike", RULES, "/cookie", 404, send={"Cookie": "xbeta=1"}, serves="/404.html"),
    case("a value that looks like it", RULES, "/cookie", 404, send={"Cookie": "x=beta=1"}, serves="/404.html"),
    case("cookie names are told with regard to case", RULES, "/cookie", 404, send={"Cookie": "BETA=1"}, serves="/404.html"),
    case("both conditions", RULES, "/both", 302, to="/secret", send={**_DE, "Cookie": "a=1"}, vary="Accept-Language, Cookie"),
    case("one condition of two", RULES, "/both", 404, send=_DE, serves="/404.html", vary="Accept-Encoding, Accept-Language, Cookie"),
    case("a conditional rewrite", RULES, "/both-rw", serves="/de/index.html", send=_DE, vary="Accept-Encoding, Accept-Language"),
    case("a shadowed conditional rule adds no Vary", RULES, "/there", serves="/there.html", send=_DE, vary="Accept-Encoding"),
    case("a forced conditional rule goes before the entry", RULES, "/gift", 302, to="/for-you", send={"Cookie": "gift=1"}, vary="Cookie"),
    case("and adds Vary to the entry", RULES, "/gift", serves="/gift.html", vary="Accept-Encoding, Cookie"),
    case("a conditional rule for a splat adds Vary", RULES, "/moved-vary/a", 404, serves="/404.html", vary="Accept-Encoding, Accept-Language"),
    case("a 304 carries that Vary", RULES, "/gift", 304, send={"If-None-Match": "*"}, vary="Accept-Encoding, Cookie"),
    # The order of section 2
    case("an entry goes before a 3xx rule", ORDER, "/page", serves="/page.html"),
    case("a folder redirect goes before a 3xx rule", ORDER, "/folder", 308, to="/folder/"),
    case("a file goes before a 3xx rule", ORDER, "/file.txt", serves="/file.txt"),
    case("below a page is the rule's", ORDER, "/page/x", 301, to="/below/x"),
    case("the page redirect goes before /page/*", ORDER, "/page/", 308, to="/page"),
    case("a 3xx rule goes before a kept asset", ORDER, "/moved/kept.3f2a9c1b.js", 302, to="/page"),
    case("a kept asset goes before a 200 rule", ORDER, "/soft/kept.3f2a9c1b.js", serves="/soft/kept.3f2a9c1b.js", cache_control="public, max-age=31536000, immutable"),
    case("a forced rule goes before a kept asset", ORDER, "/forced-soft/kept.3f2a9c1b.js", serves="/page.html"),
    case("a 200 rule", ORDER, "/soft/x", serves="/page.html"),
    case("a 200 rule whose page is missing does not fall through", ORDER, "/soft-missing/x", 404, serves="/404.html"),
    case("a forced 404", ORDER, "/f404/x", 404, serves="/404.html"),
    case("a later 3xx goes before an earlier 200", ORDER, "/late/x", 302, to="/later"),
    case("a catch-all 200", ORDER, "/any/thing.js", serves="/index.html"),
    # spa
    case("spa: any path is the index", SPA, "/some/where", serves="/index.html"),
    case("spa: with a slash", SPA, "/some/where/", serves="/index.html"),
    case("spa: entries go first", SPA, "/about", serves="/about.html"),
    case("spa: a missing script is a 404", SPA, "/missing.js", 404, serves="/404.html"),
    case("spa: a missing script, capitals", SPA, "/missing.JS", 404, serves="/404.html"),
    case("spa: a missing image in a folder", SPA, "/in/missing.png", 404, serves="/in/404.html"),
    case("spa: an unknown extension is a page", SPA, "/user/john.doe", serves="/index.html"),
    case("spa: an HTML extension is a page", SPA, "/old.html", serves="/index.html"),
    case("spa: an extension in a folder's name", SPA, "/v1.js/x", serves="/index.html"),
    case("spa: an extension with a slash behind", SPA, "/v1.js/", serves="/index.html"),
    case("spa: a name that is only an extension", SPA, "/x/.png", 404, serves="/404.html"),
    case("spa: rules go first", SPA_RULES, "/gone/x", 404, serves="/404.html"),
    case("spa: redirects go first", SPA_RULES, "/r", 302, to="/x"),
    # Rules for a host
    case("a rule for a host, on it", HOSTED, "/a", 302, to="https://www.hosted.test/blog/a", host="blog.hosted.test"),
    case("a rule for a host, on another", HOSTED, "/a", 404, builtin=True),
    case("a rule for the canonical host", HOSTED, "/only", 302, to="/on-www"),
    case("a rule for no host, on every", HOSTED, "/everywhere", 302, to="/x"),
    case("an entry shadows a rule for a host", HOSTED, "/blog", serves="/blog.html", host="blog.hosted.test"),
    case("a forced rule for a host", HOSTED, "/", 302, to="https://www.hosted.test/blog", host="blog.hosted.test"),
    case("a forced rule for a host, on another", HOSTED, "/", serves="/index.html"),
]  # fmt: skip
