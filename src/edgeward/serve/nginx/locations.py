"""The locations that all sites share, in the order of SITE-FORMAT section 2. What differs between sites is in maps.

A request moves between them by statuses of our own (570 to 599), each bound to a named location with `error_page`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgeward.core.fields import REVALIDATE
from edgeward.core.pages import PAGES
from edgeward.core.resolve import ALLOW
from edgeward.core.rulebook import RuleClass
from edgeward.serve.nginx.book import block
from edgeward.serve.nginx.fields import Dress, add_header, plain_lines
from edgeward.serve.nginx.hot import ELSEWHERE
from edgeward.serve.nginx.quote import Value, literal, value, variable

INTERNAL: Final = "/.well-known/edgeward/-"
"""Where error pages are for nginx itself; below a path that no site can have."""
RESERVED: Final = ("/.well-known/acme-challenge/", "/.well-known/edgeward/")

_CODINGS: Final = ("/" + variable("ew_tree1"), "/" + variable("ew_tree2"), "/identity")
_VALIDATED: Final = add_header("Last-Modified", variable("sent_http_last_modified"))
"""Of itself nginx leaves Last-Modified out of answers of 400 and above."""
_BY_STATUS: Final = {
    "@gate": "590", "@act": "591", "@detour": "592", "@forward": "593", "@options": "594",
    "@look": ELSEWHERE, "@content": "570", "@content_found": "574",
}  # fmt: skip
_PAGE_STATUSES: Final = {"404": ("571", "575"), "410": ("572", "576"), "451": ("573", "577")}
"""For the status of a page rule: our status for a page that is known, and for one that has to be found."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the locations are made of.

    root, release: of the site that is asked for. rules: `$ew_<class>` for the classes that any site has rules of.
    found: files to try for a page that a rule names with placeholders, empty where no rule does. varies: by condition,
    `$ew_vary_...`; where there are any, Vary must know which classes were asked. retired: file that is there once
    another generation serves.
    """

    edge: str
    root: Value
    release: Value
    dress: Dress
    rules: Mapping[RuleClass, Value]
    served: Sequence[Value]
    respelt: Sequence[tuple[Value, Value]]
    found: Sequence[Value]
    near: Value
    fallback: Value
    varies: Mapping[str, Value]
    pages: str
    health: str
    brief: str | None
    challenges: str | None
    retired: str
    header_bytes: int


def error_pages(*, front: bool) -> list[str]:
    """Return the `error_page` lines of a server. front: clients reach it."""
    lines = [f"error_page {status} = {name};" for name, status in _BY_STATUS.items()]
    for status, (known, found) in _PAGE_STATUSES.items():
        lines += [f"error_page {known} ={status} @page;", f"error_page {found} ={status} @page_found;"]
    lines += ["error_page 301 302 303 307 308 @moved;", "error_page 404 @near;"]
    lines += [f"error_page {status} @built_in_{status};" for status in (410, 451)]
    own = {404, 405, 410, 451} if front else {404, 405, 410, 416, 451}
    lines += [f"error_page {status} {INTERNAL}/site/{status}.html;" for status in PAGES if status not in own]
    lines += [
        f"error_page 405 {INTERNAL}/method/405.html;",
        "error_page 403 = @gate;" if front else f"error_page 403 =500 {INTERNAL}/site/500.html;",
        "" if front else "error_page 416 @unsatisfied;",
        f"error_page 494 =431 {INTERNAL}/site/431.html;",
        "recursive_error_pages on;",
    ]
    return [line for line in lines if line]


def tries(files: Sequence[Value], otherwise: str) -> str:
    """Return a `try_files` line: each file in each coding, best first."""
    names = [value(Value(coding + file)) for file in files for coding in _CODINGS]
    return f"try_files {' '.join(names)} {otherwise};"


def front(plan: Plan, hot: Sequence[str] = ()) -> list[str]:
    """Return the locations of a server that clients reach. hot: the locations of a site's short way, if it has one."""
    retired = f"if (-f {value(literal(plan.retired))}) {{ return 593; }}  # a later generation serves: it answers"
    look = [
        _root(plan),
        retired,
        'set $ew_gate "$ew_host$ew_read$ew_target$ew_conditional";',
        "if ($ew_gate) { return 590; }",
        *_ask(plan, "forced"),
        tries(plan.served, "@miss"),
    ]
    gate = [
        retired,
        'if ($ew_host = "u") { return 421; }',
        'if ($ew_read = "o") { return 594; }',
        'if ($ew_read = "m") { return 405; }',
        "if ($ew_target) { return 592; }  # the path must be normalised",
        "if ($ew_host) { return 308 $ew_elsewhere$ew_path$is_args$args; }",
        "return 592;  # ranges and conditions that nginx and HTTP see differently",
    ]
    return [
        *hot,
        *block("location @look" if hot else "location /", *look),
        *block("location @gate", *gate),
        *_detour(plan),
        *_forward(),
        *_reserved(plan),
        *block("location @not_yours", "if ($ew_altered) { return 592; }", *_anonymous_errors(), "return 404;"),
    ]


