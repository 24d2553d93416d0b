"""The pages that every edge has built in, for answers that no file of a site gives.

Each is self-contained HTML. Their bytes and their modified time are constant, so that ETag and Last-Modified are the
same on every edge; nginx gets the same bytes as files. None of them says anything about the server.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MODIFIED: Final = 1_735_689_600
"""Modified time of every built-in page: 2025-01-01T00:00:00Z."""

MEDIA_TYPE: Final = "text/html; charset=utf-8"

REASONS: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        400: ("Bad request", "This request is not one that a server can make sense of."),
        404: (
            "Not found",
            "There is nothing at this address. It may have moved, or the address may have a typing error.",
        ),
        405: ("Method not allowed", "This address can be read (GET, HEAD), and nothing else."),
        408: ("Request timeout", "The request took too long to arrive."),
        410: ("Gone", "What was at this address has been removed, and will not come back."),
        412: ("Precondition failed", "What is at this address is not the version that the request asked about."),
        413: ("Content too large", "This request carries more than this server takes."),
        414: ("Address too long", "This address is longer than this server takes."),
        416: ("Range not satisfiable", "What is at this address is shorter than the part that the request asked for."),
        421: ("Misdirected request", "This server does not serve the site that the request is for."),
        431: ("Header fields too large", "The header of this request is larger than this server takes."),
        451: ("Unavailable for legal reasons", "What was at this address must not be shown, for legal reasons."),
        500: (
            "Internal server error",
            "Something went wrong here, and it is not your fault. Please try again in a moment.",
        ),
        502: ("Bad gateway", "Something went wrong here, and it is not your fault. Please try again in a moment."),
        503: ("Service unavailable", "This server cannot answer just now. Please try again in a moment."),
        504: ("Gateway timeout", "This server cannot answer just now. Please try again in a moment."),
    }
)
"""For each status that has a page: its title and one sentence for the reader."""

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;"
    "font:1.0625rem/1.6 system-ui,-apple-system,'Segoe UI',sans-serif;background:#f7f7f4;color:#22262b}"
    "main{max-width:32rem;padding:2rem}"
    "b{display:block;font:600 4.5rem/1 ui-monospace,'SF Mono',Menlo,Consolas,monospace;letter-spacing:-.04em;"
    "color:#1c7c6b}"
    "h1{margin:.75rem 0 .25rem;font-size:1.375rem;line-height:1.3}p{margin:0;opacity:.8}a{color:#1c7c6b}"
    "@media(prefers-color-scheme:dark){body{background:#14171a;color:#e8e8e3}b,a{color:#5fc7b2}}"
)


def _page(mark: str, title: str, sentence: str) -> bytes:
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="robots" content="noindex">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n"
        f"<main><b>{mark}</b><h1>{title}</h1><p>{sentence}</p></main>\n</html>\n"
    ).encode()


PAGES: Final[Mapping[int, bytes]] = MappingProxyType(
    {status: _page(str(status), title, sentence) for status, (title, sentence) in REASONS.items()}
)
"""The built-in page of each status that has one."""

REDIRECT_PAGE: Final = _page("&rarr;", "Moved", "This page has another address. Your browser should take you there.")
"""The body of every redirect. It has no validators of its own: a redirect carries neither ETag nor Last-Modified."""


def page(status: int) -> bytes:
    """Return the built-in page of an error status; a status without one of its own has that of its class."""
    return PAGES.get(status) or PAGES[400 if status < 500 else 500]
