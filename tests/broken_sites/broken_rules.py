"""The broken rule files of the table."""

from broken_sites.broken import headers, redirects

# ------------------------------------------------------------------------------------------ _redirects

redirects("a rule that leads to itself", "/a /a\n", "1: a loop: redirects to itself for ever")
redirects(
    "rules that lead round",
    "/a /b\n/b /c\n/c /a 302\n",
    "1: a loop: redirects for ever from line 1 to line 2 to line 3 to line 1",
)
redirects("10,001 rules", "".join(f"/r{n} /about\n" for n in range(10_001)), "10001: more than 10,000 rules")
redirects(
    "an unknown status",
    "/a /about 299\n",
    "1: unknown status `299`; there are 200, 301, 302, 303, 307, 308, 404, 410, 451, each with an optional `!`",
)
redirects(
    "a query in from", "/a?b=c /about\n", "1: '/a?b=c': the path ends at `?`: match a query with name=value after it"
)
redirects(
    "a target without a scheme",
    "/a //evil.test/\n",
    "1: `//evil.test/` begins with `//`, which means another host; write https:// before it",
)
redirects(
    "a star in the middle",
    "/a/*/b /about\n",
    "1: `/a/*/b`: `*` stands only at the end, as a whole segment (a literal one is %2A)",
)
redirects(
    "a placeholder out of nowhere", "/a /:b\n", "1: `:b` in `/:b` is bound by nothing (a literal colon is written %3A)"
)
redirects("a line too long", "/a /" + "b" * 2000 + "\n", "1: the line has 2,004 characters; at most 2,000 are allowed")
redirects("a control character", "/a /b\x01c\n", "1: control character U+0001 at column 6")
redirects(
    "a condition on countries",
    "/a /about 302 Country=de\n",
    "1: `Country=` is refused for now: edges do not look up the country of a reader",
)
redirects(
    "a condition on roles",
    "/a /about 302 Role=admin\n",
    "1: `Role=` is refused for now: edges do not know who is signed in",
)
redirects(
    "an unknown condition", "/a /about 302 Moon=full\n", "1: unknown condition `Moon`; there are Language and Cookie"
)
redirects(
    "a proxy",
    "/api/* https://api.test/:splat 200\n",
    "1: `https://api.test/:splat`: a 200 to another host is a proxy rule, which is refused for now",
)
redirects(
    "a hostname of somebody else",
    "https://other.test/a /about\n",
    "1: 'other.test' is not one of the site's hostnames (example.test)",
)
redirects("bytes that are not UTF-8", b"/caf\xe9 /about\n", "1: not UTF-8: byte 0xe9 at byte 5 of the line")
redirects("no target", "/a 301\n", "1: status 301 needs a target")
redirects(
    "several at once",
    "/a /b 299\n# fine\n/b /:c\n",
    "1: unknown status `299`; there are 200, 301, 302, 303, 307, 308, 404, 410, 451, each with an optional `!`",
    "3: `:c` in `/:c` is bound by nothing (a literal colon is written %3A)",
)

# -------------------------------------------------------------------------------------------- _headers

headers("a header with CR LF", b"/*\n  X-A: b\rSet-Cookie: evil\n", "2: control character U+000D at column 9")
headers("a header before any path", "  X-A: b\n", "1: `X-A: b` stands before the first path")
headers(
    "a hop-by-hop header",
    "/*\n  Connection: close\n",
    "2: `Connection` is made by the server for each answer and cannot be set",
)
headers(
    "a computed header",
    "/*\n  Content-Length: 3\n",
    "2: `Content-Length` is made by the server for each answer and cannot be set",
)
headers(
    "a computed header taken away",
    "/*\n  ! ETag\n",
    "2: `ETag` is made by the server for each answer and cannot be taken away",
)
headers("an illegal name", "/*\n  X A: b\n", "2: `X A` is not a header name (letters, digits and !#$%&'*+-.^_`|~)")
headers("a NUL in a value", "/*\n  X-A: b\x00c\n", "2: control character U+0000 at column 9")
headers("2,001 blocks", "".join(f"/{n}\n  X-A: b\n" for n in range(2_001)), "4001: more than 2,000 blocks")
headers(
    "a line that is neither", "/*\n  just words\n", "2: `just words` is neither `Name: value` nor `! Name` nor a path"
)


redirects(
    "a warning under --strict",
    "/about / 301\n",
    "1: shadowed by the file `about.html`, so it never applies; end its status in `!` to ask it first",
    options={"strict": True},
)