def back(plan: Plan) -> list[str]:
    """Return the locations of the server behind the detour, whose request line nginx has normalised."""
    look = [
        _root(plan),
        'set $ew_gate "$ew_host$ew_illegal$http_x_edgeward_altered";',
        "if ($ew_gate) { return 590; }",
        *_ask(plan, "forced"),
        tries(plan.served, "@miss"),
    ]
    gate = [
        "if ($ew_illegal) { return 400; }",
        "if ($ew_host) { return 308 $ew_elsewhere$ew_path$is_args$args; }",
        "return 308 $ew_path$is_args$args;",
    ]
    return [
        *block("location /", *look),
        *block("location @gate", *gate),
        *block("location @not_yours", "return 590;"),
        # The fields of a 200 are there already; the page is added on the other side of the detour.
        *block("location @unsatisfied", 'add_header X-Edgeward-None "";', 'return 416 "unsatisfiable";'),
    ]


def shared(plan: Plan) -> list[str]:
    """Return the locations of both servers: misses, rules, pages."""
    return [*_misses(plan), *_acts(plan), *_answers(plan), *_built_in(plan)]


def _root(plan: Plan) -> str:
    return f"root {value(plan.root)};"


def _ask(plan: Plan, name: RuleClass) -> list[str]:
    """Return the lines that ask the rules of a class."""
    letters = {"forced": "f", "moved": "fm", "soft": "fms"}[name]
    lines = [f'set $ew_reached "{letters}";'] if plan.varies else []
    if name in plan.rules:
        variable_name = plan.rules[name].replace("{", "").replace("}", "")
        lines.append(f"if ({variable_name}) {{ set $ew_hit {value(plan.rules[name])}; return 591; }}")
    return lines


def _misses(plan: Plan) -> list[str]:
    respelt = [
        f"if (-f {value(plan.root, literal('/identity'), file)}) {{ return 308 {value(url, Value('$is_args$args'))}; }}"
        for file, url in plan.respelt
    ]
    miss = [
        "root $ew_kept;",
        "open_file_cache_errors off;",
        f"if (!-d {value(Value(plan.root + '/identity'))}) {{ return 500; }}  # a fault of ours is never a 404",
        *respelt,
        *_ask(plan, "moved"),
        "set $ew_from k;",
        tries([variable("uri")], "@soft"),
    ]
    soft = [_root(plan), "set $ew_from s;", *_ask(plan, "soft")]
    if plan.fallback:
        name = plan.fallback.replace("{", "").replace("}", "")
        soft.append(f"if ({name}) {{ set $ew_page {value(plan.fallback)}; return 570; }}")
    return [*block("location @miss", *miss), *block("location @soft", *soft, "return 404;")]


def _acts(plan: Plan) -> list[str]:
    """Return the location that does what a rule says (`rules` has the form of `$ew_hit`)."""
    if not plan.rules:
        # Nobody comes here; a variable exists only where something sets it, and the maps ask for this one.
        return block("location @act", "set $ew_redirect rule;", 'set $ew_page "";', "return 404;")
    moves = [
        f'if ($ew_act = "{status}") {{ set $ew_redirect rule; return {status} $ew_location; }}'
        for status in (301, 302, 303, 307, 308)
    ]
    pages = ['if ($ew_act = "200 entry") { return 570; }', 'if ($ew_act = "200 find") { return 574; }']
    for status, (known, found) in _PAGE_STATUSES.items():
        pages.append(f'if ($ew_act = "{status} entry") {{ return {known}; }}')
        pages.append(f'if ($ew_act = "{status} find") {{ return {found}; }}')
    pages += [f'if ($ew_act = "{status} page") {{ return {status}; }}' for status in (410, 451)]
    lines = [*moves, "set $ew_from s;", "set $ew_page $ew_target_page;", *pages]
    return block("location @act", *lines, "return 404;")


def _answers(plan: Plan) -> list[str]:
    """Return the locations that answer with a file of the site."""
    page = variable("ew_page")
    dressed = [*plan.dress.lines, _VALIDATED]
    near = [
        _root(plan),
        *dressed,
        f"if (!-d {value(Value(plan.root + '/identity'))}) {{ return 500; }}",
        tries([plan.near], "@built_in_404"),
    ]
    made = [
        *block("location @content", _root(plan), tries([page], "=500")),
        *block("location @near", *near),
    ]
    if plan.rules:
        made += block("location @page", _root(plan), *dressed, tries([page], "=500"))
    if plan.found:
        made += block("location @content_found", _root(plan), tries(plan.found, "=404"))
        made += block("location @page_found", _root(plan), *dressed, tries(plan.found, "=404"))
    return made


