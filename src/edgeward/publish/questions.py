"""What `verify` asks an edge, and what the manifest says must come back. Pure: the oracle is `core.resolve`."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from edgeward.core.digest import Digest, digest_of
from edgeward.core.exchange import BlobBody, Request, Response
from edgeward.core.paths import encode_path
from edgeward.core.patterns import compile_pattern
from edgeward.core.release import Coding, Entry, Manifest
from edgeward.core.resolve import LiveSite, make_view, resolve
from edgeward.core.rules import HeaderBlock, RedirectRule
from edgeward.core.urls import url_path
from edgeward.publish.http_client import Answer

SAMPLE = 60
"""Paths asked for without `--all`."""
RULES = 300
"""Rules of each kind asked for without `--all`."""

_CONNECTION = frozenset({"date", "server", "connection", "keep-alive", "transfer-encoding"})
"""Fields of the connection and the moment, which no contract is about."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request. host: the hostname. about: the path or rule that it is an example of."""

    method: str
    host: str
    target: str
    headers: tuple[tuple[str, str], ...]
    about: str

    def __str__(self) -> str:
        extra = "".join(f" [{name}: {value}]" for name, value in self.headers)
        return f"{self.method} {self.host}{self.target}{extra}"


def questions(manifest: Manifest, *, all_paths: bool) -> tuple[Question, ...]:
    """Return what to ask of every edge: a sample of paths (or all) in each of their codings, and an example of every
    rule.
    """
    found = dict.fromkeys(_of_entries(manifest, all_paths=all_paths))
    found.update(dict.fromkeys(_of_rules(manifest, all_rules=all_paths)))
    found.update(dict.fromkeys(_of_hosts(manifest)))
    return tuple(found)


def sample(manifest: Manifest) -> tuple[Entry, ...]:
    """Return up to SAMPLE entries: the front page, error pages, the largest and the first of every media type, and
    others that look like chance but are the same at each call.
    """
    entries = manifest.entries
    if len(entries) <= SAMPLE:
        return entries
    chosen: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: -entry.identity.size)[:3]:
        chosen[entry.path] = entry
    types: set[str] = set()
    for entry in entries:
        if entry.path == "/index.html" or entry.path.endswith("/404.html") or entry.media_type not in types:
            chosen[entry.path] = entry
            types.add(entry.media_type)
    shuffled = sorted(entries, key=lambda entry: hashlib.sha256((manifest.release + entry.path).encode()).digest())
    for entry in shuffled:
        if len(chosen) >= SAMPLE:
            break
        chosen.setdefault(entry.path, entry)
    return tuple(list(chosen.values())[:SAMPLE])


def _of_entries(manifest: Manifest, *, all_paths: bool) -> Iterator[Question]:
    host = manifest.settings.hostnames[0]
    for entry in manifest.entries if all_paths else sample(manifest):
        target = encode_path(url_path(manifest.settings, entry.path))
        for coding in _codings(entry):
            headers = (("Accept-Encoding", coding),) if coding != "identity" else ()
            yield Question("GET", host, target, headers, entry.path)
        file_target = encode_path(entry.path)
        if file_target != target:
            yield Question("GET", host, file_target, (), entry.path)
    yield Question("HEAD", host, "/", (), "/")
    yield Question("GET", host, f"/edgeward-verify-{manifest.release[:12]}", (), "a path that is not there")


def _codings(entry: Entry) -> tuple[Coding, ...]:
    return tuple(variant.coding for variant in entry.variants)


def _of_rules(manifest: Manifest, *, all_rules: bool) -> Iterator[Question]:
    most = None if all_rules else RULES
    for rule in manifest.redirects[:most]:
        yield _of_redirect(manifest, rule)
    for block in manifest.headers[:most]:
        yield _of_block(manifest, block)