def _built_in(plan: Plan) -> list[str]:
    """Return the locations of built-in pages: dressed by `_headers`, or plain."""
    root = f"root {value(literal(plan.pages))};"
    made: list[str] = []
    for status in (404, 410, 451):
        made += block(
            f"location @built_in_{status}", root, *plan.dress.lines, _VALIDATED, f"try_files /{status}.html =500;"
        )
    unvalidated = ["etag off;", "max_ranges 0;", 'add_header Last-Modified "" always;']
    made += block("location @moved", root, *unvalidated, *plan.dress.lines, "try_files /moved.html =500;")
    # nginx refuses TRACE before it asks any location; where no site is asked for, the host is what is wrong.
    unknown = 'if ($ew_host = "u") { return 421; }'
    for name, release, first in (
        ("site", plan.release, ""),
        ("method", plan.release, unknown),
        ("anonymous", literal("-"), ""),
    ):
        lines = [
            "internal;",
            first,
            f"alias {value(literal(plan.pages + '/'))};",
            *_own_types(plan),
            *plain_lines(plan.edge, release),
            _VALIDATED,
            add_header("Allow", variable("ew_allow")),
            add_header("Content-Range", variable("ew_whole")),
        ]
        if not first:
            lines.append("error_page 404 = @not_yours;")
        made += block(f"location ^~ {INTERNAL}/{name}/", *filter(None, lines))
    lines = [add_header("Allow", literal(ALLOW)), *plain_lines(plan.edge, plan.release, REVALIDATE)]
    return [*made, *block("location @options", *lines, "return 204;")]


def _own_types(plan: Plan) -> list[str]:
    """Return the lines that give plain pages their media type where the table is not nginx's own."""
    return ["types { }", 'default_type "text/html; charset=utf-8";'] if plan.dress.types else []


def _detour(plan: Plan) -> list[str]:
    """Return the location that sends a request once through nginx itself, which normalises and re-encodes its path."""
    size = 16 * 1024
    while size < plan.header_bytes:
        size *= 2
    lines = [
        "rewrite ^ $uri break;  # the path as nginx decoded it is encoded anew",
        "proxy_pass http://edgeward_back;",
        *_proxy_lines(),
        'proxy_set_header Connection "";',
        "proxy_set_header X-Edgeward-Altered $ew_altered;",
        "proxy_set_header If-Modified-Since $ew_since_alone;",
        "proxy_set_header Range $ew_range_of_get;",
        'proxy_set_header Content-Length "";',
        "proxy_pass_request_body off;",
        f"proxy_buffer_size {size};",
        f"proxy_buffers 8 {size};",
        f"proxy_busy_buffers_size {2 * size};",
        "proxy_intercept_errors on;  # 416 is found out after its fields were added",
        *(f"error_page {status} {INTERNAL}/site/{status}.html;" for status in (416, 500, 502, 503, 504)),
    ]
    return block("location @detour", *lines)


def _forward() -> list[str]:
    """Return the location of requests that reach a retired generation, on connections older than the switch."""
    lines = [
        "proxy_pass http://edgeward_front;",
        *_proxy_lines(),
        'proxy_set_header Connection "";',
        "proxy_set_header X-Edgeward-Client $remote_addr;",
        "proxy_request_buffering off;",
        "access_log off;",
    ]
    return block("location @forward", *lines)


def _proxy_lines() -> list[str]:
    ignored = "X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset"
    return [
        "proxy_http_version 1.1;",
        "proxy_set_header Host $host$ew_port;",
        "proxy_redirect off;",
        f"proxy_ignore_headers {ignored};",
        "proxy_max_temp_file_size 0;",
        'add_header X-Edgeward-None "";  # the fields of the answer are those of the answer',
    ]


def _anonymous_errors() -> list[str]:
    names = [f"error_page {status} {INTERNAL}/anonymous/{status}.html;" for status in (404, 405)]
    return [*names, "error_page 590 = @gate;", "error_page 592 = @detour;"]


def _reserved(plan: Plan) -> list[str]:
    """Return the locations that every edge answers itself, for any Host."""
    opening = ["if ($ew_altered) { return 590; }", 'if ($ew_read ~ "[om]") { return 405; }', *_anonymous_errors()]
    own = ["types { }", "open_file_cache off;", *plain_lines(plan.edge, literal("-"))]
    made: list[str] = []
    for name, file in {"health": plan.health, "brief": plan.brief}.items():
        if file is None:
            continue
        # Other edges ask several times a second: no lines for the log.
        told = [f"alias {value(literal(file))};", "default_type application/json;", "access_log off;"]
        made += block(f"location = {RESERVED[1]}{name}", *opening, *told, *own)
    proofs: list[str] = []
    if plan.challenges is not None:
        proof = [f"alias {value(Value(literal(plan.challenges + '/') + '$ew_proof'))};", "default_type text/plain;"]
        proofs = block(f"location ~ ^{RESERVED[0]}(?<ew_proof>[A-Za-z0-9_-]+)$", *opening, *proof, *own)
    made += block(f"location ^~ {RESERVED[0]}", *proofs, *opening, "return 404;")
    made += block(f"location ^~ {RESERVED[1]}", *opening, "return 404;")
    return made