def _of_redirect(manifest: Manifest, rule: RedirectRule) -> Question:
    query = "&".join(f"{name}={'example' if wanted.startswith(':') else wanted}" for name, wanted in rule.params)
    headers = []
    for condition in rule.conditions:
        value = condition.values[0]
        headers.append(("Accept-Language", value) if condition.name == "Language" else ("Cookie", f"{value}=1"))
    target = _example(rule.source) + (f"?{query}" if query else "")
    host = rule.host or manifest.settings.hostnames[0]
    return Question("GET", host, target, tuple(headers), f"_redirects:{rule.line}")


def _of_block(manifest: Manifest, block: HeaderBlock) -> Question:
    host = manifest.settings.hostnames[0]
    pattern = compile_pattern(block.pattern)
    paths = (url_path(manifest.settings, entry.path) for entry in manifest.entries)
    # A page that the block applies to says more than a made-up path, which is answered with an error page.
    real = next((path for path in paths if pattern.match(path) is not None), None)
    return Question("GET", host, encode_path(real) if real else _example(block.pattern), (), f"_headers:{block.line}")


def _example(pattern: str) -> str:
    """Return a target that the pattern matches."""
    parts = []
    for segment in compile_pattern(pattern).segments:
        text = {"literal": segment.text, "name": "example", "splat": "example/of"}.get(segment.kind)
        parts.append(
            quote(f"{segment.text}example{segment.after}" if text is None else text, safe="/!$&'()*+,;=:@~._-")
        )
    return "/" + "/".join(parts)


def _of_hosts(manifest: Manifest) -> Iterator[Question]:
    for hostname in manifest.settings.hostnames[1:]:
        yield Question("GET", hostname, "/?from=verify", (), f"hostname {hostname}")


class Oracle:
    """What must come back from any edge of the fleet that serves a release, on a given port."""

    def __init__(self, manifest: Manifest, edge: str, port: int) -> None:
        self._view = make_view(edge, [LiveSite(manifest)])
        self._port = None if port == 80 else port
        self._plain = _plain_digests(manifest)

    def differences(self, question: Question, answer: Answer) -> Iterator[tuple[str, str, str]]:
        """Yield what differs: what, expected, found."""
        wanted = resolve(self._view, self._request(question))
        if wanted.status != answer.status:
            yield "status", str(wanted.status), str(answer.status)
            return
        yield from _header_differences(wanted, answer)
        if question.method != "HEAD":
            yield from self._body_differences(wanted, answer)

    def _request(self, question: Question) -> Request:
        return Request(question.method, question.host, question.target, question.headers, port=self._port)

    def _body_differences(self, wanted: Response, answer: Answer) -> Iterator[tuple[str, str, str]]:
        raw = wanted.body.digest if isinstance(wanted.body, BlobBody) else digest_of(wanted.body)
        if raw != answer.digest:
            yield "body", raw[:12], f"{answer.digest[:12]} ({answer.size} bytes)"
            return
        plain = self._plain.get(raw, raw)
        if plain != answer.decoded:
            yield "decoded body", plain[:12], answer.decoded[:12] if answer.decoded else "it does not decode"


def _plain_digests(manifest: Manifest) -> Mapping[Digest, Digest]:
    """Return the digest of the decoded content of each compressed blob."""
    return {variant.digest: entry.identity.digest for entry in manifest.entries for variant in entry.variants[1:]}


def _header_differences(wanted: Response, answer: Answer) -> Iterator[tuple[str, str, str]]:
    expected = _by_name(wanted.headers)
    found = _by_name(answer.headers)
    for name in sorted(expected.keys() | found.keys()):
        left, right = expected.get(name, []), found.get(name, [])
        if left != right:
            yield f"field {name}", "; ".join(left) or "absent", "; ".join(right) or "absent"


def _by_name(fields: tuple[tuple[str, str], ...]) -> Mapping[str, list[str]]:
    named: dict[str, list[str]] = {}
    for name, value in fields:
        if name.lower() not in _CONNECTION:
            named.setdefault(name.lower(), []).append(value)
    return {name: sorted(values) for name, values in named.items()}
